"""Every option of the package, declared once, and the checks of its values."""
