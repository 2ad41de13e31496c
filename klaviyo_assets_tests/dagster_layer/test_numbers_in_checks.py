"""Large numbers in the texts of checks have separators; in the metadata they are numbers."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from klaviyo_assets import CATALOG
from klaviyo_assets.audit.audit_tables import AuditRecord
from klaviyo_assets.audit.compare import Difference, DifferenceState
from klaviyo_assets.checks import asset_checks
from klaviyo_assets.marts.results import CheckResult
from klaviyo_assets.ops.mart_op import _check_result
from klaviyo_assets.quality.drift import Drift, DriftKind
from klaviyo_assets.quality.inspector import KeyFindings

ASSET = dg.AssetKey(["klaviyo", "events"])
NOW = datetime(2026, 6, 1, tzinfo=UTC)
DRIFTS = [Drift(DriftKind.NEW, "new", "nothing", 12345, None, None)]


def differences(state: DifferenceState, reread_at: datetime | None = None) -> list[Difference]:
    return [Difference(date(2026, 1, 1) + timedelta(days=n % 365), f"M{n // 365}", 2, 1, state, reread_at) for n in range(1234)]


def audit(found: Sequence[Difference] = (), lost: int = 0) -> dg.AssetCheckResult:
    return asset_checks.complete(AuditRecord(NOW, None, 1234, 15880, 1234, {}, lost), found, {}, ASSET)


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        (
            asset_checks.primary_key(KeyFindings(1234567, 2345, ["a"] * 3456, touched_only=False), ASSET),
            ["1,234,567 rows", "2,345 without", "3,456 keys"],
        ),
        (asset_checks.unknown_attributes(DRIFTS, ASSET), ["(12,345 rows)"]),
        (asset_checks.schema_drift(DRIFTS, ASSET), ["(12,345 rows)"]),
        (asset_checks.included_complete(12345, 6789, CATALOG["profiles"], ASSET), ["12,345 profiles", "6,789 rows"]),
        (asset_checks.host_complete(12345, CATALOG["campaign_messages"], ASSET), ["12,345 records"]),
        (audit(), ["15,880 days of 1,234 metrics"]),
        (audit(differences(DifferenceState.MISMATCH)), ["1,234 differ"]),
        (audit(differences(DifferenceState.REREAD_PENDING)), ["1,234 are pending"]),
        (audit(differences(DifferenceState.REREAD_PENDING, NOW)), ["1,234 have been read again"]),
        (audit(differences(DifferenceState.UNRESOLVED)), ["1,234 still differ"]),
        (audit(lost=4321), ["4,321 more differed"]),
        (_check_result(CheckResult("unique_key", 12345), ASSET), ["12,345 rows are wrong"]),
    ],
)
def test_texts_of_checks_separate_thousands(result: dg.AssetCheckResult, shown: list[str]) -> None:
    text = (result.description or "").replace("up to 1,000", "")

    assert [words for words in shown if words not in text] == []
    assert not [word for word in text.split() if sum(letter.isdigit() for letter in word) > 3 and "," not in word]
