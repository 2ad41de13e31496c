"""The error of a scenario that finds a wrong table."""

from collections.abc import Sequence

from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.scenarios.history import Version
from klaviyo_assets_tests.scenarios.rows import Row


class Difference(AssertionError):
    """The table differs from Klaviyo's records."""


def describe(entry: ResourceType, id_: str, row: Row | None, versions: Sequence[Version], oldest: int, why: str) -> str:
    """Return the message for a difference."""
    number = next((index for index, version in enumerate(versions) if version.row == row), None)
    if row is None or number is not None:
        held = "no row" if row is None else f"version {number}"
    else:
        held = f"a row unknown to Klaviyo ({_differing_columns(entry, row, versions[-1].row)})"
    summary = "; ".join(
        f"{index}: {'absent' if one.row is None else dict(one.times)} since {one.at:%d %H:%M:%S}" for index, one in enumerate(versions)
    )
    return f"{entry.name} {id_}: the table holds {held}, but at least version {oldest} is due ({why}). Versions: {summary}"


def _differing_columns(entry: ResourceType, held: Row, shown: Row | None) -> str:
    if shown is None:
        return "it was deleted"
    pairs = zip(entry.columns, held, shown, strict=True)
    return "; ".join(f"{column.name}: {ours!r}, Klaviyo {theirs!r}" for column, ours, theirs in pairs if ours != theirs)
