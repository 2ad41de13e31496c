"""The root of all errors that this package raises.

Every error that a user can see derives from :class:`KlaviyoAssetsError`. Each is defined in the module that raises it; this is the tree::

    KlaviyoAssetsError
      x KlaviyoError            the Klaviyo API: key, scopes, limits, network (its own tree: klaviyo_assets/api/errors.py)
      x SyncError               a sync: run config, account, locks, files (its own tree: klaviyo_assets/sync/errors.py)
      x WarehouseError          the database cannot be used (klaviyo_assets/warehouse/base.py)
        - WarehouseBusy         another process has it open
      x InvalidSetting          an environment variable has an unusable value (klaviyo_assets/settings.py)
      x InvalidDefinition       code passes an unusable value to this package (klaviyo_assets/validation.py)
      x InvalidFieldRules       a field rule names an unknown field or an impossible action (klaviyo_assets/privacy/rules.py)
      x AmbiguousName           the schema and the database have the same name (klaviyo_assets/warehouse/default_name.py)
      x DemoFailed              ``klaviyo-assets demo`` cannot start (klaviyo_assets/cli/demo.py)
      x OutputFailed            the terminal output cannot be written (klaviyo_assets/cli/output.py)
"""

from typing import ClassVar

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import LONGEST, one_line


class KlaviyoAssetsError(Exception):
    """Base of all errors of this package.

    Control characters in the texts are escaped, and anything that looks like a private API key is masked.

    Args:
        summary: What happened and where, one sentence.
        advice: What the user can do next; the class's own advice if empty.
    """

    advice: str = ""
    longest: ClassVar[int] = LONGEST
    """Characters of a summary or advice; longer texts are cut."""

    def __init__(self, summary: str, advice: str = "") -> None:
        self.summary = one_line(redact(summary), self.longest)
        if advice:
            self.advice = one_line(redact(advice), self.longest)
        super().__init__(str(self))

    @property
    def message(self) -> str:
        """What happened and where, without the advice."""
        return self.summary

    def __str__(self) -> str:
        return f"{self.message} What to do: {self.advice}" if self.advice else self.message
