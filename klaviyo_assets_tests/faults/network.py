"""Network faults: syncs every kind of bad response and returns the outcome."""

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from klaviyo_assets.api import retries
from klaviyo_assets.api.klaviyo_errors import (
    ConnectionFailed,
    EdgeBlocked,
    EndlessLinks,
    ForeignLink,
    InvalidResponse,
    KlaviyoError,
    NotFound,
    RateLimited,
    RevisionRetired,
    ServerFault,
)
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.sync_options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.faults import FaultKind
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import COLLECTIONS, in_small_pages, local_file, small, sync, with_parents
from klaviyo_assets_tests.faults.verdict import Verdict, judge


@dataclass(frozen=True)
class FaultCase:
    """A kind of fault and the expected outcome of a sync.

    Attributes:
        kind: The fault.
        recoverable: True if a sync recovers from a few of these faults.
        lasting_error: The error of a sync under a lasting fault; None if the sync never fails.
        seconds: Duration of the fault.
        settings: Client settings that the fault depends on.
    """

    kind: FaultKind
    recoverable: bool = True
    lasting_error: type[KlaviyoError] | None = None
    seconds: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)


FAULT_CASES = (
    FaultCase(FaultKind.ERROR_500, lasting_error=ServerFault),
    FaultCase(FaultKind.ERROR_502, lasting_error=ServerFault),
    FaultCase(FaultKind.ERROR_503, lasting_error=ServerFault),
    FaultCase(FaultKind.ERROR_504, lasting_error=ServerFault),
    FaultCase(FaultKind.HTML_502, lasting_error=ServerFault),
    FaultCase(FaultKind.THROTTLED, lasting_error=RateLimited),
    FaultCase(FaultKind.THROTTLED_BARE, lasting_error=RateLimited),
    FaultCase(FaultKind.DROP, lasting_error=ConnectionFailed),
    FaultCase(FaultKind.RESET, lasting_error=ConnectionFailed),
    FaultCase(FaultKind.CUT, lasting_error=ConnectionFailed),
    FaultCase(FaultKind.SLOW, lasting_error=ConnectionFailed, seconds=3, settings={"timeout": 0.5}),
    FaultCase(FaultKind.DRIP, lasting_error=ConnectionFailed, seconds=6, settings={"timeout": 0.6}),
    FaultCase(FaultKind.HTML_403, recoverable=False, lasting_error=EdgeBlocked),
    FaultCase(FaultKind.HTML_404, recoverable=False, lasting_error=NotFound),
    FaultCase(FaultKind.NOT_JSON, lasting_error=InvalidResponse),
    FaultCase(FaultKind.BAD_JSON, lasting_error=InvalidResponse),
    FaultCase(FaultKind.JSON_NULL, lasting_error=InvalidResponse),
    FaultCase(FaultKind.JSON_ARRAY, lasting_error=InvalidResponse),
    FaultCase(FaultKind.NO_DATA, lasting_error=InvalidResponse),
    FaultCase(FaultKind.NO_LINKS, lasting_error=InvalidResponse),
    FaultCase(FaultKind.WRONG_TYPES, lasting_error=InvalidResponse),
    FaultCase(FaultKind.FOREIGN_NEXT, recoverable=False, lasting_error=ForeignLink),
    FaultCase(FaultKind.REPEATED_CURSOR, lasting_error=EndlessLinks),
    FaultCase(FaultKind.EXPIRED_CURSOR),  # every restarted slice reads one more page
    FaultCase(FaultKind.EMPTY_PAGE),
    FaultCase(FaultKind.OVERLAP),
    FaultCase(FaultKind.DATE_BACK),
    FaultCase(FaultKind.DATE_AHEAD),
    FaultCase(FaultKind.NO_DATE),
    FaultCase(FaultKind.RETIRED, recoverable=False, lasting_error=RevisionRetired),
)

_FAULT_RATE = 0.05

_LONG_RUNNING = {FaultKind.SLOW, FaultKind.DRIP, FaultKind.THROTTLED}

MIXED = (
    *(case for case in FAULT_CASES if case.recoverable and case.kind not in _LONG_RUNNING),
    FaultCase(FaultKind.SLOW, seconds=0.1),
    FaultCase(FaultKind.DRIP, seconds=0.2),
)
"""Faults for :func:`sync_with_mixed_faults`. A 429 with Retry-After costs a second each time, so it is tested separately."""


@dataclass(frozen=True)
class FaultResult:
    """The result of faults during a sync of one resource type.

    Attributes:
        faults: Description of the faults.
        name: The resource type.
        count: Number of faulty responses.
        error: Class name of the sync's error; None if it succeeded.
        message: The error message.
        after: The table after the sync.
        later: The table after the next sync, which has no faults.
    """

    faults: str
    name: str
    count: int
    error: str | None
    message: str
    after: Verdict
    later: Verdict


