"""Run the sandbox: ``python -m klaviyo_assets.sandbox``."""

import argparse
import sys

from klaviyo_assets.sandbox.command import add_arguments, run


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="python -m klaviyo_assets.sandbox", description="Run a local Klaviyo with a made-up account.")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
