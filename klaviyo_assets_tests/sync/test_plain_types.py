"""Types that are read completely: what they ask Klaviyo for, and what their tables show of deletions and plans."""

from collections.abc import Callable

import pytest

from klaviyo_assets.api.klaviyo_errors import PlanGate
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

pytestmark = pytest.mark.duckdb


def test_the_403_of_an_account_without_webhooks_is_explained_as_its_plan(account: SandboxProcess, warehouse: LocalFile) -> None:
    with pytest.raises(PlanGate, match="the account's plan does not include this") as caught:
        sync("webhooks", account, warehouse, key=account.keys.plan_gated)

    assert "scope" not in caught.value.advice
    assert "not about the key" in caught.value.advice


@pytest.mark.long
def test_tags_of_a_deleted_group_are_marked(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> None:
    own_account = new_account(events=0)
    for name in ("tag_groups", "tags"):
        sync(name, own_account, warehouse)
    ((group, tags),) = query(warehouse, "SELECT tag_group_id, count(*) FROM tags GROUP BY ALL ORDER BY ALL LIMIT 1")

    own_account.change("delete", type="tag_groups", id=group)
    for name in ("tag_groups", "tags"):
        sync(name, own_account, warehouse)

    assert query(warehouse, "SELECT id FROM tag_groups WHERE _deleted_at IS NOT NULL") == [(group,)]
    assert query(warehouse, "SELECT tag_group_id, count(*) FROM tags WHERE _deleted_at IS NOT NULL GROUP BY ALL") == [(group, tags)]


@pytest.mark.long
def test_the_picture_of_a_block_is_another_url_at_each_read_but_no_change(account: SandboxProcess, warehouse: LocalFile) -> None:
    first, second = (sync("universal_content", account, warehouse).row for _ in range(2))

    assert first.rows_inserted > 0
    assert (second.rows_inserted, second.rows_updated) == (0, 0)


def test_feeds_of_one_second_are_all_read_although_cursors_hold_only_their_time(
    new_account: Callable[..., SandboxProcess], warehouse: LocalFile
) -> None:
    """The 20th and the 21st of 45 feeds share their second: in ascending order, a page ends between them."""
    shop = new_account(events=0, others=45, cursors_by_time_alone=True)
    twentieth, other = sorted(shop.truth("web_feeds"), key=lambda feed: feed["attributes"]["created"])[19:21]
    shop.change("update", type="web_feeds", id=other["id"], attributes={"created": twentieth["attributes"]["created"]})

    sync("web_feeds", shop, warehouse)

    assert query(warehouse, "SELECT count(*), count(DISTINCT id) FROM web_feeds") == [(45, 45)]
