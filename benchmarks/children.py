"""Members, coupon codes and object records under Klaviyo's limits: the first read and the read of the next day, against what the limit allows."""

import math
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from benchmarks.measuring import Run, folder, result, start
from benchmarks.table import table
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox import SandboxOptions, SandboxProcess

_NAMES = ("list_members", "segment_members", "coupon_codes", "object_records")
_SHARE = 0.9
_LATENCY = 0.3

_FULL = "coupons=20,coupon_codes=10000,object_types=3,object_records=4000,list_members=12000,segment_members=8000"
_QUICK = "coupons=5,coupon_codes=400,object_types=2,object_records=150,list_members=300,segment_members=300"


def report(quick: bool) -> str:
    """Run it: a tenth of 5 million memberships and 1 million codes, and less of object records, since their limit is 60 requests a minute."""
    size = 300 if quick else 12_000
    options = SandboxOptions(
        seed=5, events=0, profiles=size, lists=20, segments=30, counts=_QUICK if quick else _FULL, latency=_LATENCY, limits=True, history_days=700
    )
    with SandboxProcess(options) as sandbox, folder() as into:
        first = _read_all(sandbox, into)
        sandbox.advance(timedelta(days=1))
        for seed in range(20):
            sandbox.change("round", seed=seed)
        daily = _read_all(sandbox, into)
    head = ["type", "rows", "first read: requests", "pages needed", "minutes", "at the limit", "429s", "next day: requests", "minutes", "429s"]
    return table(head, _rows(first, daily))


def _read_all(sandbox: SandboxProcess, into: Path) -> dict[str, Run]:
    """Sync all types at the same time, each in a process and a database of its own; their limits are independent."""
    with ThreadPoolExecutor(len(_NAMES)) as pool:
        return dict(zip(_NAMES, pool.map(lambda name: _read(sandbox, into / name, name), _NAMES), strict=True))


def _read(sandbox: SandboxProcess, into: Path, name: str) -> Run:
    into.mkdir(exist_ok=True)
    parent = CATALOG[name].parent
    assert parent is not None
    given = {"base_url": sandbox.base_url, "folder": str(into), "key": sandbox.keys.all_scopes, "share": _SHARE}
    result(start("one_sync", {**given, "name": parent.type_name}))
    return result(start("one_sync", {**given, "name": name}))


def _rows(first: dict[str, Run], daily: dict[str, Run]) -> Iterator[Sequence[object]]:
    for name in _NAMES:
        limit = CATALOG[name].endpoint.limit.steady
        one, later = first[name], daily[name]
        pages = math.ceil(one.rows / int(CATALOG[name].page_parameters["page[size]"]))
        yield [
            name,
            one.rows,
            one.requests,
            pages,
            f"{one.seconds / 60:.1f}",
            f"{pages / limit / _SHARE:.1f}",
            one.throttled,
            later.requests,
            f"{later.seconds / 60:.1f}",
            later.throttled,
        ]
