"""What ``include=attributions`` costs: bytes of a page of events, requests, and the CPU time to decode it; with and without, by turns."""

import gzip
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import Any

import httpx

from benchmarks.table import table
from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.decode import PageDecoder
from klaviyo_assets.sandbox import SandboxOptions, SandboxProcess

_WITH = CATALOG["events"]
_PAGE = int(_WITH.page_parameters["page[size]"])
_GZIP_LEVEL = 6


@dataclass(frozen=True)
class _Pages:
    """Pages of events.

    Attributes:
        bodies: The decompressed responses.
        limit: The header with the rate limit that they counted against.
    """

    bodies: Sequence[bytes]
    limit: str = ""

    @property
    def size(self) -> float:
        """Mean bytes of a page."""
        return fmean(map(len, self.bodies))

    @property
    def compressed(self) -> float:
        """Mean bytes of a page, compressed with gzip."""
        return fmean(len(gzip.compress(body, _GZIP_LEVEL)) for body in self.bodies)


def report(quick: bool) -> str:
    """Run it."""
    pages, rounds = (3, 3) if quick else (18, 15)
    with SandboxProcess(SandboxOptions(seed=3, events=(pages + 1) * _PAGE, profiles=4_000, limits=True)) as sandbox:
        with_them, without = (_Pages(*_read(sandbox, entry, pages)) for entry in (_WITH, _without_attributions()))
    records = [record for body in with_them.bodies for record in json.loads(body)["data"]]
    attributed = sum(_is_attributed(record) for record in records)
    decoded = _per_row(without, with_them, rounds)
    decoded_bare = _per_row(without, without, rounds)
    lines: list[Sequence[object]] = [
        ["bytes of a page", round(without.size), round(with_them.size), _change(without.size, with_them.size)],
        ["the same, compressed with gzip", round(without.compressed), round(with_them.compressed), _change(without.compressed, with_them.compressed)],
        ["requests", len(without.bodies), len(with_them.bodies), _change(len(without.bodies), len(with_them.bodies))],
        ["rate limit that they count against", without.limit, with_them.limit, "the same" if without.limit == with_them.limit else "another"],
        ["CPU to decode a page and build its frame, µs/row", *decoded, _change(*decoded)],
        ["the same for pages without attributed events", *decoded_bare, _change(*decoded_bare)],
    ]
    about = f"{len(records):,} events, {attributed / len(records):.1%} of them with an attribution; medians of {rounds} rounds."
    return f"{about}\n\n{table(['', 'without', 'with', ''], lines)}"


def _without_attributions() -> ResourceType:
    """Return events without the include and its columns."""
    newer = {*(column.name for column in _WITH.included_columns), "attributed_message_id"}
    return replace(_WITH, columns=tuple(column for column in _WITH.columns if column.name not in newer), requested_includes=())


def _read(sandbox: SandboxProcess, entry: ResourceType, pages: int) -> tuple[list[bytes], str]:
    """Return the first full pages of events, and the header with the rate limit."""
    headers = {"Authorization": f"Klaviyo-API-Key {sandbox.keys.all_scopes}", "revision": REVISION}
    url, parameters = f"{sandbox.base_url}{entry.endpoint.path}", entry.page_parameters
    bodies: list[bytes] = []
    with httpx.Client(headers=headers, timeout=60) as client:
        while len(bodies) < pages:
            response = client.get(url, params=parameters or None)
            response.raise_for_status()
            bodies.append(response.content)
            url, parameters = response.json()["links"]["next"], {}
    return bodies, response.headers["ratelimit-limit"]


def _is_attributed(record: Mapping[str, Any]) -> bool:
    return bool(record["relationships"].get("attributions", {}).get("data"))


def _per_row(without: _Pages, with_them: _Pages, rounds: int) -> tuple[float, float]:
    """Return the CPU time to decode pages in µs per row, for events without and with the include."""
    decoders = PageDecoder(_without_attributions()), PageDecoder(_WITH)
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds + 1):  # the first round fills caches
        for decoder, pages, found in zip(decoders, (without, with_them), times, strict=True):
            found.append(fmean(_decoding(decoder, pages)))
    return median(times[0][1:]), median(times[1][1:])


def _decoding(decoder: PageDecoder, pages: _Pages) -> Iterator[float]:
    for body in pages.bodies:
        began = time.process_time()
        rows = decoder.page(body).frame.height
        yield (time.process_time() - began) / rows * 1e6


def _change(before: float, after: float) -> str:
    return f"{100 * (after / before - 1):+.1f}%"
