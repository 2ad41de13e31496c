"""The digest of Klaviyo's contract for the tests, and the folder with its sources."""

import json
from pathlib import Path
from typing import Any

from klaviyo_assets_tests.contract.make_digest import FILE

Facts = dict[str, Any]

DIGEST: Facts = json.loads(FILE.read_text())

SOURCE = Path(__file__).parents[3] / "shared" / "klaviyo"
"""The OpenAPI description and the recorded responses, if a copy is next to the checkout."""

RECORDS = ("data", "included")
"""Members of a response that contain records."""


def by_type(records: Any) -> dict[str, list[Any]]:
    """Return the structures of ``data`` or ``included`` by type; empty if there are no records."""
    match records:
        case [dict() as found] | (dict() as found):
            return found
        case _:
            return {}
