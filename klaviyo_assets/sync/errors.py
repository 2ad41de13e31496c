"""What can go wrong in a sync other than Klaviyo and the database.

The hierarchy::

    SyncError
      - InvalidRange      the run's config asks for something that cannot be read
      - SyncTaken         another run is syncing this resource type
      - AccountMismatch   the schema holds another account's data
"""

from klaviyo_assets.text import one_line


class SyncError(Exception):
    """Base of the errors of a sync.

    Args:
        summary: What happened, one sentence.
        advice: What the user can do next.
    """

    def __init__(self, summary: str, advice: str) -> None:
        self.summary = one_line(summary)
        self.advice = one_line(advice)
        super().__init__(f"{self.summary} What to do: {self.advice}")


class InvalidRange(SyncError):
    """The run's config names a field or span that cannot be read."""


class SyncTaken(SyncError):
    """Another run is syncing this resource type; nothing was done."""


class AccountMismatch(SyncError):
    """The key belongs to one account, the schema holds another's data; nothing was done."""


def first_error(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error of a group of tasks; the others are mostly the same fault met by others."""
    inner = errors.exceptions[0]
    return first_error(inner) if isinstance(inner, BaseExceptionGroup) else inner
