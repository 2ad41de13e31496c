"""Settings of the client, in a module of their own so that a code location loads without the client."""

from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.catalog import REVISION

DEFAULT_BASE_URL = "https://a.klaviyo.com"

DEFAULT_MAX_RESPONSE_BYTES = 128 * 2**20
"""A record has 5 MB at most (Klaviyo's limit for an event), and usual pages some 3 MB. A larger page is requested again with fewer records,
so that the limit fails a sync only if a single record is larger. Several pages are in memory at once, so it should not be much higher."""

LEAST_MAX_RESPONSE_BYTES = 10**6
"""Usual responses that cannot be divided, such as the list of metrics, exceed less."""


@dataclass(frozen=True)
class ClientSettings:
    """Settings of the client.

    Attributes:
        base_url: Scheme, host and port of the API.
        allow_http: Accept plain http to another machine, which sends the API key unencrypted.
        revision: API revision that every request pins.
        rate_limit_share: Share of each endpoint's limit to use, above 0 up to 1.
        concurrency: Most requests in flight; how many there are follows from the rate limit and the latency.
        timeout: Seconds without a byte after which a request is aborted and sent again.
        max_retries: Times that a request is sent again after a transient fault.
        max_retries_at_the_limit: The same after a 429, if that should be more often: such a request only waits for its turn.
        max_response_bytes: Most bytes of one response, as received and decompressed.
        longest_wait: Longest ``Retry-After``, in seconds, that a request waits for; with a longer one it fails at once.
        shared_limits: Folder through which the processes of this machine share the slowest limits, or None.
    """

    base_url: str = DEFAULT_BASE_URL
    allow_http: bool = False
    revision: str = REVISION
    rate_limit_share: float = 0.9
    concurrency: int = 64
    timeout: float = 60.0
    max_retries: int = 6
    max_retries_at_the_limit: int = 0
    longest_wait: float = 300.0
    max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES
    shared_limits: Path | None = None
