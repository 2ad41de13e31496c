"""Builds one model in the caller's transaction: a complete build, or an update of the groups that have changed."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from uuid import uuid4

import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.errors import NotOurs
from klaviyo_assets.marts.day_versions import DayOfModel, DayVersions
from klaviyo_assets.marts.definition import contents_of, definition_of, rules_of
from klaviyo_assets.marts.library import marts_schema
from klaviyo_assets.marts.mart_errors import SOURCE_ADVICE, InvalidModel, ModelFailed
from klaviyo_assets.marts.model import Model, Scope
from klaviyo_assets.marts.results import Outcome
from klaviyo_assets.marts.sources import CHANGED, Sources, group_of, is_changed
from klaviyo_assets.marts.stores import Built, BuiltModels, Capture, ChangedGroups, GroupEvents
from klaviyo_assets.marts.version import digest_of_rows, version_of_rows, version_of_view
from klaviyo_assets.warehouse.ddl import change_types
from klaviyo_assets.warehouse.error_text import error_text
from klaviyo_assets.warehouse.sql import count_rows, literal, quoted

_LARGE_SHARE = 0.2
"""Share of all groups from which on a complete build costs less than an update; both give the same rows."""

_LINE = re.compile(r"\bLINE (\d+):")

_OF_STATEMENTS = (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError)
"""DuckDB's errors of a statement, not of the database."""

_OTHER_SOURCE = re.compile(r"No files found|requires? the extension|required extension|for HTTP [A-Z]+ to '")
"""What other errors say if they are about a file or a server that a statement reads, or an extension that it needs."""


@dataclass(frozen=True)
class Done:
    """What a build did.

    Attributes:
        outcome: Rebuilt, updated or unchanged.
        reason: Why it was rebuilt.
        groups: How many groups were computed again.
        rules_changed: Whether field rules have changed since the build before.
        version: Data version of the rows.
        days: Of a model that is maintained by day: all days with rows.
        computed: Those that were computed because of a change.
    """

    outcome: Outcome
    reason: str = ""
    groups: int = 0
    rules_changed: bool = False
    version: str = ""
    days: Mapping[str, DayOfModel] = field(default_factory=dict)
    computed: Collection[str] = ()


