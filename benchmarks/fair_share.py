"""Another client uses half of the account's limit: 429s of both clients for each kind of rate-limit headers. Also measures our speed alone.

Each page has one record, so CPU is not the bottleneck. The other client sends at a fixed rate and never retries.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import httpx

from benchmarks.measuring import json_output, serving, start
from benchmarks.one_sync import KEY
from benchmarks.table import table
from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.catalog import EVENTS
from klaviyo_assets.sandbox.limits import RateLimitHeaders

_RATE_LIMIT = EVENTS.endpoint.limit.steady / 60
_DETECTION_SECONDS = 10.0
"""Seconds until we have detected the other client."""

_PARALLEL_CASES = 1
"""Number of cases to measure in parallel, each with its own server."""


def report(quick: bool) -> str:
    """Run it."""
    seconds = 30.0 if quick else 120.0
    cases = [(form.value, share, 0.5) for form in RateLimitHeaders for share in (0.9, 1.0)]
    cases += [(RateLimitHeaders.RECORDED.value, share, 0.0) for share in (0.95, 1.0)]
    head = [
        "rate-limit headers",
        "our share",
        "others",
        "our requests",
        "our 429s",
        "their requests",
        "their 429s after 10 s",
        "accepted, of the limit",
        "of our share",
    ]
    with ThreadPoolExecutor(_PARALLEL_CASES) as pool:
        return table(head, pool.map(partial(_row, seconds), *zip(*cases, strict=True)))


def _row(seconds: float, form: str, share: float, others: float) -> Sequence[object]:
    with serving("--events", "1000", "--latency", "0.08", "--rate-limit-headers", form) as server:
        common = {"base_url": server.base_url, "seconds": seconds}
        other = start("fair_share", {"role": "other", "rate": others * _RATE_LIMIT, **common}) if others else None
        ours = json_output(start("fair_share", {"role": "ours", "share": share, **common}))
        theirs = json_output(other) if other else {"accepted": 0, "rejected": 0, "late_accepted": 0, "late_rejected": 0}
    return [
        form,
        f"{share:.0%}",
        f"{others:.0%}",
        ours["accepted"],
        f"{ours['rejected']} ({ours['rejected'] / (ours['accepted'] + ours['rejected']):.2%})",
        theirs["accepted"] + theirs["rejected"],
        f"{theirs['late_rejected']} ({theirs['late_rejected'] / max(1, theirs['late_accepted'] + theirs['late_rejected']):.2%})",
        f"{(ours['accepted'] + theirs['accepted']) / seconds / _RATE_LIMIT:.1%}",
        f"{ours['accepted'] / seconds / _RATE_LIMIT / share:.1%}",
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
    responses: list[tuple[float, int]] = []
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:

        async def one(sent: float) -> None:
            responses.append((sent, (await client.get(EVENTS.endpoint.path, params={"page[size]": 1})).status_code))

        tasks = []
        for send_time in _send_times(rate, seconds):
            await asyncio.sleep(max(0.0, began + send_time - time.monotonic()))
            tasks.append(asyncio.create_task(one(send_time)))
        await asyncio.gather(*tasks)
    late = [status for sent, status in responses if sent >= _DETECTION_SECONDS]
    statuses = [status for _, status in responses]
    return {
        "accepted": statuses.count(200),
        "rejected": statuses.count(429),
        "late_accepted": late.count(200),
        "late_rejected": late.count(429),
    }


def _send_times(rate: float, seconds: float) -> Iterator[float]:
    yield from (number / rate for number in range(int(rate * seconds)))


def main(role: str, **options: Any) -> None:
    """Run one of the two clients and print its counts as JSON."""
    print(json.dumps(asyncio.run(_ours(**options) if role == "ours" else _other(**options))))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
