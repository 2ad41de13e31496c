"""Reviews: what customers wrote about products and the store, one row per review."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import ColumnType, attribute, record_id, to_many, to_one
from klaviyo_assets.catalog.endpoint import CONTAINS, EQUALS, EQUALS_ANY, INCLUSIVE, TIER_M, Endpoint, PageSize
from klaviyo_assets.catalog.replication import NewestFirst
from klaviyo_assets.catalog.resource_type import ResourceType, Subset

REVIEWS = ResourceType(
    name="reviews",
    jsonapi_type="review",
    description="One row per review, rating, question or store review, in every status (published, pending, rejected, …).",
    scope="reviews:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_reviews",
    endpoint=Endpoint(
        path="/api/reviews",
        limit=TIER_M,
        lookup_limit=TIER_M,
        page_size=PageSize(default=20, maximum=100),
        filters={
            "created": INCLUSIVE,
            "rating": EQUALS_ANY | INCLUSIVE,
            "id": EQUALS_ANY,
            "item.id": EQUALS_ANY,
            "content": CONTAINS,
            "status": EQUALS,
            "review_type": EQUALS,
            "verified": EQUALS,
        },
        sorts=("created", "rating", "updated"),
        includes=("events",),
    ),
    columns=(
        record_id("Klaviyo's id of the review."),
        attribute("email", ColumnType.STRING, "E-mail address of the author.", personal=True),
        attribute(
            "status.value",
            ColumnType.STRING,
            "Status: published, unpublished, featured, pending or rejected.",
            values=("featured", "pending", "published", "rejected", "unpublished"),
        ),
        attribute("status.rejection_reason", ColumnType.JSON, "Reason for the rejection; null for any other status."),
        attribute("verified", ColumnType.BOOLEAN, "Whether the author is a verified buyer of the product.", required=True),
        attribute(
            "review_type",
            ColumnType.STRING,
            "Kind: review, rating, question or store.",
            required=True,
            values=("question", "rating", "review", "store"),
        ),
        attribute("created", ColumnType.TIMESTAMP, "When the review was written.", required=True),
        attribute("updated", ColumnType.TIMESTAMP, "When the review was last changed.", required=True),
        attribute("images", ColumnType.STRINGS, "URLs of the review's pictures.", required=True),
        attribute("product.url", ColumnType.STRING, "URL of the product."),
        attribute("product.name", ColumnType.STRING, "Name of the product."),
        attribute("product.image_url", ColumnType.STRING, "URL of the product's picture."),
        attribute("product.external_id", ColumnType.STRING, "The product's id in the shop's own system."),
        attribute("rating", ColumnType.INTEGER, "Stars from 1 to 5; null for a question."),
        attribute("author", ColumnType.STRING, "Name of the author.", personal=True),
        attribute("content", ColumnType.STRING, "Text of the review.", personal=True),
        attribute("title", ColumnType.STRING, "Title of the review.", personal=True),
        attribute("smart_quote", ColumnType.STRING, "A quote from the text that summarizes it.", personal=True),
        attribute("public_reply.content", ColumnType.STRING, "Text of the shop's public reply."),
        attribute("public_reply.author", ColumnType.STRING, "Author of the public reply.", personal=True),
        attribute("public_reply.updated", ColumnType.TIMESTAMP, "When the public reply was last changed."),
        to_many("events", "event_ids", "Events that belong to the review; null if Klaviyo does not list them."),
        to_one("item", "The reviewed catalog item."),
    ),
    replication=NewestFirst(field="updated", backfill_field="created", margin=timedelta(hours=1)),
    # Klaviyo does not document which statuses an unfiltered request returns, so each read requests all.
    subsets=(Subset(filters=("equals(status,'all')",)),),
    version_column="updated",
)
