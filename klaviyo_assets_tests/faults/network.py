"""Network faults: every kind of bad response, and the outcome of a sync that receives it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from klaviyo_assets.api import retries
from klaviyo_assets.api.errors import (
    BadAnswer,
    ConnectionFailed,
    EdgeBlocked,
    EndlessLinks,
    ForeignLink,
    KlaviyoError,
    RateLimited,
    RevisionRetired,
    ServerFault,
)
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.extract.options import SyncMode, SyncOptions
from klaviyo_assets.sandbox.faults import FaultKind
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import in_small_pages, local_file, small, sync
from klaviyo_assets_tests.faults.verdict import Verdict, judge


@dataclass(frozen=True)
class Trouble:
    """A kind of fault and the expected outcome of a sync.

    Attributes:
        kind: The fault.
        survived: True if a sync recovers from a few of these faults.
        refused_with: The error of a sync under a lasting fault; None if it never fails.
        seconds: Duration of the fault.
        settings: Client settings that the fault depends on.
    """

    kind: FaultKind
    survived: bool = True
    refused_with: type[KlaviyoError] | None = None
    seconds: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)


TROUBLES = (
    Trouble(FaultKind.ERROR_500, refused_with=ServerFault),
    Trouble(FaultKind.ERROR_502, refused_with=ServerFault),
    Trouble(FaultKind.ERROR_503, refused_with=ServerFault),
    Trouble(FaultKind.ERROR_504, refused_with=ServerFault),
    Trouble(FaultKind.HTML_502, refused_with=ServerFault),
    Trouble(FaultKind.THROTTLED, refused_with=RateLimited),
    Trouble(FaultKind.THROTTLED_BARE, refused_with=RateLimited),
    Trouble(FaultKind.DROP, refused_with=ConnectionFailed),
    Trouble(FaultKind.RESET, refused_with=ConnectionFailed),
    Trouble(FaultKind.CUT, refused_with=ConnectionFailed),
    Trouble(FaultKind.SLOW, refused_with=ConnectionFailed, seconds=3, settings={"timeout": 0.5}),
    Trouble(FaultKind.DRIP, refused_with=ConnectionFailed, seconds=6, settings={"timeout": 0.6}),
    Trouble(FaultKind.HTML_403, survived=False, refused_with=EdgeBlocked),
    Trouble(FaultKind.NOT_JSON, refused_with=BadAnswer),
    Trouble(FaultKind.BAD_JSON, refused_with=BadAnswer),
    Trouble(FaultKind.JSON_NULL, refused_with=BadAnswer),
    Trouble(FaultKind.JSON_ARRAY, refused_with=BadAnswer),
    Trouble(FaultKind.NO_DATA, refused_with=BadAnswer),
    Trouble(FaultKind.NO_LINKS, refused_with=BadAnswer),
    Trouble(FaultKind.WRONG_TYPES, refused_with=BadAnswer),
    Trouble(FaultKind.FOREIGN_NEXT, survived=False, refused_with=ForeignLink),
    Trouble(FaultKind.REPEATED_CURSOR, refused_with=EndlessLinks),
    Trouble(FaultKind.EXPIRED_CURSOR),  # every restarted slice reads one more page
    Trouble(FaultKind.EMPTY_PAGE),
    Trouble(FaultKind.OVERLAP),
    Trouble(FaultKind.DATE_BACK),
    Trouble(FaultKind.DATE_AHEAD),
    Trouble(FaultKind.NO_DATE),
    Trouble(FaultKind.RETIRED, survived=False, refused_with=RevisionRetired),
)

ONE_IN_TWENTY = 0.05

_TAKES_LONG = {FaultKind.SLOW, FaultKind.DRIP, FaultKind.THROTTLED}

MIXED = (
    *(trouble for trouble in TROUBLES if trouble.survived and trouble.kind not in _TAKES_LONG),
    Trouble(FaultKind.SLOW, seconds=0.1),
    Trouble(FaultKind.DRIP, seconds=0.2),
)
"""Faults that are mixed at random. A 429 with Retry-After costs a second each time, so it is tested separately."""


@dataclass(frozen=True)
class Met:
    """The result of faults during a sync of one resource type.

    Attributes:
        trouble: Description of the faults.
        name: The resource type.
        struck: Number of faulty responses.
        error: Class name of the sync's error; None if it succeeded.
        words: The error message.
        after: The table after the sync.
        later: The table after the next sync, which has no faults.
    """

    trouble: str
    name: str
    struck: int
    error: str | None
    words: str
    after: Verdict
    later: Verdict


@contextmanager
def _short_waits() -> Iterator[None]:
    with patch.object(retries, "BACKOFF_BASE", 0.01), patch.object(retries, "LONGEST_BACKOFF", 0.2):
        yield


def meet(sandbox: SandboxProcess, warehouse: LocalFile, trouble: Trouble, *, lasting: bool, name: str = "events") -> Met:
    """Sync with a fault that occurs once or twice, or lastingly after a few requests; then sync once more without faults."""
    path = CATALOG[name].endpoint.path
    sandbox.reset_stats()
    sandbox.faults({"path": path, "kind": str(trouble.kind), "seconds": trouble.seconds, **_strikes(trouble, lasting=lasting)})
    return _judged(sandbox, warehouse, name, str(trouble.kind) + (", lasting" if lasting else ""), dict(trouble.settings))


def _strikes(trouble: Trouble, *, lasting: bool) -> dict[str, int | None]:
    if lasting:
        return {"times": None, "after": 3}
    return {"times": 1, "after": 0} if trouble.kind in _AT_ONCE else {"times": 2, "after": 4}


_AT_ONCE = {FaultKind.DATE_AHEAD, FaultKind.DATE_BACK, FaultKind.NO_DATE}
"""Faults that matter in the first response, which sets the server clock."""


STRIKES = 5
"""Minimum number of faults per resource type; a type that needs few requests is synced repeatedly to reach it."""

_MOST_SYNCS = 60


def meet_all(sandbox: SandboxProcess, warehouse: LocalFile, name: str) -> Met:
    """Sync while one request in twenty fails, until enough faults have occurred; then sync once more without faults."""
    path, rate = CATALOG[name].endpoint.path, ONE_IN_TWENTY / len(MIXED)
    sandbox.reset_stats()
    sandbox.faults(*({"path": path, "kind": str(one.kind), "seconds": one.seconds, "times": None, "rate": rate} for one in MIXED))
    return _judged(
        sandbox, warehouse, name, "all kinds, 5 %", {"max_retries": 6}, records=10 if name in {"events", "profiles"} else 3, strikes=STRIKES
    )


def _judged(
    sandbox: SandboxProcess, warehouse: LocalFile, name: str, trouble: str, settings: dict[str, Any], *, records: int = 50, strikes: int = 0
) -> Met:
    error: KlaviyoError | None = None
    struck = 0
    with _short_waits():
        for number in range(_MOST_SYNCS):
            request = SyncOptions(mode=SyncMode.full if number else SyncMode.incremental)
            try:
                sync(in_small_pages(name, records), sandbox, warehouse, request, **settings)
            except KlaviyoError as caught:
                error = caught
            struck = sum(sandbox.stats()["faults"].values())
            if error or struck >= strikes:
                break
        sandbox.clear_faults()
        after = judge(sandbox, warehouse, name)
        sync(in_small_pages(name), sandbox, warehouse)
    return Met(trouble, name, struck, type(error).__name__ if error else None, str(error or ""), after, judge(sandbox, warehouse, name))


def every_trouble(folder: Path) -> Iterator[Met]:
    """Try every fault, both temporary and lasting, each with its own database."""
    with small() as sandbox:
        for trouble in TROUBLES:
            for lasting in ([False] if trouble.survived else []) + ([True] if trouble.refused_with else []):
                yield meet(sandbox, local_file(folder / f"{trouble.kind}-{lasting}"), trouble, lasting=lasting)


def every_seed(folder: Path, seeds: range) -> Iterator[Met]:
    """Try all faults mixed, for every resource type and in several accounts."""
    for seed in seeds:
        with small(seed=seed) as sandbox:
            for name in (name for name, entry in CATALOG.items() if entry.parent is None):
                yield meet_all(sandbox, local_file(folder / f"seed-{seed}"), name)
