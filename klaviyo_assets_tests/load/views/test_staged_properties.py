"""The properties of staged events, found while files are written: they are exactly those that reading the files would find."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from klaviyo_assets.api.klaviyo_errors import RequestFailed
from klaviyo_assets.load.batch import Batch
from klaviyo_assets.load.loader import Loader
from klaviyo_assets.load.views import property_profile
from klaviyo_assets.load.views.metric_views import MetricViews
from klaviyo_assets.load.views.property_kinds import PropertyKind
from klaviyo_assets.load.views.property_profile import MAX_PROPERTIES
from klaviyo_assets.load.views.staged_properties import StagedProperties
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import local_file, query, sync
from klaviyo_assets_tests.load.loads import NOON, Loads
from klaviyo_assets_tests.load.rewrites.test_reapply_rules import sync_with_rules

pytestmark = pytest.mark.duckdb

NewAccount = Callable[..., SandboxProcess]

FILES = [Path(f"{number}.parquet") for number in range(30)]


def events(*properties: str | None, metric: str | None = "M1") -> pl.DataFrame:
    schema = {"metric_id": pl.String, "event_properties": pl.String}
    return pl.DataFrame({"metric_id": [metric] * len(properties), "event_properties": properties}, schema=schema)


@pytest.mark.long
def test_a_property_of_one_event_of_600_000_is_found() -> None:
    staged, many = StagedProperties(), events(*(f'{{"$value": {number}, "Name": "x"}}' for number in range(20_000)))
    with_another = pl.concat([many[:12_345], events('{"$value": 7, "Name": "x", "Rare": true}'), many[12_346:]])

    for number, file in enumerate(FILES):
        staged.note(file, with_another if number == 17 else many)

    common = {"$value": PropertyKind.INTEGER, "Name": PropertyKind.TEXT}
    assert staged.of(FILES[:17]) == {"M1": common}
    assert staged.of(FILES[17:18]) == staged.of(FILES) == {"M1": {**common, "Rare": PropertyKind.BOOLEAN}}


def test_kinds_widen_from_file_to_file() -> None:
    staged = StagedProperties()
    staged.note(FILES[0], pl.concat([events('{"a": 1, "b": null}'), events('{"a": 1}', metric="M2"), events('{"c": 1}', metric=None)]))
    before = staged.of(FILES[:1])
    staged.note(FILES[1], events('{"a": 1.5}', None, '{"b": "x"}'))

    assert before == staged.of(FILES[:1]) == {"M1": {"a": PropertyKind.INTEGER, "b": PropertyKind.NULL}, "M2": {"a": PropertyKind.INTEGER}}
    assert staged.of(FILES[:2]) == {"M1": {"a": PropertyKind.NUMBER, "b": PropertyKind.TEXT}, "M2": {"a": PropertyKind.INTEGER}}


def test_properties_of_a_file_that_could_not_be_written_come_with_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    staged, frame = StagedProperties(), pl.concat([events('{"a": 1}', metric=f"M{number}") for number in range(5)])
    noted = 0

    def partition_by(self: pl.DataFrame, *by: str, **options: Any) -> list[pl.DataFrame]:
        nonlocal noted
        noted += 1
        parts = original(self, *by, **options)
        return parts if noted > 1 else [*parts[:3], pl.DataFrame()]  # the fourth fails

    original = pl.DataFrame.partition_by
    monkeypatch.setattr(pl.DataFrame, "partition_by", partition_by)
    with pytest.raises(pl.exceptions.PolarsError):
        staged.note(FILES[0], frame)
    staged.note(FILES[1], frame)

    assert staged.of(FILES[:1]) is None
    assert staged.of(FILES[1:2]) == {f"M{number}": {"a": PropertyKind.INTEGER} for number in range(5)}


def test_files_of_others_must_be_read() -> None:
    staged = StagedProperties()
    staged.note(FILES[1], events('{"a": 1}'))

    assert staged.of(FILES[:1]) is None
    assert staged.of(FILES[:2]) is None


@pytest.mark.long
def test_of_too_many_properties_those_that_the_table_knows_still_widen(tmp_path: Path) -> None:
    """The profile of the sync alone would be full before it reaches them."""
    warehouse = local_file(tmp_path, "shop.duckdb")
    load = Loads(warehouse, tmp_path, "events")
    load([{"id": "1", "metric_id": "M1", "datetime": NOON, "event_properties": '{"known": 1}'}])
    others = [f'{{"other {number}": 1}}' for number in range(MAX_PROPERTIES)]
    rows = [{"id": f"2-{number}", "metric_id": "M1", "datetime": NOON, "event_properties": text} for number, text in enumerate(others)]
    files = load.staged(rows, [{"id": "3", "metric_id": "M1", "datetime": NOON, "event_properties": '{"known": "x"}'}])
    loader = Loader(warehouse, load.entry, "klaviyo")
    for file in files:
        loader.staged_properties.note(file, pl.read_parquet(file))

    loader.load(Batch(files=files, covered=()), load.row)

    recorded = dict(query(warehouse, "SELECT property, kind FROM _properties"))
    assert (len(recorded), recorded["known"]) == (MAX_PROPERTIES, "json")


def recorded(warehouse: LocalFile) -> list[tuple[Any, ...]]:
    return query(warehouse, "SELECT metric_id, property, kind, column_name IS NULL FROM _properties ORDER BY ALL")


def of_stored_events(warehouse: LocalFile, folder: Path) -> list[tuple[Any, ...]]:
    """Return what the profile is if it is made from the table."""
    query(warehouse, "DROP TABLE _properties")
    load = Loads(warehouse, folder, "events")
    Loader(warehouse, load.entry, "klaviyo").recompute(load.row)
    return recorded(warehouse)


def refuse(*_: object) -> None:
    raise AssertionError("files were read again")


@pytest.mark.long
def test_a_sync_finds_all_properties_and_reads_no_file_again(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    with monkeypatch.context() as patched:
        patched.setattr(MetricViews, "note_files", refuse)
        sync("events", account, warehouse)

    found = recorded(warehouse)

    assert len(found) > 100
    assert found == of_stored_events(warehouse, tmp_path)


@pytest.mark.long
def test_staged_files_of_an_interrupted_sync_reach_the_views(new_account: NewAccount, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("klaviyo_assets.api.retries.BACKOFF_BASE", 0.01)
    sandbox, warehouse, read = new_account(), local_file(tmp_path, "shop.duckdb"), list[int]()
    sandbox.faults({"path": "/api/events", "kind": "503", "times": None, "after": 6})
    with pytest.raises(RequestFailed):
        sync("events", sandbox, warehouse, concurrency=2)
    sandbox.clear_faults()
    original = MetricViews.note_files
    monkeypatch.setattr(MetricViews, "note_files", lambda self, files: (read.append(len(files)), original(self, files)))

    assert sync("events", sandbox, warehouse, concurrency=2).resumed

    assert sum(read) > 0
    assert recorded(warehouse) == of_stored_events(warehouse, tmp_path)


@pytest.mark.long
def test_what_a_field_rule_drops_is_not_found(account: SandboxProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warehouse = local_file(tmp_path, "shop.duckdb")
    monkeypatch.setattr(MetricViews, "note_files", refuse)

    sync_with_rules("events", account, warehouse, {"events": {"event_properties.$value": "drop"}})

    assert {"$value", "$event_id"} & {name for _, name, *_ in recorded(warehouse)} == {"$event_id"}


def test_a_metric_keeps_its_decoder_while_its_profile_does_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making a decoder takes as long as decoding hundreds of events."""
    made: list[Mapping[str, Any]] = []
    original = property_profile.msgspec.defstruct
    monkeypatch.setattr(property_profile.msgspec, "defstruct", lambda *names, **options: made.append(options) or original(*names, **options))
    staged = StagedProperties()

    for file in FILES:
        staged.note(file, events('{"a": 1}', '{"a": 2}'))

    assert len(made) == 2  # without a property, and with one
