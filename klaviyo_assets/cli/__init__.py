"""The command ``klaviyo-assets``.

``main`` parses the command line. ``check``, ``demo`` and ``erase_command`` are subcommands, ``answers`` prints what a demo's tables answer, and
``env_file`` reads ``.env``, and ``output`` prints tables and errors.
"""
