"""Rows whose included resources are still to be fetched by id: a response lacked them, and the sync was interrupted before it fetched them."""

from collections.abc import Mapping, Sequence

from klaviyo_assets.catalog.columns import COMPUTED, INCLUDED
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets_tests.scenarios.history import History, Version
from klaviyo_assets_tests.scenarios.rows import Row


def completed(entry: ResourceType, held: Mapping[str, Row | None], history: History) -> dict[str, Row | None]:
    """Return the rows, with those that differ from a version only in what included resources say replaced by that version's."""
    places = [place for place, column in enumerate(entry.columns) if column.path[0] not in (INCLUDED, COMPUTED)]
    return {id_: None if row is None else _completed(row, history.versions[id_], places) for id_, row in held.items()}


def _completed(row: Row, versions: Sequence[Version], places: Sequence[int]) -> Row:
    found = [version.row for version in reversed(versions) if version.row is not None]
    return row if row in found else next((one for one in found if all(one[place] == row[place] for place in places)), row)
