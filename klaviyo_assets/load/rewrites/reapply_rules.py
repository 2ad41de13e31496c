"""Applies field rules to rows that were stored without them. Where stored values cannot be changed that way, the rows are read again."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl
from duckdb import DuckDBPyConnection

from klaviyo_assets.load.parts.row_places import RowPlaces
from klaviyo_assets.load.parts.row_ranges import RowRange, row_ranges, transactions_of
from klaviyo_assets.load.rows.computed import with_computed
from klaviyo_assets.load.rows.upsert import own_columns, text_columns
from klaviyo_assets.load.schema.foreign_objects import foreign_columns
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.load.views.metric_views import MetricViews
from klaviyo_assets.privacy.apply import AppliedRule, FieldRuleSet, fingerprint_of
from klaviyo_assets.privacy.rules import Action
from klaviyo_assets.state.bookkeeping_copy import BookkeepingCopy
from klaviyo_assets.state.coverage_store import CoverageStore
from klaviyo_assets.state.field_rule_log import FieldRuleLog
from klaviyo_assets.warehouse.ddl import SchemaColumns
from klaviyo_assets.warehouse.sql import quoted


@dataclass(frozen=True)
class StoredRules:
    """The field rules of one resource type, and the rules that its rows were stored with. Use it in a transaction.

    Args:
        connection: The database.
        tables: Names of the tables.
        field_rules: The rules.
        known: The schema's columns, if they have been read.
        note: Gets a relation with the rows that a rewrite has changed.
    """

    connection: DuckDBPyConnection
    tables: Tables
    field_rules: FieldRuleSet
    known: SchemaColumns | None = None
    note: Callable[[str], None] = lambda _: None

    @property
    def log_exists(self) -> bool:
        """Whether any resource type of the schema has or had rules."""
        return self._log.exists

    @property
    def are_up_to_date(self) -> bool:
        """Whether the rows were stored with these rules."""
        return set(self.recorded) == set(self.field_rules.applied)

    @property
    def are_tightened(self) -> bool:
        """Whether a rule is new or changed, so earlier values must not remain anywhere."""
        return not set(self.field_rules.applied) <= set(self.recorded)

    @property
    def are_lost(self) -> bool:
        """Whether the rows were stored with rules that are no longer recorded, because another program has dropped or emptied the table."""
        return self._copy.lost_rules(self.tables.entry.name, self.recorded)

    def update_copy(self, *, is_new: bool) -> Iterator[str]:
        """Compare the recorded rules with their copy, then update the copy. Yields messages for the user.

        Args:
            is_new: True if the table of the resource type has just been created, so no row was stored with any rule.
        """
        if self.are_lost and not is_new:
            name = self.tables.entry.name
            yield (
                f"The table {self.tables.schema}.{FieldRuleLog.NAME} lacked the field rules that the rows of {name} were stored with: "
                "the rules of this sync are applied to all rows again. Values that are hashed or dropped already stay so; if the rules or the salt "
                "have changed since, everything is read again."
            )
        self._copy.note_rules(self.tables.entry.name, has_rules=bool(self.recorded))

    def ranges(self) -> list[list[RowRange]]:
        """Return the rows to rewrite, grouped by transaction: several if wide rows have more bytes than one transaction can hold.

        Empty if no rule is new or changed.
        """
        if not self.are_tightened:
            return []
        texts = text_columns(self.tables.entry)
        return transactions_of(row_ranges(self.connection, self._places.rows, texts))

    def begin_rewrite(self, fingerprint: Callable[[str | None], str]) -> None:
        """Change the fingerprint of the coverage until :meth:`finish`, for a rewrite in several transactions.

        If the rewrite is interrupted and the user then removes the rules, the coverage must not count: some rows have lost values.
        """
        self._replace_fingerprint(fingerprint(fingerprint_of(self.recorded)), _unfinished(fingerprint(fingerprint_of(self.recorded))))

    def rewrite(self, ranges: Sequence[RowRange]) -> int:
        """Apply the rules to the rows of some ranges, and return how many rows changed. Rows that were rewritten before do not change."""
        return sum(self._rewrite_range(range_) for range_ in ranges)

    def finish(self, fingerprint: Callable[[str | None], str]) -> None:
        """Record the rules, once they are applied to all rows.

        Every row is then as if it had been read with these rules, so the coverage remains valid. If a rule was loosened or its salt changed, the
        rows are read again instead.

        Args:
            fingerprint: Returns the fingerprint of a read, given the fingerprint of its rules.
        """
        before, now = self.recorded, self.field_rules.applied
        if all(_remains_valid(one, now) for one in before):
            old = fingerprint(fingerprint_of(before))
            for found in (old, _unfinished(old)):
                self._replace_fingerprint(found, fingerprint(fingerprint_of(now)))
        self._record(now)

    def _replace_fingerprint(self, before: str, after: str) -> None:
        CoverageStore(self.connection, self.tables.warehouse, self.tables.schema).change_fingerprint(self.tables.entry.name, after, before=before)

    @property
    def recorded(self) -> tuple[AppliedRule, ...]:
        """The rules that the rows were stored with."""
        return self._log.rules(self.tables.entry.name)

    def _record(self, rules: Sequence[AppliedRule]) -> None:
        self._log.replace(self.tables.entry.name, rules)
        self._copy.note_rules(self.tables.entry.name, has_rules=bool(rules))

    def _rewrite_range(self, range_: RowRange) -> int:
        rows, places = self.tables.rows, self._places
        entry = self.tables.entry
        users = foreign_columns(self.connection, rows, own_columns(entry))
        others = [*users, *(quoted(column.name) for column in entry.computed_columns)]
        received = f"* EXCLUDE ({', '.join(others)})" if others else "*"
        before = self.connection.sql(f"SELECT {received} FROM {places.rows} WHERE {range_.condition}").pl()
        after = self.field_rules.apply(before, again=True)
        columns = sorted(self.field_rules.columns & set(before.columns))
        differs = pl.Series([False]).new_from_index(0, before.height)
        for name in columns:
            differs |= before[name].ne_missing(after[name])
        # Replace all rows of a place: without rowid, rows with the same key share one.
        changed = after.filter(after["place"].is_in(after["place"].filter(differs).implode()))
        if changed.height:
            self.connection.register("rewritten_rows", changed)
            listed = "".join(f", {name}" for name in users)
            values = f"SELECT DISTINCT ON (place) place{listed} FROM {places.rows} WHERE place IN (SELECT place FROM rewritten_rows)"
            self.connection.execute(f"CREATE OR REPLACE TEMP TABLE user_values AS {values}")
            self.connection.execute(f"DELETE FROM {rows} WHERE {places.are_among('SELECT place FROM rewritten_rows')}")
            changed_rows = with_computed(entry, "(SELECT * EXCLUDE (place) FROM rewritten_rows JOIN user_values USING (place))")
            self.connection.execute(f"INSERT INTO {rows} BY NAME FROM {changed_rows}")
            self.connection.execute("DROP TABLE temp.user_values")
            self.note("rewritten_rows")
            self.connection.unregister("rewritten_rows")
            if entry.has_metric_views:  # a hash is a text, whatever the value was
                MetricViews(self.connection, self.tables.warehouse, self.tables.schema).note_rewritten(changed)
        return changed.height

    @cached_property
    def _places(self) -> RowPlaces:
        return self.tables.places(self.connection)

    @property
    def _log(self) -> FieldRuleLog:
        return FieldRuleLog(self.connection, self.tables.warehouse, self.tables.schema, self.known)

    @property
    def _copy(self) -> BookkeepingCopy:
        return BookkeepingCopy(self.tables.warehouse, self.tables.schema)


def _unfinished(fingerprint: str) -> str:
    """Return the fingerprint of coverage while rules are being applied to its rows."""
    return f"{fingerprint}, rules not applied to all rows"


def _remains_valid(before: AppliedRule, now: Sequence[AppliedRule]) -> bool:
    """Return whether the values that a rule stored match the current rules: the same rule is there, or one that drops the field or its parent."""
    dropped = any(one.action is Action.DROP and (before.field == one.field or before.field.startswith(f"{one.field}.")) for one in now)
    return dropped or before in now
