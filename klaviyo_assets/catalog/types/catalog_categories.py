"""Categories of the product catalog, one row per category. The items of each are in the table catalog_category_items."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import ANY, CONTAINS, EQUALS, TIER_XL, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

CATALOG_CATEGORIES = ResourceType(
    name="catalog_categories",
    jsonapi_type="catalog-category",
    description="One row per category of the account's own catalog ($custom). Catalogs of integrations such as Shopify are not in the API.",
    scope="catalogs:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_catalog_categories",
    endpoint=Endpoint(
        path="/api/catalog-categories",
        limit=TIER_XL,
        lookup_limit=TIER_XL,
        page_size=PageSize(default=100, maximum=100),
        filters={"ids": ANY, "item.id": EQUALS, "name": CONTAINS},
        sorts=("created",),
    ),
    columns=(
        record_id("Klaviyo's id of the category: $custom:::$default::: and its external id."),
        attribute("external_id", ColumnType.STRING, "The category's id in the shop's own system."),
        attribute("name", ColumnType.STRING, "Name of the category."),
        attribute("updated", ColumnType.TIMESTAMP, "When the category was last changed."),
    ),
    replication=FullTable(),
    # It comes as links only; the child type catalog_category_items reads it.
    unmapped=(("relationships", "items"),),
    version_column="updated",
    group="catalog",
    opt_in=True,
)
