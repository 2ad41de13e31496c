"""Values move from ``_extra`` to a column that a later version of the package adds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import WITHIN, ColumnType
from klaviyo_assets.extract.sync_options import SyncOptions
from klaviyo_assets.load.schema.tables import Tables
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync, table, truth
from klaviyo_assets_tests.load.loads import Loads

NewAccount = Callable[..., SandboxProcess]


@pytest.mark.long
class TestANewColumn:
    """A later catalog has columns for values that an earlier one put into _extra."""

    OLD = CATALOG["profiles"]

    def lacking(self, *names: str) -> Any:
        columns = (column for column in self.OLD.columns if column.name not in names and not (column.path[0] == WITHIN and column.path[1] in names))
        return replace(self.OLD, columns=tuple(columns))

    def test_values_move_to_their_column_and_the_rest_stays(self, new_account: NewAccount, warehouse: LocalFile) -> None:
        sandbox = new_account(profiles=30)
        (id_,) = sandbox.change(
            "add", type="profiles", attributes={"first_name": 12, "unheard_of": 1.0, "location": {"city": "Rome", "planet": "Mars"}}
        )
        older = self.lacking("first_name", "location_city", "last_event_date", "subscriptions")
        sync(older, sandbox, warehouse)
        assert query(warehouse, "SELECT count(*) FROM profiles WHERE _extra IS NULL") == [(0,)]

        sync("profiles", sandbox, warehouse, SyncOptions(accept_changed_options=True))

        expected = truth(sandbox, "profiles")
        stored = table(warehouse, "profiles").select(expected.columns)
        assert stored.equals(expected)
        ((extra, city, name),) = query(warehouse, f"SELECT _extra, location_city, first_name FROM profiles WHERE id = '{id_}'")
        assert (city, name) == ("Rome", None)
        assert json.loads(extra) == {"first_name": 12, "unheard_of": 1.0, "location": {"planet": "Mars"}}

    def test_a_new_column_is_filled_from_extra_without_reading_again(self, new_account: NewAccount, warehouse: LocalFile) -> None:
        sandbox = new_account(profiles=400)
        sent = {"anonymous_id": "visitor", "whatsapp_bsuid": None, "new": 1.0}
        (id_,) = sandbox.change("add", type="profiles", attributes=sent)
        later = [column.name for column in self.OLD.columns if column.was_in_extra]
        sync(self.lacking(*later), sandbox, warehouse)
        before = query(warehouse, "SELECT DISTINCT fingerprint FROM _coverage")
        again = sync(self.lacking(*later), sandbox, warehouse).row.records_read

        assert sync("profiles", sandbox, warehouse).row.records_read == again < 100

        assert query(warehouse, "SELECT DISTINCT fingerprint FROM _coverage") == before
        assert query(warehouse, f"SELECT anonymous_id, whatsapp_bsuid, _extra FROM profiles WHERE id = '{id_}'") == [("visitor", None, '{"new":1.0}')]
        expected = truth(sandbox, "profiles")
        assert table(warehouse, "profiles").select(expected.columns).equals(expected)

    def test_ids_of_related_records_move_to_their_column(self, warehouse: LocalFile, tmp_path: Path) -> None:
        entry = CATALOG["lists"]
        (tags,) = (one for one in entry.columns if one.path == ("relationships", "tags"))
        older = replace(entry, columns=tuple(one for one in entry.columns if one != tags), requested_includes=())
        named = '"relationships.tags":{"data":[{"type":"tag","id":"T1"},{"type":"tag","id":"T2"}]}'
        other = '"relationships.owner":{"data":{"type":"user","id":"U1"}}'
        rows = Loads(warehouse, tmp_path, older)
        rows([{"id": "A", "_extra": f"{{{named},{other}}}"}, {"id": "B", "_extra": f"{{{other}}}"}, {"id": "C"}])

        with warehouse.transaction() as connection:
            Tables(warehouse, "klaviyo", entry).prepare(connection)

        assert query(warehouse, f"SELECT id, {tags.name}, _extra::VARCHAR FROM lists ORDER BY id") == [
            ("A", ["T1", "T2"], f"{{{other}}}"),
            ("B", None, f"{{{other}}}"),
            ("C", None, None),
        ]

    def test_a_column_that_the_catalog_no_longer_has_stays(self, account: SandboxProcess, warehouse: LocalFile) -> None:
        sync("profiles", account, warehouse)
        before = query(warehouse, "SELECT id, first_name FROM profiles ORDER BY id")

        sync(self.lacking("first_name"), account, warehouse, SyncOptions(accept_changed_options=True))

        assert query(warehouse, "SELECT id, first_name FROM profiles ORDER BY id") == before

    def test_a_record_with_odd_text_stays_in_extra(self, new_account: NewAccount, warehouse: LocalFile) -> None:
        sandbox = new_account(events=400, lone_surrogates=True)
        entry = CATALOG["events"]
        sync(replace(entry, columns=tuple(column for column in entry.columns if column.name != "uuid")), sandbox, warehouse)
        odd = "SELECT id, _extra ->> '$._odd_text' FROM events WHERE json_exists(_extra, '/_odd_text') ORDER BY id"
        before = query(warehouse, odd)

        sync("events", sandbox, warehouse, SyncOptions(accept_changed_options=True))

        assert before == query(warehouse, odd) != []
        assert query(warehouse, "SELECT count(*) FROM events WHERE uuid IS NULL OR json_keys(_extra) <> ['_odd_text']") == [(0,)]

    def test_a_column_that_becomes_json_gets_text_and_values_from_extra(self, new_account: NewAccount, warehouse: LocalFile) -> None:
        sandbox = new_account(segments=4)
        (id_,) = sandbox.change("add", type="segments", attributes={"name": {"en": "Sale"}})
        (quoted,) = sandbox.change("add", type="segments", attributes={"name": 'plain "text"'})
        sync("segments", sandbox, warehouse)
        entry = CATALOG["segments"]
        columns = tuple(replace(column, type=ColumnType.JSON) if column.name == "name" else column for column in entry.columns)

        with warehouse.transaction() as connection:
            Tables(warehouse, "klaviyo", replace(entry, columns=columns)).prepare(connection)

        assert query(warehouse, f"SELECT name::VARCHAR, _extra FROM segments WHERE id = '{id_}'") == [('{"en":"Sale"}', None)]
        assert query(warehouse, f"SELECT name ->> '$' FROM segments WHERE id = '{quoted}'") == [('plain "text"',)]
        assert query(warehouse, "SELECT count(*) FROM segments WHERE name IS NULL OR NOT json_valid(name)") == [(0,)]

    @pytest.mark.parametrize(
        ("name", "attribute", "type_", "value", "column", "extra"),
        [
            ("segments", "name", ColumnType.INTEGER, "12", 12, None),
            ("segments", "name", ColumnType.INTEGER, "a name", None, {"name": "a name", "new": 1.0}),
            ("profiles", "location.city", ColumnType.FLOAT, "Rome", None, {"location": {"city": "Rome"}, "new": 1.0}),
            ("segments", "definition", ColumnType.STRING, {"a": 1}, '{"a":1}', None),
            ("segments", "definition", ColumnType.STRING, "text", "text", None),
        ],
    )
    def test_a_value_that_does_not_fit_the_new_type_is_kept(
        self, name: str, attribute: str, type_: ColumnType, value: Any, column: Any, extra: Any, new_account: NewAccount, warehouse: LocalFile
    ) -> None:
        sandbox = new_account(segments=2, profiles=2)
        first, *rest = attribute.split(".")
        (id_,) = sandbox.change("add", type=name, attributes={first: {rest[0]: value} if rest else value, "new": 1.0})
        sync(name, sandbox, warehouse)
        column_name = attribute.replace(".", "_")
        entry = CATALOG[name]
        entry = replace(entry, columns=tuple(replace(one, type=type_) if one.name == column_name else one for one in entry.columns))

        with warehouse.transaction() as connection:
            Tables(warehouse, "klaviyo", entry).prepare(connection)

        ((kept, remaining),) = query(warehouse, f"SELECT {column_name}, _extra FROM {name} WHERE id = '{id_}'")
        assert (kept, json.loads(remaining)) == (column, extra or {"new": 1.0})
