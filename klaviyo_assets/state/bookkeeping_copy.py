"""A second copy of bookkeeping that must not be lost: who was erased, and which tables contain values that field rules have changed.

It is a file in the state folder. Without it, if ``_erased`` were dropped or emptied, or an older copy of the database restored, the next sync would
store erased people again; if ``_field_rules`` were lost, an erasure by e-mail address would miss the rows with its hash.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from klaviyo_assets._internal import private_files
from klaviyo_assets.state.tombstones import Tombstones
from klaviyo_assets.warehouse.interface import Warehouse

_log = logging.getLogger("klaviyo_assets")


class _CopiedBookkeeping(msgspec.Struct):
    """Hashes of the ids of erased records, and resource types with rows that were stored with field rules."""

    erased: list[str] = msgspec.field(default_factory=list)
    with_rules: list[str] = msgspec.field(default_factory=list, name="ruled")  # the name in files of earlier versions


@dataclass(frozen=True)
class BookkeepingCopy:
    """The copy for one schema. Use it while the database is open, which locks out other processes.

    It is written before the commit of the tables. If that commit fails, the copy contains too much, which is harmless: a record that should have been
    erased is not stored again, and rules are applied once more.

    Args:
        warehouse: The database.
        schema: DuckDB schema.
    """

    warehouse: Warehouse
    schema: str

    @property
    def path(self) -> Path:
        """The file."""
        return self.warehouse.state_dir / self.schema.lower() / "bookkeeping.json"

    @property
    def types_with_rules(self) -> frozenset[str]:
        """Resource types with rows that were stored with field rules."""
        return frozenset(self._read().with_rules)

    def note_rules(self, name: str, *, has_rules: bool) -> None:
        """Record whether the rows of a resource type are stored with field rules.

        Raises:
            OSError: If the file cannot be written.
        """
        content = self._read()
        with_rules = {*content.with_rules} | {name} if has_rules else {*content.with_rules} - {name}
        if with_rules != {*content.with_rules}:
            self._write(_CopiedBookkeeping(content.erased, sorted(with_rules)))

    def note_erased(self, tombstones: Tombstones) -> None:
        """Add the hashes of the table.

        Raises:
            OSError: If the file cannot be written.
        """
        content = self._read()
        hashes = tombstones.hashes() | {*content.erased}
        if hashes != {*content.erased}:
            self._write(_CopiedBookkeeping(sorted(hashes), content.with_rules))

    def restore_erased(self, tombstones: Tombstones) -> Iterator[str]:
        """Restore hashes that the table has lost, in the caller's transaction; yield messages for the user."""
        lost = {*self._read().erased} - tombstones.hashes()
        if lost:
            tombstones.add_hashes(lost)
            yield (
                f"The table {self.schema}._erased lacked {len(lost)} record{'s' * (len(lost) > 1)} that had been erased: restored from {self.path}, "
                "so syncs still do not store them. If an older copy of the database was put in place, run erase again: it may hold their rows. "
                "To store them again on purpose, delete that file and the rows of _erased."
            )
        self.note_erased(tombstones)

    def lost_rules(self, name: str, recorded: Iterable[object]) -> bool:
        """Return whether the rows of a resource type were stored with field rules that are missing from ``_field_rules``.

        Args:
            name: The resource type.
            recorded: Its rules in the table.
        """
        return name in self.types_with_rules and not list(recorded)

    def _read(self) -> _CopiedBookkeeping:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_CopiedBookkeeping)
        except FileNotFoundError:
            return _CopiedBookkeeping()
        except (ValueError, msgspec.MsgspecError, RecursionError):
            _log.warning("%s cannot be read and is created again from the tables _erased and _field_rules.", self.path)
            return _CopiedBookkeeping()

    def _write(self, content: _CopiedBookkeeping) -> None:
        private_files.make_folder(self.path.parent)
        partial = self.path.with_suffix(".tmp")
        private_files.write(partial, msgspec.json.encode(content))
        partial.replace(self.path)
