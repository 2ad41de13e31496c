"""Another client takes half of the account's limit: what it and we are refused, for each form of the rate-limit headers; and our speed alone.

Pages hold one record, so that the processor is not what is measured. The other client sends evenly, come what may, and never tries again.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks.measuring import outcome, serving, start
from benchmarks.one_sync import KEY
from benchmarks.table import table
from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.options import ClientSettings
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.sandbox.limits import RateLimitHeaders

_A_SECOND = EVENTS.endpoint.limit.steady / 60
_FIRST = 10.0
"""Seconds in which the other client is not known yet."""

_AT_ONCE = 1
"""Cases that are measured side by side, each with a server of its own."""


def report(quick: bool) -> str:
    """Run it."""
    seconds = 30.0 if quick else 120.0
    cases = [(form.value, share, 0.5) for form in RateLimitHeaders for share in (0.9, 1.0)]
    cases += [(RateLimitHeaders.RECORDED.value, share, 0.0) for share in (0.95, 1.0)]
    head = ["headers", "our share", "others take", "ours", "our 429s", "others'", "their 429s after 10 s", "answered, of the limit", "of our share"]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return table(head, pool.map(lambda case: _row(*case, seconds), cases))


def _row(form: str, share: float, others: float, seconds: float) -> Sequence[object]:
    with serving("--events", "1000", "--latency", "0.08", "--rate-limit-headers", form) as server:
        common = {"base_url": server.base_url, "seconds": seconds}
        other = start("fair_share", {"role": "other", "rate": others * _A_SECOND, **common}) if others else None
        ours = outcome(start("fair_share", {"role": "ours", "share": share, **common}))
        theirs = outcome(other) if other else {"accepted": 0, "rejected": 0, "late_accepted": 0, "late_rejected": 0}
    return [
        form,
        f"{share:.0%}",
        f"{others:.0%}",
        ours["accepted"],
        f"{ours['rejected']} ({ours['rejected'] / (ours['accepted'] + ours['rejected']):.2%})",
        theirs["accepted"] + theirs["rejected"],
        f"{theirs['late_rejected']} ({theirs['late_rejected'] / max(1, theirs['late_accepted'] + theirs['late_rejected']):.2%})",
        f"{(ours['accepted'] + theirs['accepted']) / seconds / _A_SECOND:.1%}",
        f"{ours['accepted'] / seconds / _A_SECOND / share:.1%}",
    ]


async def _ours(base_url: str, share: float, seconds: float) -> dict[str, int]:
    async with KlaviyoClient(parse_api_key(KEY), ClientSettings(base_url=base_url, rate_limit_share=share)) as client:
        end = time.monotonic() + seconds

        async def work() -> None:
            while time.monotonic() < end:
                await client.get(EVENTS, EVENTS.endpoint.path, {"page[size]": "1"}, json.loads)

        await asyncio.gather(*(work() for _ in range(client.chains_needed(EVENTS))))
        return {"accepted": client.traffic.requests - client.traffic.throttled, "rejected": client.traffic.throttled}


async def _other(base_url: str, rate: float, seconds: float) -> dict[str, int]:
    found: list[tuple[float, int]] = []
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:

        async def one(sent: float) -> None:
            found.append((sent, (await client.get(EVENTS.endpoint.path, params={"page[size]": 1})).status_code))

        tasks = []
        for moment in _moments(rate, seconds):
            await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
            tasks.append(asyncio.create_task(one(moment)))
        await asyncio.gather(*tasks)
    late = [status for sent, status in found if sent >= _FIRST]
    statuses = [status for _, status in found]
    return {
        "accepted": statuses.count(200),
        "rejected": statuses.count(429),
        "late_accepted": late.count(200),
        "late_rejected": late.count(429),
    }


def _moments(rate: float, seconds: float) -> Iterator[float]:
    yield from (number / rate for number in range(int(rate * seconds)))


def main(role: str, **options: Any) -> None:
    """Be one of the two clients, and print what came of it."""
    print(json.dumps(asyncio.run(_ours(**options) if role == "ours" else _other(**options))))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
