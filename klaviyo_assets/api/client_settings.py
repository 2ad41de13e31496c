"""Settings of the client. A separate module, so code locations load without importing the client."""

from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.catalog import REVISION

DEFAULT_BASE_URL = "https://a.klaviyo.com"

DEFAULT_MAX_RESPONSE_BYTES = 128 * 2**20
"""A record has at most 5 MB (Klaviyo's limit for an event), a typical page about 3 MB. A larger page is requested again with fewer records, so the
limit fails a sync only if a single record is larger. Several pages are in memory at once, so it should not be much higher."""

MIN_MAX_RESPONSE_BYTES = 10**6
"""Lowest allowed limit: typical responses that cannot be divided, such as the list of metrics, are smaller."""


@dataclass(frozen=True)
class ClientSettings:
    """Settings of the client.

    Attributes:
        base_url: Scheme, host and port of the API.
        allow_http: Accept plain http to another machine, which sends the API key unencrypted.
        revision: API revision that every request pins.
        rate_limit_share: Share of each endpoint's limit to use, above 0 up to 1.
        concurrency: Maximum number of requests in flight; the actual number follows from the rate limit and the latency.
        timeout: Seconds without data after which a request is aborted and retried.
        max_retries: Maximum retries of a request after transient errors.
        max_retries_after_429: Maximum retries after a 429, if higher than ``max_retries``: such a request only waits for its turn.
        max_response_bytes: Maximum bytes of a response, as received and decompressed.
        longest_wait: Longest ``Retry-After``, in seconds, that a request waits for; with a longer one it fails at once.
        shared_limits: Folder through which the processes on this machine share the slowest limits, or None.
    """

    base_url: str = DEFAULT_BASE_URL
    allow_http: bool = False
    revision: str = REVISION
    rate_limit_share: float = 0.9
    concurrency: int = 64
    timeout: float = 60.0
    max_retries: int = 6
    max_retries_after_429: int = 0
    longest_wait: float = 300.0
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    shared_limits: Path | None = None
