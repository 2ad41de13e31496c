"""Server time from the ``Date`` headers of responses; trusted once two sources agree.

Coverage records up to when everything has been read, so a time in the future would hide records for good. A response may come through a proxy with a
wrong clock, and this machine's clock may be wrong as well. A time is trusted if two of them agree.

Two responses from the same proxy agree even if both are wrong. So responses that differ from this machine's clock by years are trusted only if this
machine's time is before the API revision existed and theirs is within the time that Klaviyo serves it. Otherwise one of the clocks is wrong, but it
is unknown which: the sync fails with an error, since a time in the past would find nothing to read, and one far in the future would be recorded as
covered before it has come.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from klaviyo_assets.catalog import REVISION

AGREE_WITHIN = timedelta(minutes=10)
"""Maximum difference of two clocks that agree. Smaller differences do no harm: each sync reads the last hour again."""

MAX_DIFFERENCE = timedelta(days=2 * 366)
"""Maximum difference between Klaviyo's clock and this machine's. Up to it, Klaviyo's clock is used, with a warning."""

_REVISION_BEGINS = datetime.fromisoformat(REVISION).replace(tzinfo=UTC)
_REVISION_ENDS = _REVISION_BEGINS + timedelta(days=3 * 366)
"""Klaviyo serves a revision for two years (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy), plus a year of margin."""

_EARLIEST_DATE, _LATEST_DATE = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Dates are clamped to these bounds, so date arithmetic cannot overflow."""

_RESPONSES_WITHOUT_DATE = 3
"""After this many responses without a ``Date``, the server is assumed never to send one."""

_log = logging.getLogger("klaviyo_assets")


def _machine_now() -> datetime:
    return datetime.now(UTC)


class ServerClock:
    """The server's clock, from its responses.

    It starts at the first trusted response and advances with the machine's monotonic clock. Later responses and changes of the machine's clock do not
    affect it.

    Args:
        machine: This machine's clock.
        ticks: A monotonic clock, in seconds.

    Attributes:
        is_trusted: True once a time is trusted.
        disagreement: The times of the responses and of this machine if they are too far apart to trust either, else None.

    Example:
        >>> clock = ServerClock()
        >>> clock.note(server_date)
        >>> clock.is_trusted, clock.now()
    """

    def __init__(self, machine: Callable[[], datetime] = _machine_now, ticks: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._ticks = ticks
        self._shown: tuple[datetime, float] | None = None
        self._undated = 0
        self._warned = False
        self.is_trusted = False
        self.disagreement: tuple[datetime, datetime] | None = None

    @property
    def disagreement_text(self) -> str | None:
        """The disagreement as a sentence, or None if there is none."""
        if self.is_trusted or self.disagreement is None:
            return None
        return "Klaviyo's responses say that it is {}, and this machine's clock says that it is {}.".format(*_shown(*self.disagreement))

    @property
    def is_known(self) -> bool:
        """True once there has been a response, trusted or not."""
        return self._shown is not None

    def now(self) -> datetime:
        """Return the server's time.

        Raises:
            RuntimeError: Before the first response.
        """
        if self._shown is None:
            raise RuntimeError("the server's clock is unknown before the first response")
        shown, at = self._shown
        return shown + timedelta(seconds=self._ticks() - at)

    def note(self, date: datetime | None) -> None:
        """Record a response's ``Date``, None if it has none."""
        date = min(max(date, _EARLIEST_DATE), _LATEST_DATE) if date is not None else None
        if self.is_trusted:
            self._compare(date)
        elif date is None:
            self._note_missing_date()
        else:
            self.is_trusted = self._agrees(date, self._machine()) or (self._is_confirmed(date) and self._is_plausible(date))
            self._show(date)
            self._undated = 0

    def _is_confirmed(self, date: datetime) -> bool:
        return self._undated == 0 and self.is_known and self._agrees(date, self.now())

    def _is_plausible(self, date: datetime) -> bool:
        """Return whether to trust responses that differ from this machine's clock. Logs a warning if so, else notes the disagreement."""
        machine = self._machine()
        is_plausible = abs(date - machine) <= MAX_DIFFERENCE or machine < _REVISION_BEGINS <= date <= _REVISION_ENDS
        if is_plausible:
            _log.warning(
                "Klaviyo's clock shows %s and this machine's clock %s; Klaviyo's is used. Correct this machine's clock.", *_shown(date, machine)
            )
        else:
            self.disagreement = date, machine
        return is_plausible

    def catch_up(self, instant: datetime) -> None:
        """Make sure that the clock is not before an instant."""
        if instant > self.now():
            self._show(instant)

    def _note_missing_date(self) -> None:
        self._undated += 1
        if not self.is_known:
            self._show(self._machine())
        if self._undated >= _RESPONSES_WITHOUT_DATE:
            self.is_trusted = True
            self._show(self._machine())
            _log.warning("Klaviyo's responses have no Date header; this machine's clock is used instead, so it should be correct.")

    def _compare(self, date: datetime | None) -> None:
        if date is not None and not self._warned and not self._agrees(date, self.now()):
            self._warned = True
            _log.warning("One response says that it is %s at Klaviyo, the others say %s; it is ignored.", date, self.now().replace(microsecond=0))

    def _show(self, date: datetime) -> None:
        self._shown = date, self._ticks()

    @staticmethod
    def _agrees(one: datetime, other: datetime) -> bool:
        return abs(one - other) <= AGREE_WITHIN


def _shown(*instants: datetime) -> list[str]:
    return [f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC" for instant in instants]
