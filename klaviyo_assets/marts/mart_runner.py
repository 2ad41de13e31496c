"""Builds models, each in its own transaction, in the order of their dependencies."""

import logging
import time
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from duckdb import DuckDBPyConnection

from klaviyo_assets._internal import cancellation, private_files
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.errors import NotOurs
from klaviyo_assets.load.transaction_retry import retry_on_conflict
from klaviyo_assets.marts.capture import ChangeCapture
from klaviyo_assets.marts.day_versions import DayVersions
from klaviyo_assets.marts.findings import Findings
from klaviyo_assets.marts.library import Models, marts_schema
from klaviyo_assets.marts.mart_errors import MartError, ModelSkipped
from klaviyo_assets.marts.model import Model, Scope
from klaviyo_assets.marts.model_build import ModelBuild
from klaviyo_assets.marts.results import ModelResult, Outcome
from klaviyo_assets.marts.run_context import RunContext, read_run_context
from klaviyo_assets.marts.sources import Sources
from klaviyo_assets.marts.stores import BuiltModels, Capture, Captures, ChangedGroups, GroupEvents
from klaviyo_assets.state.locks import MARTS, sync_lock
from klaviyo_assets.state.schema_version import SchemaVersion
from klaviyo_assets.warehouse.interface import Warehouse, WarehouseBusy, WarehouseError
from klaviyo_assets.warehouse.sql import quoted

_log = logging.getLogger("klaviyo_assets")

_STORES = (BuiltModels, Captures, GroupEvents, ChangedGroups, DayVersions)


@dataclass(frozen=True)
class MartRunner:
    """Builds the models of one schema.

    The database is open, and its lock held, for one model at a time. Each model is built in one transaction, together with its watermark: readers see
    the old rows or the new ones, and a build that was killed has changed nothing.

    Args:
        warehouse: The database.
        schema: Schema of the raw tables; those of the models are in ``<schema>_marts``.
        models: All models.
        catalog: All resource types, with those from outside this package.
        run_id: Dagster run, shown to others that would build at the same time.
        waits: True to wait for another run that builds marts of the schema to end, instead of raising.

    Example:
        >>> for result in MartRunner(warehouse_from("data/warehouse.duckdb"), "klaviyo", read_models()).run():
        ...     result.raise_if_failed()
    """

    warehouse: Warehouse
    schema: str
    models: Models
    catalog: Catalog = field(default_factory=lambda: CATALOG)
    run_id: str | None = None
    waits: bool = False

    def run(
        self, names: Iterable[str] | None = None, *, now: datetime | None = None, rebuild: bool = False, days: Collection[str] = ()
    ) -> Generator[ModelResult]:
        """Build models and all that they need, and yield their results as they come.

        Args:
            names: Names of models; None for all.
            now: Later events do not count; the machine's time by default.
            rebuild: True to rebuild incremental models too.
            days: Days that models maintained by day compute again in any case, besides those that have changed.

        Raises:
            MartError: If there is no model with one of these names.
            SyncAlreadyRunning: If another run builds marts of the schema.
            SyncError: If a later version of this library has written the schema.
            WarehouseError: If the database cannot be used.
        """
        return self.run_only(self.models if names is None else self.models.with_needed(names), now=now, rebuild=rebuild, days=days)

    def check(self, names: Iterable[str], *, now: datetime | None = None) -> Iterator[ModelResult]:
        """Run the checks of models on their tables as they are, and yield the results; the errors are those of :meth:`run`."""
        run = _Run(self, now or datetime.now(UTC), rebuild=False)
        run.prepare(())
        for name in [name for name in self.models if name in {*names}]:
            yield run.check(self.models[name])

    def run_only(
        self, names: Iterable[str], *, now: datetime | None = None, rebuild: bool = False, days: Collection[str] = ()
    ) -> Generator[ModelResult]:
        """Build exactly these models, on the tables of the others as they are. A model that needs one that fails or has no table is skipped.

        The arguments and errors are those of :meth:`run`.
        """
        selected = [name for name in self.models if name in {*names}]
        folder = self.warehouse.state_dir / self.schema.lower()
        private_files.make_folder(folder)
        # Two runs at the same time would each undo the other's watermarks.
        with sync_lock(folder, MARTS, self.run_id, waits=self.waits):
            run = _Run(self, now or datetime.now(UTC), rebuild, days)
            run.prepare({scope for name in selected if (scope := self.models[name].header.scope) is not None})
            for name in selected:
                cancellation.raise_if_cancelled()
                yield run.build(self.models[name])
            run.finish()


