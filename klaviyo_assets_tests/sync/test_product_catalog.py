"""The product catalog: ids that must be escaped, links between items, variants and categories, values that differ at each read."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from klaviyo_assets.api.auth import parse_api_key
from klaviyo_assets.api.client import KlaviyoClient
from klaviyo_assets.api.client_settings import ClientSettings
from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.lookup import look_up
from klaviyo_assets.sandbox.process import SandboxProcess
from klaviyo_assets.warehouse import LocalFile
from klaviyo_assets_tests.accounts import query, sync

pytestmark = pytest.mark.duckdb

ITEMS = CATALOG["catalog_items"]
ONE_BY_ONE = replace(ITEMS, endpoint=replace(ITEMS.endpoint, filters={}))


@pytest.mark.parametrize("entry", [ITEMS, ONE_BY_ONE], ids=["many in one request", "one by one"])
def test_ids_with_special_characters_are_looked_up(entry: ResourceType, account: SandboxProcess) -> None:
    """Unescaped, the id of an item that still exists would give another path or filter, and the item would be marked as deleted."""
    known = [str(record["id"]) for record in account.truth("catalog_items")]
    odd = [id_ for id_ in known if not id_.removeprefix("$custom:::$default:::").isalnum()]
    assert len(odd) >= 3

    async def found(ids: Sequence[str]) -> set[str]:
        settings = ClientSettings(base_url=account.base_url, rate_limit_share=1.0)
        async with KlaviyoClient(parse_api_key(account.keys.all_scopes), settings) as client:
            return {record.id for page in await look_up(client, entry, ids) for record in page.records}

    assert asyncio.run(found([*odd, "$custom:::$default:::gone"])) == set(odd)


@pytest.mark.long
def test_items_variants_and_categories_join(account: SandboxProcess, warehouse: LocalFile) -> None:
    for name in ("catalog_items", "catalog_variants", "catalog_categories", "catalog_category_items"):
        sync(name, account, warehouse)

    of_items = "SELECT unnest(variant_ids) AS id FROM catalog_items"
    (row,) = query(
        warehouse,
        f"""SELECT
            (SELECT count(*) FROM catalog_variants),
            (SELECT count(*) FROM ({of_items})),
            (SELECT count(DISTINCT v.id) FROM ({of_items}) AS of_item JOIN catalog_variants AS v USING (id)),
            (SELECT count(*) FROM catalog_category_items),
            (SELECT count(*) FROM catalog_category_items AS l JOIN catalog_items AS i ON i.id = l.item_id
                JOIN catalog_categories AS c ON c.id = l.category_id)""",
    )
    variants, links, joined, memberships, joined_memberships = row
    assert variants == links == joined > 0  # each variant belongs to one item
    assert memberships == joined_memberships > 0
    images = "SELECT count(*) FILTER (image_full_url = '') > 0, count(*) FILTER (images = []) > 0, count(image_full_url) FROM catalog_items"
    assert query(warehouse, images) == [(True, True, account.counts()["catalog_items"])]


@pytest.mark.long
def test_a_meaning_without_a_metric_is_no_change_at_each_read(new_account: Callable[..., SandboxProcess], warehouse: LocalFile) -> None:
    sandbox = new_account()
    for name in ("metrics", "custom_metrics", "mapped_metrics"):
        sync(name, sandbox, warehouse)
    rows = "SELECT * FROM mapped_metrics ORDER BY id"
    before = query(warehouse, rows)

    report = sync("mapped_metrics", sandbox, warehouse)

    assert (report.row.rows_inserted, report.row.rows_updated, report.row.rows_deleted) == (0, 0, 0)
    assert query(warehouse, rows) == before
    joined = """SELECT count(*), count(m.id), count(c.id), count(*) FILTER (metric_id IS NULL AND custom_metric_id IS NULL)
        FROM mapped_metrics LEFT JOIN metrics AS m ON m.id = metric_id LEFT JOIN custom_metrics AS c ON c.id = custom_metric_id"""
    assert query(warehouse, joined) == [(7, 5, 1, 1)]