@contextmanager
def _short_waits() -> Iterator[None]:
    with patch.object(retries, "BACKOFF_BASE", 0.01), patch.object(retries, "LONGEST_BACKOFF", 0.2):
        yield


def sync_with_fault(sandbox: SandboxProcess, warehouse: LocalFile, case: FaultCase, *, lasting: bool, name: str = "events") -> FaultResult:
    """Sync with a fault that occurs once or twice, or permanently after a few requests; then sync once more without faults.

    The faults of a child type are in its own requests; its parents are synced before.
    """
    path = CATALOG[name].endpoint.path
    _sync_parents(sandbox, warehouse, name)
    sandbox.reset_stats()
    sandbox.faults({"path": path, "kind": str(case.kind), "seconds": case.seconds, **_occurrences(case, lasting=lasting)})
    faults = str(case.kind) + (", lasting" if lasting else "")
    return _run(sandbox, warehouse, name, faults, dict(case.settings), records=_CHILDREN_PER_PAGE if CATALOG[name].parent else 50)


def _sync_parents(sandbox: SandboxProcess, warehouse: LocalFile, name: str) -> None:
    for parent in with_parents(name)[:-1]:
        sync(parent, sandbox, warehouse)


_CHILDREN_PER_PAGE = 5
"""Few enough that the children of most parents are several pages."""


def _occurrences(case: FaultCase, *, lasting: bool) -> dict[str, int | None]:
    if lasting:
        return {"times": None, "after": 3}
    return {"times": 1, "after": 0} if case.kind in _IN_FIRST_RESPONSE else {"times": 2, "after": 4}


_IN_FIRST_RESPONSE = {FaultKind.DATE_AHEAD, FaultKind.DATE_BACK, FaultKind.NO_DATE}
"""Faults of the first response, which sets the server clock."""


MIN_FAULTS = 5
"""Minimum number of faults per resource type; a type that needs few requests is synced repeatedly to reach it."""

_MAX_SYNCS = 60


def sync_with_mixed_faults(sandbox: SandboxProcess, warehouse: LocalFile, name: str) -> FaultResult:
    """Sync while one request in twenty fails, until enough faults have occurred; then sync once more without faults."""
    path, rate = CATALOG[name].endpoint.path, _FAULT_RATE / len(MIXED)
    _sync_parents(sandbox, warehouse, name)
    sandbox.reset_stats()
    sandbox.faults(*({"path": path, "kind": str(one.kind), "seconds": one.seconds, "times": None, "rate": rate} for one in MIXED))
    return _run(
        sandbox, warehouse, name, "all kinds, 5 %", {"max_retries": 6}, records=10 if name in {"events", "profiles"} else 3, min_faults=MIN_FAULTS
    )


def _run(
    sandbox: SandboxProcess, warehouse: LocalFile, name: str, faults: str, settings: dict[str, Any], *, records: int = 50, min_faults: int = 0
) -> FaultResult:
    error: KlaviyoError | None = None
    count = 0
    with _short_waits():
        for number in range(_MAX_SYNCS):
            request = SyncOptions(mode=SyncMode.full if number else SyncMode.incremental)
            try:
                sync(in_small_pages(name, records), sandbox, warehouse, request, **settings)
            except KlaviyoError as caught:
                error = caught
            count = sum(sandbox.stats()["faults"].values())
            if error or count >= min_faults:
                break
        sandbox.clear_faults()
        after = judge(sandbox, warehouse, name)
        sync(in_small_pages(name), sandbox, warehouse)
    return FaultResult(faults, name, count, type(error).__name__ if error else None, str(error or ""), after, judge(sandbox, warehouse, name))


def every_fault(folder: Path) -> Iterator[FaultResult]:
    """Try every fault, both temporary and lasting, with a type that is read by time and with a child type, each with its own database."""
    with small() as sandbox:
        for case, name in itertools.product(FAULT_CASES, ("events", "list_members")):
            for lasting in ([False] if case.recoverable else []) + ([True] if case.lasting_error else []):
                yield sync_with_fault(sandbox, local_file(folder / f"{case.kind}-{name}-{lasting}"), case, lasting=lasting, name=name)


def mixed_faults(folder: Path, seeds: range) -> Iterator[FaultResult]:
    """Try all faults mixed, for every resource type and in several accounts."""
    for seed in seeds:
        with small(seed=seed) as sandbox:
            for name in COLLECTIONS:
                yield sync_with_mixed_faults(sandbox, local_file(folder / f"seed-{seed}"), name)
