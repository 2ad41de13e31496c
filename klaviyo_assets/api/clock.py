"""Server time from the ``Date`` headers of responses; trusted once two sources agree.

Coverage says up to when everything has been read, so a time that lies ahead would hide records for good. One response may come through a proxy with a
wrong clock; the clock of this machine may be wrong as well. Two that agree are believed.

Two responses of one proxy agree with each other, too, however wrong they are. So responses that are years away from this machine's clock are believed
only if this machine shows a time before the API revision existed, and they show one at which it is served. Else one of the two clocks is wrong and
which one is unknown: the sync fails and says so, since with a time long past it would find nothing to read, and with one far ahead it would cover
what is still to come.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from klaviyo_assets.catalog import REVISION

AGREE_WITHIN = timedelta(minutes=10)
"""By how much two clocks may differ and still agree. What differs by less is made good: the last hour is read again at each sync."""

MOST_APART = timedelta(days=2 * 366)
"""By how much Klaviyo's clock may differ from this machine's: up to here Klaviyo's is used, with a warning."""

_REVISION_BEGINS = datetime.fromisoformat(REVISION).replace(tzinfo=UTC)
_REVISION_ENDS = _REVISION_BEGINS + timedelta(days=3 * 366)
"""Klaviyo serves a revision for two years (https://developers.klaviyo.com/en/docs/api_versioning_and_deprecation_policy); with a year to spare."""

_FIRST, _LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""What lies beyond is as wrong as these, and with these can be calculated."""

_ANSWERS_WITHOUT_A_DATE = 3
"""So many responses without a ``Date``, and the server does not send any."""

_log = logging.getLogger("klaviyo_assets")


def _machine_now() -> datetime:
    return datetime.now(UTC)


class ServerClock:
    """The server's clock, from its responses.

    It runs on from the first response that is believed, by the machine's monotonic clock. Neither later responses nor a change of the machine's clock
    move it.

    Args:
        machine: This machine's clock.
        ticks: Seconds that only go forward.

    Attributes:
        is_sure: True once a time is believed.
        dispute: What two responses and this machine say, where these are too far apart for either to be believed; else None.

    Example:
        >>> clock = ServerClock()
        >>> clock.note(server_date)
        >>> clock.is_sure, clock.now()
    """

    def __init__(self, machine: Callable[[], datetime] = _machine_now, ticks: Callable[[], float] = time.monotonic) -> None:
        self._machine = machine
        self._ticks = ticks
        self._shown: tuple[datetime, float] | None = None
        self._undated = 0
        self._warned = False
        self.is_sure = False
        self.dispute: tuple[datetime, datetime] | None = None

    @property
    def dispute_in_words(self) -> str | None:
        """What two responses and this machine say, as a sentence; None where there is no dispute."""
        if self.is_sure or self.dispute is None:
            return None
        return "Klaviyo's responses say that it is {}, and this machine's clock says that it is {}.".format(*_shown(*self.dispute))

    @property
    def is_known(self) -> bool:
        """True once there has been a response, sure or not."""
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
        date = min(max(date, _FIRST), _LAST) if date is not None else None
        if self.is_sure:
            self._compare(date)
        elif date is None:
            self._go_without()
        else:
            self.is_sure = self._agrees(date, self._machine()) or (self._is_confirmed(date) and self._is_believable(date))
            self._show(date)
            self._undated = 0

    def _is_confirmed(self, date: datetime) -> bool:
        return self._undated == 0 and self.is_known and self._agrees(date, self.now())

    def _is_believable(self, date: datetime) -> bool:
        """Whether responses that differ from this machine's clock are believed; this is said either way."""
        machine = self._machine()
        is_believable = abs(date - machine) <= MOST_APART or machine < _REVISION_BEGINS <= date <= _REVISION_ENDS
        if is_believable:
            _log.warning(
                "Klaviyo's clock shows %s and this machine's clock %s; Klaviyo's is used. Correct this machine's clock.", *_shown(date, machine)
            )
        else:
            self.dispute = date, machine
        return is_believable

    def catch_up(self, instant: datetime) -> None:
        """Do not show less than an instant."""
        if instant > self.now():
            self._show(instant)

    def _go_without(self) -> None:
        self._undated += 1
        if not self.is_known:
            self._show(self._machine())
        if self._undated >= _ANSWERS_WITHOUT_A_DATE:
            self.is_sure = True
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
