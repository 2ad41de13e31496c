"""The command ``klaviyo-assets``: one module per subcommand, and ``output`` for what they print."""