@dataclass(frozen=True)
class ModelBuild:
    """The build of one model.

    Args:
        sources: The sources of the connection.
        model: The model, without a problem.
        capture: The capture of changes that it follows; None for a model that is rebuilt each time.
        rebuild: True to rebuild it in any case.
        days: Days that a model maintained by day computes again in any case.
    """

    sources: Sources
    model: Model
    capture: Capture | None
    rebuild: bool = False
    days: Collection[str] = ()

    def run(self) -> Done:
        """Build the table, its comments and its bookkeeping.

        Raises:
            ModelFailed: If DuckDB refuses the statement, with the line.
            InvalidModel: If the result lacks a column that the header describes.
            NotOurs: If another program has made a table with this name.
        """
        self.sources.create_views(sorted(self.model.sources))
        last, now = self._store.get(self.model.name), self._now()
        if last is None and self.sources.built.of(self.model.name):
            raise NotOurs(
                f"{marts_schema(self.sources.schema)}.{self.model.name} was not made by klaviyo_assets, which needs this name for a mart.",
                "Rename or drop it. If only the table _models was lost, drop the schema with all marts; they are built again.",
            )
        rules_changed = last is not None and last.rules != now.rules
        reason = self._reason(last, now)
        if reason or last is None or self.capture is None:
            if self.model.header.view is None:
                self._rebuild()
            else:
                self._create_view()
            generation = uuid4().hex
            version = self._version_of_rebuilt(last, generation)
            self._store.put(replace(now, generation=generation, version=version))
            return Done(Outcome.REBUILT, reason, 0, rules_changed, version, self._days, self._computed(last, now))
        groups = self._update(self.capture.scope)
        version = self._version_of_updated(last, now, groups)
        self._store.put(replace(now, generation=last.generation, version=version))
        outcome = Outcome.UPDATED if groups else Outcome.UNCHANGED
        return Done(outcome, groups=groups, version=version, days=self._days, computed=self._computed(last, now))

    @property
    def _days(self) -> Mapping[str, DayOfModel]:
        return {day: one for day, one in self._day_versions.of(self.model.name).items() if day}

    def _computed(self, last: Built | None, now: Built) -> Collection[str]:
        """Return the days with changed events, apart from selected ones; all of a model that was not built before, or has another definition."""
        if last is None or last.definition != now.definition:
            return self._days.keys()
        if self.model.header.scope is not Scope.DAY or last.change is None or last.epoch != now.epoch:
            return ()
        return {day for (day,) in self._connection.execute(self._changes.since(Scope.DAY, last.change)).fetchall() if day}

    def _update_day_versions(self, version: str, *, only_changed: bool = False) -> int:
        """Compare the rows of days with those of the last build, give each day that differs a version, and return how many differ."""
        digest, among = digest_of_rows(self.sources, self.model.name), is_changed(Scope.DAY) if only_changed else "true"
        days = f"SELECT {group_of(Scope.DAY)} AS value, count(*) AS rows, {digest} AS digest FROM {self._table} WHERE {among} GROUP BY ALL"
        return self._day_versions.update(self.model.name, days, version, among)

    def _version_of_rebuilt(self, last: Built | None, generation: str) -> str:
        """Return the data version of what was just built: of a model maintained by profile a new one, since only a change rebuilds it."""
        if self.model.header.view is not None:
            return version_of_view(self.sources, self.model, self._store)
        if self.capture is None:
            return version_of_rows(self.sources, self.model.name)
        if self.model.header.scope is Scope.DAY and not self._update_day_versions(generation) and last is not None:
            return last.version or generation
        return generation

    def _version_of_updated(self, last: Built, now: Built, groups: int) -> str:
        """Return the data version after an update, which is the last one if no row has changed."""
        if self.model.header.scope is Scope.DAY:
            version, changed = uuid4().hex, 0
            if not self._day_versions.has(self.model.name):  # an earlier release of this library has built it
                changed = self._update_day_versions(version)
            elif groups:
                changed = self._update_day_versions(version, only_changed=True)
            return version if changed or last.version is None else last.version
        return f"{last.generation}-{now.change}" if groups or last.version is None else last.version

    def _now(self) -> Built:
        """Return what to record, apart from the generation."""
        scope, capture = self.model.header.scope, self.capture
        contents = contents_of(self.model, self.sources, self._generations()) if scope is not None else ""
        return Built(
            model=self.model.name,
            built_at=self.sources.context.now,
            generation="",
            definition=definition_of(self.model, self.sources),
            sources=contents,
            rules=rules_of(self.sources),
            epoch=capture.epoch if capture else None,
            change=capture.change if capture else None,
        )

    def _generations(self) -> list[str]:
        """Return the generations of the sources that are reduced to the groups that have changed."""
        reduced = [
            name for name in self.sources.models.needed_by(self.model.name) if self.sources.models[name].header.scope is self.model.header.scope
        ]
        return [built.generation for name in reduced if (built := self._store.get(name)) is not None]

    def _reason(self, last: Built | None, now: Built) -> str:
        """Return why the table must be built completely; empty if an update is enough."""
        if self.capture is None:
            return "it is built completely each time"
        if last is None or not self.sources.columns_of(self.model.name):
            return "it was not built before"
        reasons = {
            "this was requested": self.rebuild,
            "its SQL, the columns that it reads or the version of klaviyo_assets has changed": last.definition != now.definition,
            "the field rules have changed": last.rules != now.rules,
            "a source that is read completely has changed": last.sources != now.sources,
            "the events were read completely, or their changes were not followed": last.epoch != now.epoch,
        }
        if reason := next((reason for reason, applies in reasons.items() if applies), ""):
            return reason
        if last.change is None:
            return "its watermark is missing"
        return "many groups have changed" if self._changed_share(self.capture.scope, last.change) > _LARGE_SHARE else ""

    def _changed_share(self, scope: Scope, change: int) -> float:
        """Collect the groups that have changed after a change, and return their share of all groups."""
        changed = self._changes.since(scope, change)
        if self.days and scope is Scope.DAY:
            changed += f" UNION SELECT unnest([{', '.join(map(literal, sorted(self.days)))}])"
        self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {CHANGED} AS {changed}")
        count = count_rows(self._connection, f"FROM {CHANGED}")
        groups = count_rows(self._connection, f"FROM {self._groups.table} WHERE scope = {literal(scope.value)}")
        return count / max(groups, 1) if count else 0.0

    def _rebuild(self) -> None:
        """Build a new table, then put it in the place of the old one."""
        building = self.sources.warehouse.qualified(marts_schema(self.sources.schema), self._building_name)
        self._connection.execute(f"DROP TABLE IF EXISTS {building}")
        # The text begins on its own line, and DuckDB's line numbers are one more than the file's.
        self._execute(f"CREATE TABLE {building} AS\n{self.model.sql}", 1)
        self._refuse_missing_columns(building)
        self._refuse_other_days(building)
        self._narrow_sums(building)
        for kind in ("VIEW", "TABLE"):
            if self._is_a(kind):
                self._connection.execute(f"DROP {kind} {self._table}")
        self._connection.execute(f"ALTER TABLE {building} RENAME TO {quoted(self.model.name)}")
        self._comment("TABLE")

    @property
    def _building_name(self) -> str:
        """Unquoted name of the table that a rebuild fills."""
        return f"_{self.model.name}_building"

    def _narrow_sums(self, building: str) -> None:
        """Make columns of sums of integers BIGINT: DuckDB makes them HUGEINT, which pandas and BI tools read as decimals, or not at all."""
        described = self._connection.execute(f"SELECT column_name, column_type FROM (DESCRIBE {building})").fetchall()
        sums = [name for name, type_ in described if type_ == "HUGEINT"]
        if not sums:
            return
        fit = ", ".join(f"count({quoted(name)}) = count(try_cast({quoted(name)} AS BIGINT))" for name in sums)
        (fits,) = self._connection.execute(f"SELECT {fit} FROM {building}").fetchall()
        types = {name: ("BIGINT", quoted(name)) for name, one in zip(sums, fits, strict=True) if one}
        change_types(self._connection, self.sources.warehouse, marts_schema(self.sources.schema), self._building_name, types)

    def _create_view(self) -> None:
        """Create the view, or replace it. Its sources are common table expressions: temporary views would not outlive the connection."""
        if self.sources.warehouse.database.lower() == self.sources.schema.lower():
            what = f"A view cannot be made: database and schema are both called {self.sources.schema}, so {self.sources.schema}.events is ambiguous."
            raise InvalidModel(self.model.path, None, what, "Rename the database file, then materialize the view again.")
        schema = f"{quoted(self.sources.warehouse.database)}.{quoted(self.sources.schema_of(self.model.name))}"
        lasting = {name: self.sources.lasting(name) for name in sorted(self.model.sources)}
        sources = ", ".join(f"{quoted(name)} AS NOT MATERIALIZED ({select})" for name, select in lasting.items() if select is not None)
        self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        # The text begins on its own line, as in a table's statement.
        self._execute(f"CREATE OR REPLACE VIEW {self._table} AS {f'WITH {sources} ' if sources else ''}SELECT * FROM (\n{self.model.sql})", 1)
        self._refuse_missing_columns(self._table)
        self._comment("VIEW")

    def _comment(self, kind: str) -> None:
        self._connection.execute(f"COMMENT ON {kind} {self._table} IS {literal(self.model.header.description)}")
        for name, description in self.model.header.columns.items():
            self._connection.execute(f"COMMENT ON COLUMN {self._table}.{quoted(name)} IS {literal(description)}")

    def _update(self, scope: Scope) -> int:
        """Compute the groups again that have changed, and return how many."""
        groups = count_rows(self._connection, f"FROM {CHANGED}")
        if not groups:
            return 0
        self._refuse_other_days(self._table)
        self.sources.create_views(sorted(self.model.sources), scope)
        self._execute(f"CREATE OR REPLACE TEMP TABLE mart_rows AS SELECT * FROM (\n{self.model.sql}) WHERE {is_changed(scope)}", 1)
        self._connection.execute(f"DELETE FROM {self._table} WHERE {is_changed(scope)}")
        self._connection.execute(f"INSERT INTO {self._table} BY NAME FROM temp.mart_rows")
        self._connection.execute("DROP TABLE temp.mart_rows")
        return groups

    def _execute(self, statement: str, lines_before: int) -> None:
        try:
            self._connection.execute(statement)
        except duckdb.Error as error:
            from_source = isinstance(error, duckdb.HTTPException) or _OTHER_SOURCE.search(str(error)) is not None
            if not from_source and not isinstance(error, _OF_STATEMENTS):
                raise  # a matter of the database
            found = _LINE.search(str(error))
            line = int(found[1]) - lines_before if found else None
            raise ModelFailed(self.model.path, line, error_text(error), SOURCE_ADVICE if from_source else "") from None

    def _refuse_missing_columns(self, table: str) -> None:
        columns = [name.lower() for name, *_ in self._connection.execute(f"DESCRIBE {table}").fetchall()]
        header = self.model.header
        for name in (*header.key, *header.columns):
            if name not in columns:
                text = "key" if name in header.key else f"column {name}"
                line = next((number for number, one in enumerate(self.model.sql.splitlines(), 1) if one.startswith(f"-- {text}:")), None)
                raise InvalidModel(self.model.path, line, f"The statement returns no column {name}. It returns {', '.join(columns)}.")

    def _refuse_other_days(self, table: str) -> None:
        """Refuse a model with other days than dates: none of its rows would belong to a day that has changed, so it would never be updated."""
        if self.model.header.scope is not Scope.DAY:
            return
        (type_,) = (type_ for name, type_, *_ in self._connection.execute(f"DESCRIBE {table}").fetchall() if name.lower() == Scope.DAY.value)
        if type_ != "DATE":
            what = f"The model is incremental by day, and its column day is a {type_}."
            raise InvalidModel(self.model.path, None, what, "Let the statement return a DATE, such as day::DATE AS day.")

    def _is_a(self, kind: str) -> bool:
        rows = self._connection.execute(
            f"SELECT 1 FROM duckdb_{kind.lower()}s() WHERE database_name = current_database() AND lower(schema_name) = lower(?) "
            f"AND lower({kind.lower()}_name) = ?",
            [marts_schema(self.sources.schema), self.model.name],
        ).fetchall()
        return bool(rows)

    @property
    def _table(self) -> str:
        return self.sources.table(self.model.name)

    @property
    def _connection(self) -> DuckDBPyConnection:
        return self.sources.connection

    @cached_property
    def _store(self) -> BuiltModels:
        return BuiltModels(self._connection, self.sources.warehouse, marts_schema(self.sources.schema))

    @cached_property
    def _day_versions(self) -> DayVersions:
        return DayVersions(self._connection, self.sources.warehouse, marts_schema(self.sources.schema))

    @property
    def _groups(self) -> GroupEvents:
        return GroupEvents(self._connection, self.sources.warehouse, marts_schema(self.sources.schema))

    @property
    def _changes(self) -> ChangedGroups:
        return ChangedGroups(self._connection, self.sources.warehouse, marts_schema(self.sources.schema))
