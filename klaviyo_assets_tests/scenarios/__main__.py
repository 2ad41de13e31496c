"""``python -m klaviyo_assets_tests.scenarios``; its worker processes import the command, which they could not from here."""

import sys

from klaviyo_assets_tests.scenarios.command import main

if __name__ == "__main__":
    sys.exit(main())
