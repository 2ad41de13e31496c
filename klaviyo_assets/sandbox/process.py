"""A sandbox in its own process, for tests."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

import httpx

from klaviyo_assets.sandbox.keys import Keys
from klaviyo_assets.sandbox.options import SandboxOptions, catalog_of

_TIMEOUT = 60.0
"""Timeout of an admin request in seconds: the truth of a big account takes a while."""


class SandboxProcess:
    """Starts a sandbox on a free port of this machine and stops it at the end.

    Use it as a context manager. The process ends by itself if this process dies.

    Args:
        options: The sandbox's options.

    Attributes:
        base_url: Scheme, host and port of the running sandbox.

    Example:
        >>> with SandboxProcess(SandboxOptions(events=100, profiles=20)) as sandbox:
        ...     sandbox.advance(timedelta(hours=1))
        ...     sandbox.counts()["events"]
    """

    base_url: str

    def __init__(self, options: SandboxOptions | None = None) -> None:
        self.options = options or SandboxOptions()
        self._process: subprocess.Popen[str] | None = None

    @property
    def keys(self) -> Keys:
        """The sandbox's API keys.

        Raises:
            CatalogError: If the options name a catalog that cannot be loaded.
        """
        return Keys(self.options.seed, catalog_of(self.options))

    def __enter__(self) -> Self:
        """Start the process and wait until it responds."""
        try:
            # It listens before it prints its address, so a request sent after that gets a response.
            line = self._start()
            if not line:
                raise RuntimeError("the sandbox ended before it was ready")
            self.base_url = json.loads(line)["base_url"]
            self._admin = httpx.Client(base_url=f"{self.base_url}/sandbox", timeout=_TIMEOUT, trust_env=False)
            self.now()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Stop the process."""
        self._admin.close()
        self._stop()

    def _arguments(self) -> list[str]:
        """Return the arguments of ``python -m klaviyo_assets.sandbox``."""
        return ["--child", "--port=0", *self.options.arguments()]

    def _start(self) -> str:
        """Start the process and return its first line; the line is empty if the process ended first."""
        command = [sys.executable, "-m", "klaviyo_assets.sandbox", *self._arguments()]
        # The child imports the package from the same path as this process.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def _stop(self) -> None:
        if self._process is None:
            return
        with self._process as process:
            process.terminate()

    def truth_lines(self, type: str, additional_fields: tuple[str, ...] | None = None) -> list[bytes]:
        """Return every record of a type as it is now, each as the JSON that the API sends.

        Args:
            type: Name of the type, plural.
            additional_fields: Additional fields to return; all of them if None.
        """
        parameters = {} if additional_fields is None else {"additional-fields": ",".join(additional_fields)}
        response = self._admin.get(f"/truth/{type}", params=parameters)
        return _checked(response).content.splitlines()

    def truth(self, type: str) -> list[dict[str, Any]]:
        """Return every record of a type as it is now; ``meta.channel`` is a campaign's channel."""
        return [json.loads(line) for line in self.truth_lines(type)]

    def shop(self) -> dict[str, Any]:
        """Return the figures of the shop as they are now, to compare computed ones with: messages, orders, customers, cohorts, totals.

        :func:`klaviyo_assets.sandbox.shop_truth.shop_truth` describes them.
        """
        found: dict[str, Any] = self._get("/shop")
        return found

    def counts(self) -> dict[str, int]:
        """Return the number of records by type, and as ``coming`` the number of events that have not arrived yet."""
        found: dict[str, int] = self._get("/counts")
        return found

    def now(self) -> datetime:
        """Return the sandbox's time."""
        return datetime.fromisoformat(self._get("/clock")["now"])

    def advance(self, by: timedelta) -> datetime:
        """Move the sandbox's clock ahead and return its time."""
        return datetime.fromisoformat(self._post("/clock", {"advance": by.total_seconds()})["now"])

    def set_clock(self, to: datetime) -> datetime:
        """Move the sandbox's clock ahead to an instant and return its time."""
        return datetime.fromisoformat(self._post("/clock", {"set": to.isoformat()})["now"])

    def change(self, kind: str, **details: Any) -> list[str]:
        """Change the account now and return the ids of the affected records.

        Args:
            kind: ``round``, ``add``, ``update``, ``archive``, ``event``, ``attribution``, ``delete`` or ``merge``.
            details: The arguments of this kind, see :func:`klaviyo_assets.sandbox.scripted.apply_change`; a datetime is converted to text.
        """
        plain = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()}
        ids: list[str] = self._post("/changes", {"kind": kind, **plain})["ids"]
        return ids

    def faults(self, *faults: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Add faults and return all pending ones; see :class:`klaviyo_assets.sandbox.faults.Fault` for their members."""
        pending: list[dict[str, Any]] = self._post("/faults", [dict(fault) for fault in faults]) if faults else self._get("/faults")
        return pending

    def clear_faults(self) -> None:
        """Remove every fault."""
        self._post("/faults", [])

    def stats(self) -> dict[str, Any]:
        """Return the requests since the start or the last reset: totals by endpoint, and a log."""
        found: dict[str, Any] = self._get("/stats")
        return found

    def reset_stats(self) -> None:
        """Reset the statistics."""
        self._post("/stats/reset", {})

    def _get(self, path: str) -> Any:
        return _checked(self._admin.get(path)).json()

    def _post(self, path: str, content: Any) -> Any:
        return _checked(self._admin.post(path, json=content)).json()


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise ValueError(f"the sandbox rejected {response.request.method} {response.request.url.path}: {response.text}")
    return response
