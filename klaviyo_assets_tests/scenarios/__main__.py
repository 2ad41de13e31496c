"""``python -m klaviyo_assets_tests.scenarios``. The command has its own module because worker processes cannot import ``__main__``."""

import sys

from klaviyo_assets_tests.scenarios.command import main

if __name__ == "__main__":
    sys.exit(main())
