"""Which of the user's settings the demo follows."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from klaviyo_assets._internal.option import VARIABLE_PREFIX
from klaviyo_assets.settings.options import OPTIONS, Settings

SANDBOX_TYPES = ("default", "catalog_items", "coupon_codes", "list_members")
"""What the demo reads from the sandbox: all that docs/queries.md needs, except reports, which take minutes at Klaviyo's rate limits."""

_OF_THE_MACHINE = (
    *("duckdb_patience", "duckdb_memory_limit", "duckdb_threads"),
    *("rate_limit_share", "concurrency", "timeout", "max_retries", "max_response_bytes"),
)
"""Options that are right for any account. All others name the user's account or files."""


def settings_for_sandbox(settings: Settings, home: Path) -> Settings:
    """Return the settings with which the demo reads the sandbox: made-up records must not reach the user's files.

    Args:
        settings: The user's, for an account and files of their own.
        home: The demo's folder.
    """
    own = {name: getattr(settings, name) for name in _OF_THE_MACHINE}
    return replace(
        Settings(**own),
        duckdb_path=str(home / "demo.duckdb"),
        resource_types=[*SANDBOX_TYPES],
        marts=[name for name in settings.marts if name.lower() != "false"] or ["true"],
        publish_path=settings.publish_path and str(home / "demo_published.duckdb"),
        publish_parquet=settings.publish_parquet and str(home / "demo_published"),
    )


def remove_settings_of_account() -> None:
    """Remove the user's settings from the environment of this process and those that it starts, except those of the machine."""
    kept = {OPTIONS[name].variable for name in _OF_THE_MACHINE}
    for name in [name for name in os.environ if name.startswith(VARIABLE_PREFIX) and name not in kept]:
        del os.environ[name]


def without_marts(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment for the job that syncs. It builds no marts, and its working folder is not the user's, so paths may be relative to it."""
    names = {OPTIONS[name].variable for name in ("marts", "publish_path", "publish_parquet")}
    return {name: text for name, text in environment.items() if name not in names}
