"""Statistics of the requests to the sandbox."""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

_LOGGED = 20_000
"""Maximum number of requests in the log; older ones are dropped."""


@dataclass
class _Endpoint:
    requests: int = 0
    throttled: int = 0
    dropped: int = 0
    bytes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)


class Stats:
    """Counts requests and responses by endpoint, and logs the latest requests."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Reset all counts and the log."""
        self._endpoints: dict[str, _Endpoint] = {}
        self._log: deque[dict[str, Any]] = deque(maxlen=_LOGGED)

    def record(self, endpoint: str, path: str, query: str, status: int | None, size: int) -> None:
        """Record a request.

        Args:
            endpoint: The endpoint.
            path: The requested path.
            query: The query string as received.
            status: Status of the response; None if there was none.
            size: Length of the response's body.
        """
        counted = self._endpoints.setdefault(endpoint, _Endpoint())
        counted.requests += 1
        counted.bytes += size
        if status is None:
            counted.dropped += 1
        else:
            counted.statuses[status] += 1
            counted.throttled += status == 429
        self._log.append({"endpoint": endpoint, "path": path, "query": query, "status": status})

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain data."""
        endpoints = {
            name: {
                "requests": one.requests,
                "throttled": one.throttled,
                "dropped": one.dropped,
                "bytes": one.bytes,
                "statuses": {str(status): count for status, count in sorted(one.statuses.items())},
            }
            for name, one in sorted(self._endpoints.items())
        }
        total = sum(one.requests for one in self._endpoints.values())
        return {"requests": total, "endpoints": endpoints, "log": list(self._log)}
