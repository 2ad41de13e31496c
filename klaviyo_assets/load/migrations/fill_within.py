"""Fills new columns whose values are inside a JSON column from the stored JSON, so nothing is read again."""

from collections.abc import Collection

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog.columns import WITHIN
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode.within import readers_within, with_values_within
from klaviyo_assets.load.parts.row_places import RowPlaces
from klaviyo_assets.load.parts.row_ranges import row_ranges
from klaviyo_assets.warehouse.sql import quoted


def fill_within(connection: DuckDBPyConnection, places: RowPlaces, entry: ResourceType, added: Collection[str]) -> int:
    """Fill the added columns inside the caller's transaction. Field rules need no second pass: the stored JSON already reflects them.

    Args:
        connection: The database.
        places: The rows of the table, which has all columns of the entry.
        entry: The resource type.
        added: Names of the columns that were added.

    Returns:
        Rows that were updated.
    """
    new = [column for column in entry.columns if column.path[0] == WITHIN and column.name in added]
    readers = {name: reader for name, reader in readers_within(entry).items() if any(column.path[1] == name for column in new)}
    if not readers:
        return 0
    sources = [quoted(name) for name in readers]
    filled = f"(SELECT place, {', '.join(sources)} FROM {places.rows} WHERE {' OR '.join(f'{name} IS NOT NULL' for name in sources)})"
    assignments = ", ".join(f"{quoted(column.name)} = filled.{quoted(column.name)}" for column in new)
    updated = 0
    for range_ in row_ranges(connection, filled, list(readers)):
        rows = connection.sql(f"FROM {filled} WHERE {range_.condition}").pl()
        frame = with_values_within(rows, readers).select("place", *(column.name for column in new))
        connection.register("filled", frame)
        connection.execute(places.update(assignments, "filled"))
        connection.unregister("filled")
        updated += frame.height
    return updated
