"""Messages for the user about missing bookkeeping tables, which are recreated without their content. Pure."""

from collections.abc import Collection, Iterator

_CONSEQUENCES = {
    "_syncs": "the history of earlier syncs is lost; rows and coverage are not affected",
    "_coverage": "the record of what was read is lost, so incremental syncs read everything again",
    "_null_rates": "a column that has lost its values is reported again only when further rows lack it",
    "_rereads": "windows that an audit found to differ are read again only when the next repair requests them",
    "_layout": "it was created again with the layout of this version of klaviyo_assets",
}


def notes(schema: str, table: str, made: Collection[str], *, has_rows: bool, was_synced: bool) -> Iterator[str]:
    """Yield a message for each bookkeeping table that another program has dropped or emptied.

    Args:
        schema: DuckDB schema.
        table: The resource type.
        made: Tables that this sync has just created.
        has_rows: True if the table of the resource type has rows.
        was_synced: True if ``_syncs`` has a row of the resource type.
    """
    missing = {name for name in _CONSEQUENCES if name in made}
    if missing == _CONSEQUENCES.keys() and table in made:
        return  # a new schema
    for name in _CONSEQUENCES:
        if name in missing:
            yield f"The table {schema}.{name} was missing or empty: {_CONSEQUENCES[name]}."
    if has_rows and not was_synced and "_syncs" not in missing:
        yield f"The table {schema}._syncs has no entries for {table}, which has rows: {_CONSEQUENCES['_syncs']}."
