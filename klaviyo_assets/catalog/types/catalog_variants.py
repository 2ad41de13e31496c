"""Variants of the items of the product catalog (sizes, colors), one row per variant."""

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id
from klaviyo_assets.catalog.endpoint import ANY, CONTAINS, EQUALS, TIER_XL, Endpoint, PageSize
from klaviyo_assets.catalog.replication import FullTable
from klaviyo_assets.catalog.resource_type import ResourceType

CATALOG_VARIANTS = ResourceType(
    name="catalog_variants",
    jsonapi_type="catalog-variant",
    description=(
        "One row per variant of an item of the account's own catalog, such as a size or a color. "
        "The column variant_ids of catalog_items has the variants of each item."
    ),
    scope="catalogs:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_catalog_variants",
    endpoint=Endpoint(
        path="/api/catalog-variants",
        limit=TIER_XL,
        lookup_limit=TIER_XL,
        page_size=PageSize(default=100, maximum=100),
        filters={"ids": ANY, "item.id": EQUALS, "sku": EQUALS, "title": CONTAINS, "published": EQUALS},
        sorts=("created",),
    ),
    columns=(
        record_id("Klaviyo's id of the variant: $custom:::$default::: and its external id."),
        attribute("external_id", ColumnType.STRING, "The variant's id in the shop's own system."),
        attribute("title", ColumnType.STRING, "Title of the variant."),
        attribute("description", ColumnType.STRING, "Description of the variant."),
        attribute("sku", ColumnType.STRING, "Stock keeping unit."),
        attribute(
            "inventory_policy",
            ColumnType.INTEGER,
            "Whether it is recommended when it is out of stock: 1 for no, 0 or 2 for yes.",
            values=("0", "1", "2"),
        ),
        attribute("inventory_quantity", ColumnType.FLOAT, "Quantity in stock."),
        attribute("price", ColumnType.FLOAT, "Price that messages show, in the shop's currency."),
        attribute("url", ColumnType.STRING, "URL of the variant's page in the shop."),
        attribute("image_full_url", ColumnType.STRING, "URL of its image; Klaviyo sends an empty text if there is none."),
        attribute("image_thumbnail_url", ColumnType.STRING, "URL of its small image; Klaviyo sends an empty text if there is none."),
        attribute("images", ColumnType.STRINGS, "URLs of its other images; Klaviyo sends an empty list if there are none."),
        attribute("custom_metadata", ColumnType.JSON, "The shop's own properties of the variant, exactly as Klaviyo sent them."),
        attribute("published", ColumnType.BOOLEAN, "Whether the variant is published; unpublished variants do not appear in messages."),
        attribute("created", ColumnType.TIMESTAMP, "When the variant was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the variant was last changed."),
    ),
    replication=FullTable(),
    # It comes as links only, and no include exists for it.
    unmapped=(("relationships", "item"),),
    version_column="updated",
    group="catalog",
    opt_in=True,
)
