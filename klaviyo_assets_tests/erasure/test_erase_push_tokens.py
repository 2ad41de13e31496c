"""Push tokens identify a person's devices: they are erased with the person, and no later sync stores them again."""

import pytest

from klaviyo_assets.erasure.erase import DataSubject, Erasure
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

pytestmark = [pytest.mark.duckdb, pytest.mark.long]


def test_the_tokens_of_an_erased_person_are_deleted_and_stay_deleted(account: SandboxProcess, warehouse: LocalFile) -> None:
    for name in ("profiles", "push_tokens"):
        sync(name, account, warehouse)
    ((person, tokens),) = query(warehouse, "SELECT profile_id, count(*) FROM push_tokens GROUP BY ALL ORDER BY ALL LIMIT 1")
    ((every,),) = query(warehouse, "SELECT count(*) FROM push_tokens")

    result = Erasure(warehouse, "klaviyo", None).run(DataSubject.named(person))
    sync("push_tokens", account, warehouse)

    assert {one.table: one.rows for one in result.found}["push_tokens"] == tokens > 0
    assert query(warehouse, f"SELECT count(*), count(*) FILTER (profile_id = '{person}') FROM push_tokens") == [(every - tokens, 0)]
