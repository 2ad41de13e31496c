"""Every option of the package, declared once (``options``).

``setting_kinds`` has the kinds of options whose values name resource types, ``setting_checks`` the checks of values.
"""
