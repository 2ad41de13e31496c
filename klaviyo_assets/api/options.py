"""How the client behaves. Apart from the client, so that a code location can be loaded without it."""

from dataclasses import dataclass
from pathlib import Path

from klaviyo_assets.catalog import REVISION

DEFAULT_BASE_URL = "https://a.klaviyo.com"

DEFAULT_MAX_RESPONSE_BYTES = 128 * 2**20
"""A record has 5 MB at most (Klaviyo's limit for an event), and usual pages some 3 MB. A page that is larger is requested again with fewer records,
so that the limit fails a sync only where a single record is larger. Several pages are held at once, so it should not be much larger."""

LEAST_MAX_RESPONSE_BYTES = 10**6
"""Less would be exceeded by usual responses that cannot be divided, such as the list of metrics."""


@dataclass(frozen=True)
class ClientSettings:
    """How the client behaves.

    Attributes:
        base_url: Scheme, host and port of the API.
        allow_http: Accept plain http to another machine, which sends the API key unencrypted.
        revision: API revision that every request pins.
        rate_limit_share: Share of each endpoint's limit to use, above 0 up to 1.
        concurrency: Requests under way at once, at most; how many there are follows from the rate limit and the latency.
        timeout: Seconds without a byte after which a request is given up and tried again.
        max_retries: Times that a request is tried again after a transient fault.
        max_retries_at_the_limit: The same after a 429, where that should be more often: such a request only waits its turn.
        max_response_bytes: Bytes that one response may have, as it comes and decompressed.
        longest_wait: Seconds of ``Retry-After`` that are waited; if the server asks for more, the request fails at once.
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
