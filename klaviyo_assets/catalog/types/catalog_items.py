"""Items of the product catalog, one row per item."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many
from klaviyo_assets.catalog.endpoint import ANY, CONTAINS, EQUALS, TIER_XL, Endpoint, Include, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

CATALOG_ITEMS = ResourceType(
    name="catalog_items",
    jsonapi_type="catalog-item",
    description="One row per item (product) of the account's own catalog ($custom). Catalogs of integrations such as Shopify are not in the API.",
    scope="catalogs:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_catalog_items",
    endpoint=Endpoint(
        path="/api/catalog-items",
        limit=TIER_XL,
        lookup_limit=TIER_XL,
        page_size=PageSize(default=100, maximum=100),
        # No filter by time, and none that divides the items: `published` can be null, and a null meets no filter.
        filters={"ids": ANY, "category.id": EQUALS, "title": CONTAINS, "published": EQUALS},
        sorts=("created",),
        includes=("variants",),
    ),
    columns=(
        record_id("Klaviyo's id of the item: $custom:::$default::: and its external id."),
        attribute("external_id", ColumnType.STRING, "The item's id in the shop's own system."),
        attribute("title", ColumnType.STRING, "Title of the item."),
        attribute("description", ColumnType.STRING, "Description of the item."),
        attribute("price", ColumnType.FLOAT, "Price that messages show, in the shop's currency."),
        attribute("url", ColumnType.STRING, "URL of the item's page in the shop."),
        attribute("image_full_url", ColumnType.STRING, "URL of its image; Klaviyo sends an empty text if there is none."),
        attribute("image_thumbnail_url", ColumnType.STRING, "URL of its small image; Klaviyo sends an empty text if there is none."),
        attribute("images", ColumnType.STRINGS, "URLs of its other images; Klaviyo sends an empty list if there are none."),
        attribute("custom_metadata", ColumnType.JSON, "The shop's own properties of the item, exactly as Klaviyo sent them."),
        attribute("published", ColumnType.BOOLEAN, "Whether the item is published; unpublished items do not appear in messages."),
        attribute("created", ColumnType.TIMESTAMP, "When the item was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the item was last changed."),
        to_many("variants", "variant_ids", "Variants of the item: ids in the table catalog_variants, which do not name their item themselves."),
    ),
    replication=FullTable(),
    # A variant's record does not contain its item, not even by an include: the items name their variants. They have a table of their own.
    requested_includes=(Include("variants", fields={"catalog-variant": ("id",)}),),
    version_column="updated",
    group="catalog",
    opt_in=True,
)
