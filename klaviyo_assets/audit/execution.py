"""What the check ``complete`` does when it runs."""

from dataclasses import dataclass
from typing import Any

import dagster as dg

from klaviyo_assets import checks
from klaviyo_assets.api.errors import AccessDenied, ApiKeyError, KlaviyoError
from klaviyo_assets.audit.audit import Audit
from klaviyo_assets.audit.check import AUDIT_TAG
from klaviyo_assets.audit.compare import Difference
from klaviyo_assets.audit.store import AuditRecord, AuditStore, names_of
from klaviyo_assets.execution import failure, run_to_its_end
from klaviyo_assets.resources import KlaviyoResource
from klaviyo_assets.sync.errors import SyncError
from klaviyo_assets.sync.request import parse_instant
from klaviyo_assets.warehouse.base import WarehouseError
from klaviyo_assets.warehouse.local_file import LocalFile


@dataclass(frozen=True)
class AuditExecution:
    """One execution of the check.

    Args:
        context: Dagster's.
        asset: Key of the events' asset.
        schema: DuckDB schema.
        klaviyo: The Klaviyo resource.
        duckdb: The DuckDB resource.
    """

    context: dg.AssetCheckExecutionContext
    asset: dg.AssetKey
    schema: str
    klaviyo: KlaviyoResource
    duckdb: Any

    def run(self) -> dg.AssetCheckResult:
        """Audit, or tell what the last audit has found, and report."""
        try:
            warehouse = LocalFile(self.duckdb, patience=self.klaviyo.duckdb_patience)
            store = AuditStore(warehouse, self.schema)
            record, found = run_to_its_end(self._audit(store)) if self._audits_now else store.last()
            names = names_of(warehouse, self.schema, {one.metric_id for one in found})
        except (AccessDenied, ApiKeyError) as error:
            return checks.could_not_audit(str(error), error.advice, self.asset)
        except (KlaviyoError, SyncError, WarehouseError) as error:
            raise failure(error) from None
        return checks.complete(record, found, names, self.asset)

    @property
    def _audits_now(self) -> bool:
        """Beside a sync of the events the last audit is told: asking takes a second for each metric and year."""
        synced = self.context.op_execution_context.job_def.asset_layer.selected_asset_keys
        return self.asset not in synced or AUDIT_TAG in self.context.run.tags

    async def _audit(self, store: AuditStore) -> tuple[AuditRecord, list[Difference]]:
        start_date = self.klaviyo.start_date
        async with self.klaviyo.client(store.warehouse.state_dir / "limits.sqlite") as client:
            return await Audit(
                client,
                store,
                self.context.log,
                start_date=parse_instant(start_date, "The start date") if start_date else None,
                only_struck=self.context.run.tags.get(AUDIT_TAG) == "struck",
            ).run()
