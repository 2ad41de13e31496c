"""Peak memory of the types with the most rows besides events and profiles, at a million rows.

For each: the first read, one that finds nothing new, and the same again with half of DuckDB's default memory.
"""

from collections.abc import Iterator, Sequence

from benchmarks.measuring import Server, folder, serving, sync
from benchmarks.table import table
from klaviyo_assets.catalog import CATALOG

_NAMES = (
    "list_members",
    "segment_members",
    "coupon_codes",
    "object_records",
    "push_tokens",
    "predictive_analytics",
    "catalog_items",
    "catalog_variants",
)

_LESS_MEMORY = "256MB"


def report(quick: bool) -> str:
    """Run it."""
    with serving(str(20_000 if quick else 1_000_000), module="children_server") as server:
        lines = [line for name in _NAMES for line in _syncs(server, name)]
    return table(["type", "sync", "rows", "read", "requests", "peak MB", "CPU seconds", "database MB"], lines)


def _syncs(server: Server, name: str) -> Iterator[Sequence[object]]:
    parent = CATALOG[name].parent
    with folder() as into:
        for one in [parent.type_name] if parent is not None else []:
            sync(server, one, into, paced=False)
        for what, memory_limit in (("first", None), ("next", None), (f"next, {_LESS_MEMORY}", _LESS_MEMORY)):
            run = sync(server, name, into, paced=False, concurrency=16, memory_limit=memory_limit)
            yield [name, what, run.rows, run.read, run.requests, run.peak_mb, run.cpu_seconds, run.database_mb]
