"""A server with a clock years away from this machine's: the sync reads nothing and fails with a clear error."""

from collections.abc import Iterator
from email.utils import format_datetime
from types import SimpleNamespace

import pytest

from klaviyo_assets.api.klaviyo_errors import ClocksDisagree
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync
from klaviyo_assets_tests.api.client_helpers import KEY
from klaviyo_assets_tests.api.scripted import Reply, Scripted, scripted_server
from klaviyo_assets_tests.api.test_clock import at


@pytest.fixture
def server() -> Iterator[Scripted]:
    with scripted_server() as script:
        yield script


@pytest.mark.long
@pytest.mark.parametrize("name", ["events", "lists", "profiles", "reviews"])
@pytest.mark.parametrize("date", ["1970-01-01", "2019-06-01", "2060-01-01", "9999-12-31"])
def test_sync_fails_with_a_clear_error(name: str, date: str, server: Scripted, warehouse: LocalFile) -> None:
    server.respond_with(Reply(headers={"Date": format_datetime(at(date), usegmt=True)}))
    account = SimpleNamespace(base_url=server.base_url, options=SimpleNamespace(limits=False))

    with pytest.raises(ClocksDisagree) as caught:
        sync(name, account, warehouse, key=KEY, account_id="AbC123")  # type: ignore[arg-type]

    assert f"Klaviyo's responses say that it is {date if date < '9' else '9000-01-01'} 00:00 UTC" in str(caught.value)
    assert "What to do: Set the clock of this machine" in str(caught.value)
    assert query(warehouse, "SELECT outcome, error_class FROM _syncs") == [("failed", "ClocksDisagree")]
    assert query(warehouse, "SELECT count(*) FROM _coverage") == [(0,)]
