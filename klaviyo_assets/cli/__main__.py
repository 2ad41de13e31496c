"""``python -m klaviyo_assets.cli``."""

import sys

from klaviyo_assets.cli.main import main

sys.exit(main())
