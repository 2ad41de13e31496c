"""Make the digest of Klaviyo's contract that the contract tests read: ``python -m klaviyo_assets_tests.contract.make_digest FOLDER``.

FOLDER contains Klaviyo's OpenAPI description (``openapi-<revision>.json``), the read operations as ``endpoints.jsonl``, and ``recorded/`` with one
file per recorded response. The digest contains only facts: no text from the description, no values from responses.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets_tests.contract import described, recorded

FILE = Path(__file__).with_name("digest.json")

_MODULE = "klaviyo_assets_tests.contract.make_digest"
_OPENAPI, _ENDPOINTS, _RECORDED = f"openapi-{REVISION}.json", "endpoints.jsonl", "recorded"
"""What the folder contains."""

PATHS = {METRIC_AGGREGATES.path} | {path for entry in CATALOG.values() for path in (entry.endpoint.path, f"{entry.endpoint.path}/{{id}}")}
"""Paths of the endpoints in the catalog."""

STATUSES = {400, 401, 403, 404, 429}
"""Statuses of the errors to keep, for any operation."""


def make(folder: Path) -> dict[str, Any]:
    """Return the digest of a folder's content."""
    description = json.loads((folder / _OPENAPI).read_text())
    return {
        "revision": REVISION,
        "endpoints": _endpoints(folder / _ENDPOINTS),
        "types": described.types(description),
        "included": described.included_types(description),
        "reports": described.reports(description),
        "recorded": _recorded(folder / _RECORDED),
    }


def _endpoints(file: Path) -> dict[str, Any]:
    return {line["path"]: line for line in map(json.loads, file.read_text().splitlines()) if line["path"] in PATHS}


def _recorded(folder: Path) -> dict[str, Any]:
    """Return the responses of the catalog's endpoints, other responses with records of its types, and errors."""
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
    """Write the digest of the folder that the command line names.

    Args:
        arguments: The command line's; those of the process by default.
    """
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description="Make the digest of Klaviyo's contract that the contract tests read.")
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        help=f"contains Klaviyo's OpenAPI description ({_OPENAPI}, from https://github.com/klaviyo/openapi), its read operations ({_ENDPOINTS}) and "
        f"recorded responses ({_RECORDED}/)",
    )
    folder: Path = parser.parse_args(arguments).folder
    if missing := [name for name in (_OPENAPI, _ENDPOINTS, _RECORDED) if not (folder / name).exists()]:
        parser.error(f"{folder} does not contain {', '.join(missing)}")
    FILE.write_text(text(make(folder)))


if __name__ == "__main__":
    main()