@dataclass
class _Run:
    """One run: what its models have in common."""

    runner: MartRunner
    now: datetime
    rebuild: bool
    days: Collection[str] = ()
    captures: dict[Scope, Capture] = field(default_factory=dict)
    context: RunContext = field(init=False)  # set by `prepare`, from the database
    failed: set[str] = field(default_factory=set)
    compacts: bool = False

    @property
    def warehouse(self) -> Warehouse:
        """The database."""
        return self.runner.warehouse

    @retry_on_conflict
    def prepare(self, scopes: Iterable[Scope]) -> None:
        """Create the bookkeeping, and capture the changes that incremental models follow."""
        schema = marts_schema(self.runner.schema)
        with self.warehouse.transaction() as connection:
            SchemaVersion(connection, self.warehouse, self.runner.schema).reject_newer()
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(self.warehouse.database)}.{quoted(schema)}")
            for store in _STORES:
                store(connection, self.warehouse, schema).prepare()
            self.context = read_run_context(connection, self.warehouse, self.runner.schema, self.now)
            BuiltModels(connection, self.warehouse, schema).forget_others(self.runner.models)
            sources = self._sources(connection)
            self.captures = {scope: ChangeCapture(sources, scope).run() for scope in sorted(scopes)}

    def build(self, model: Model) -> ModelResult:
        """Build one model and return its result; an error of the model is part of it."""
        try:
            if model.problem is not None:
                raise model.problem
            return self._build(model)
        except WarehouseBusy:
            raise  # each of the others would wait as long
        except (MartError, NotOurs, WarehouseError) as error:  # such as one that needs too much memory
            self.failed.add(model.name)
            return ModelResult(model.name, Outcome.SKIPPED if isinstance(error, ModelSkipped) else Outcome.FAILED, error=error)

    @retry_on_conflict
    def _build(self, model: Model) -> ModelResult:
        scope = model.header.scope
        with self.warehouse.connection() as connection:
            started = time.monotonic()
            with self.warehouse.transaction_in(connection, frees_space=False):
                sources = self._sources(connection)
                self._refuse_missing(model, sources)
                done = ModelBuild(sources, model, self.captures[scope] if scope is not None else None, self.rebuild, self.days).run()
            self.compacts |= done.rules_changed
            findings = Findings(self._sources(connection), model)
            numbers, failed = findings.numbers()
            return ModelResult(
                model.name,
                done.outcome,
                done.reason,
                rows=findings.rows,
                groups=done.groups,
                columns=findings.columns,
                metadata=numbers,
                checks=(*findings.checks(), *failed),
                seconds=time.monotonic() - started,
                version=done.version,
                days=done.days,
                computed=frozenset(done.computed),
                timezone=sources.context.timezone,
            )

    def check(self, model: Model) -> ModelResult:
        """Run the checks of a model."""
        with self.warehouse.connection() as connection:
            findings = Findings(self._sources(connection), model)
            return ModelResult(model.name, Outcome.UNCHANGED, checks=tuple(findings.checks()))

    def _refuse_missing(self, model: Model, sources: Sources) -> None:
        needed = self.runner.models.needed_by(model.name)
        if missing := [name for name in needed if name in self.failed or name in sources.missing(needed)]:
            raise ModelSkipped(model.name, missing)

    def finish(self) -> None:
        """Delete changes that all models contain, and free the space of deleted rows.

        If field rules have changed, values from before are removed from the free blocks of the file.
        """
        self._prune()
        if self.compacts and self.warehouse.capabilities.can_compact:
            self.warehouse.request_compaction()
            try:
                self.warehouse.compact_if_requested()
            except WarehouseError as error:
                _log.warning("Values from before a field rule may still be in free blocks of the file; the next sync removes them. %s", error)

    @retry_on_conflict
    def _prune(self) -> None:
        schema = marts_schema(self.runner.schema)
        with self.warehouse.transaction() as connection:
            for scope, capture in self.captures.items():
                lowest = BuiltModels(connection, self.warehouse, schema).lowest_change(capture.epoch)
                if lowest is not None:
                    ChangedGroups(connection, self.warehouse, schema).delete_up_to(scope, lowest)

    def _sources(self, connection: DuckDBPyConnection) -> Sources:
        return Sources.of(connection, self.warehouse, self.runner.schema, self.runner.models, self.runner.catalog, self.context)
