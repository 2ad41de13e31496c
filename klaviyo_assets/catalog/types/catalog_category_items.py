"""Items of the categories of the product catalog, one row per item and category."""

from klaviyo_assets.catalog.columns import parent_id, record_id
from klaviyo_assets.catalog.endpoint import ANY, CONTAINS, EQUALS, TIER_XL, Endpoint, PageSize
from klaviyo_assets.catalog.replication import PerParent
from klaviyo_assets.catalog.resource_type import Parent, ResourceType
from klaviyo_assets.catalog.types.catalog_categories import CATALOG_CATEGORIES

# An item may be in several categories and an account has fewer categories than items, so a request for each category is the cheapest:
# /api/catalog-items?filter=equals(category.id,…) needs as many requests with longer responses, and /api/catalog-items/{id}/relationships/categories
# needs one per item.
_PATH = "/api/catalog-categories/{id}/relationships/items"

CATALOG_CATEGORY_ITEMS = ResourceType(
    name="catalog_category_items",
    jsonapi_type="catalog-item",
    description="One row per item in a category: which products the account's own catalog has in which category.",
    scope="catalogs:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_item_ids_for_catalog_category",
    endpoint=Endpoint(
        path=_PATH,
        limit=TIER_XL,
        page_size=PageSize(default=100, maximum=100),
        filters={"ids": ANY, "category.id": EQUALS, "title": CONTAINS, "published": EQUALS},
        sorts=("created",),
    ),
    columns=(parent_id("category_id", "Klaviyo's id of the category."), record_id("Klaviyo's id of the item.", name="item_id")),
    primary_key=("category_id", "item_id"),
    replication=PerParent(),
    parent=Parent(CATALOG_CATEGORIES, path=_PATH, column="category_id"),
    group="catalog",
    opt_in=True,
)
