"""The account of a schema: the first sync pins it, and keys of other accounts are rejected."""

from dataclasses import dataclass

from klaviyo_assets.errors import AccountMismatch
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.identity import UNKNOWN_ACCOUNT
from klaviyo_assets.state.sync_log import SyncLog


@dataclass(frozen=True)
class AccountPin:
    """The account of a schema, as recorded in ``_syncs`` and ``_coverage``; in the caller's transaction.

    Args:
        log: The syncs of the schema.
        coverage: The coverage of the schema.
        notes: Receives messages for the user.
    """

    log: SyncLog
    coverage: CoverageStore
    notes: list[str]

    def pin(self, account_id: str, *, key_seen: bool, accept_other: bool = False, failure: str | None = None) -> str:
        """Limit the schema to one account, and set the account of earlier reads with an unknown account.

        Args:
            account_id: The key's account, or ``unknown``.
            key_seen: True if the key has filled this schema before.
            accept_other: True to let the schema change to another account.
            failure: Why the account could not be requested, if a later request may succeed.

        Returns:
            The account of the sync.

        Raises:
            AccountMismatch: If the schema contains another account's data, or if that cannot be determined.
        """
        pinned = self._pinned()
        if account_id == UNKNOWN_ACCOUNT:
            return self._unknown(pinned, key_seen=key_seen, accept_other=accept_other, failure=failure)
        if pinned is not None and pinned != account_id:
            self._change(pinned, account_id, accept_other=accept_other)
        if pinned is None and not key_seen and self._filled_by_others():
            self.notes.append(
                f"The schema {self.log.schema} was filled with another key, whose account is unknown: its rows are attributed to "
                f"account {account_id} from now on. If they are another's, use another schema or KLAVIYO_DUCKDB_PATH for this key."
            )
        self.log.name_account(account_id, UNKNOWN_ACCOUNT)
        self.coverage.name_account(account_id, UNKNOWN_ACCOUNT)
        return account_id

    def _pinned(self) -> str | None:
        """Return the account of the latest sync with a known account; if ``_syncs`` was dropped, that of the coverage."""
        return self.log.latest_account(UNKNOWN_ACCOUNT) or self.coverage.latest_account(UNKNOWN_ACCOUNT)

    def _filled_by_others(self) -> bool:
        """Return whether another key has synced rows before."""
        return self.log.any_rows_inserted()

    def _unknown(self, pinned: str | None, *, key_seen: bool, accept_other: bool, failure: str | None) -> str:
        schema = self.log.schema
        why = failure or "it has no accounts:read"
        if pinned is not None and not key_seen and not accept_other:
            later = "Run the sync again later; if that does not help: " if failure else ""
            raise AccountMismatch(
                f"The schema {schema} holds the data of Klaviyo account {pinned}, and it is unknown whether the API key, which is "
                f"new here, belongs to that account: {why}.",
                f"{later}Use a key that has accounts:read, or set its account (KLAVIYO_ACCOUNT_ID={pinned}), or use another schema or "
                "KLAVIYO_DUCKDB_PATH.",
            )
        if not key_seen:
            others = (
                " It was filled with another key before, and whether both keys belong to one account is unknown." if self._filled_by_others() else ""
            )
            self.notes.append(
                f"The account of the API key is unknown ({why}), so a key of another account would not be noticed "
                f"in the schema {schema}.{others} Set its account with KLAVIYO_ACCOUNT_ID, or use a key that has accounts:read."
            )
        return pinned or UNKNOWN_ACCOUNT

    def _change(self, pinned: str, account_id: str, *, accept_other: bool) -> None:
        schema = self.log.schema
        if not accept_other:
            raise AccountMismatch(
                f"The schema {schema} holds the data of Klaviyo account {pinned}, and the API key belongs to account {account_id}.",
                "Use the key of that account, or another schema or KLAVIYO_DUCKDB_PATH for this one. "
                "If the schema is to hold the data of the key's account, set KLAVIYO_ACCEPT_OTHER_ACCOUNT=true for one sync of each asset.",
            )
        # Reads of the other account do not cover this one.
        self.coverage.clear_all()
        self.notes.append(
            f"The schema {schema} changes from Klaviyo account {pinned} to {account_id}: everything is read again. Rows of {pinned} stay until a "
            "sync with mode full marks them as deleted."
        )
