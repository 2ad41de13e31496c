"""Predictive analytics: Klaviyo's predictions about each profile, one row per profile."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import Column, ColumnType, attribute, record_id
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.profiles import PROFILES


def _prediction(name: str, type: ColumnType, description: str) -> Column:
    return Column(name, type, description, ("attributes", "predictive_analytics", name))


PREDICTIVE_ANALYTICS = ResourceType(
    name="predictive_analytics",
    jsonapi_type="profile",
    description="One row per profile with Klaviyo's predictions: customer lifetime value, next order, risk of churn. Null without enough orders.",
    scope="profiles:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_profiles",
    # A separate table, because a request with predictions has a fifth of the rate limit: profiles alone must not become slower.
    endpoint=PROFILES.endpoint,
    records_of=PROFILES,
    columns=(
        record_id("Klaviyo's id of the profile.", name="profile_id"),
        attribute("created", ColumnType.TIMESTAMP, "When the profile was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the profile was last changed."),
        _prediction("historic_clv", ColumnType.FLOAT, "Value of all orders so far, in the account's currency."),
        _prediction("predicted_clv", ColumnType.FLOAT, "Predicted value of the orders in the next 365 days."),
        _prediction("total_clv", ColumnType.FLOAT, "Sum of the historic and the predicted value."),
        _prediction("historic_number_of_orders", ColumnType.FLOAT, "Number of orders so far."),
        _prediction("predicted_number_of_orders", ColumnType.FLOAT, "Predicted number of orders in the next 365 days."),
        _prediction("average_days_between_orders", ColumnType.FLOAT, "Average number of days between orders; null with only one order."),
        _prediction("average_order_value", ColumnType.FLOAT, "Average value of an order."),
        _prediction("churn_probability", ColumnType.FLOAT, "Probability, from 0 to 1, that the person will not order again."),
        _prediction("expected_date_of_next_order", ColumnType.TIMESTAMP, "When the next order is expected, as predicted at the latest order."),
        _prediction("ranked_channel_affinity", ColumnType.STRINGS, "Channels (email, push, sms, whatsapp), the most effective one first."),
    ),
    # Klaviyo does not document whether new predictions alone change `updated`; the weekly full sync finds those that do not.
    replication=Incremental(field="updated", lookback_ages=(timedelta(hours=1),), backfill_field="created"),
    only_fields=("created", "updated"),
    requested_fields=("predictive_analytics",),
    unmapped=tuple(("relationships", name) for name in ("conversation", "conversations", "lists", "push-tokens", "segments")),
    primary_key=("profile_id",),
    version_column="updated",
    full_refresh="weekly",
    subject_column="profile_id",
    group="audiences",
    opt_in=True,
)
