"""Make the digest of Klaviyo's contract that the contract tests read: ``python -m klaviyo_assets_tests.contract.make_digest stable.json``.

The file is Klaviyo's OpenAPI description, which anybody can download. ``--recorded`` names a folder with recorded responses, one file each; without
it, the digest keeps the facts about the responses that it has. It contains only facts: no text from the description, no values from responses.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets_tests.contract import described, recorded
from klaviyo_assets_tests.contract.described_endpoints import endpoints

FILE = Path(__file__).with_name("digest.json")

URL = "https://raw.githubusercontent.com/klaviyo/openapi/main/openapi/stable.json"
"""The description of Klaviyo's present revision."""

_PINNED = URL.replace("/main/", "/00228667f81839f070c47cd4496fa738c2673a73/")
"""A version of the file with the catalog's revision, for the time when Klaviyo has a later one."""

_MODULE = "klaviyo_assets_tests.contract.make_digest"

PATHS = {METRIC_AGGREGATES.path} | {path for entry in CATALOG.values() for path in (entry.endpoint.path, f"{entry.endpoint.path}/{{id}}")}
"""Paths of the endpoints in the catalog."""

STATUSES = {400, 401, 403, 404, 429}
"""Statuses of the errors to keep, for any operation."""


def make(description: dict[str, Any], responses: dict[str, Any]) -> dict[str, Any]:
    """Return the digest.

    Args:
        description: Klaviyo's OpenAPI description.
        responses: Facts about recorded responses, by operation and status.
    """
    return {
        "revision": REVISION,
        "endpoints": endpoints(description, PATHS),
        "types": described.types(description),
        "included": described.included_types(description),
        "reports": described.reports(description),
        "recorded": responses,
    }


def responses_in(folder: Path) -> dict[str, Any]:
    """Return the facts about the responses of the catalog's endpoints, other responses with records of its types, and errors."""
    found = {}
    for file in sorted(folder.glob("*.json")):
        one = json.loads(file.read_text())
        if one["revision"] != REVISION:
            raise ValueError(f"{file.name} has the revision {one['revision']} instead of {REVISION}.")
        facts = recorded.response(one)
        if one["status"] in STATUSES or facts["request"]["path"] in PATHS or recorded.OURS & set(_types(one["body"])):
            found[f"{one['operation']}.{one['status']}"] = facts
    return found


def _types(body: dict[str, Any]) -> list[str]:
    data = body.get("data") or []
    return [one["type"] for one in [*(data if isinstance(data, list) else [data]), *body.get("included", [])] if "attributes" in one]


def text(digest: dict[str, Any]) -> str:
    """Return the text of the digest: one line for each endpoint, type and response."""
    parts = [
        f"{json.dumps(name)}: " + (json.dumps(value) if isinstance(value, str) else "{\n" + ",\n".join(_lines(value)) + "\n}")
        for name, value in sorted(digest.items())
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _lines(part: dict[str, Any]) -> list[str]:
    return [f"{json.dumps(name)}: {json.dumps(value, sort_keys=True, separators=(',', ':'))}" for name, value in sorted(part.items())]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the digest from the files that the command line names.

    Args:
        arguments: The command line's; those of the process by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description="Make the digest of Klaviyo's contract that the contract tests read.")
    parser.add_argument("description", metavar="OPENAPI", type=Path, help=f"Klaviyo's OpenAPI description, from {URL}")
    parser.add_argument("--recorded", metavar="FOLDER", type=Path, help="folder with recorded responses; without it, those of the digest are kept")
    given = parser.parse_args(arguments)
    try:
        description = json.loads(given.description.read_text())
        revision = description["info"]["version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        parser.error(f"{given.description} is no OpenAPI description ({type(error).__name__}: {error}). Download it from {URL}")
    if revision != REVISION:
        parser.error(f"{given.description} describes the revision {revision}, the catalog {REVISION}. Download that one from {_PINNED}")
    if given.recorded is not None and not given.recorded.is_dir():
        parser.error(f"there is no folder {given.recorded}")
    responses = json.loads(FILE.read_text())["recorded"] if given.recorded is None else responses_in(given.recorded)
    FILE.write_text(text(make(description, responses)))


if __name__ == "__main__":
    main()
