"""Profiles: customers and subscribers, one row per profile."""

from datetime import timedelta

from klaviyo_assets.catalog.columns import Column, ColumnType, attribute, record_id, to_many, within
from klaviyo_assets.catalog.endpoint import EQUALS, EQUALS_ANY, RANGE, STRICT, TIER_L, TIER_M, Endpoint, PageSize, ReducedLimit
from klaviyo_assets.catalog.replication import Incremental
from klaviyo_assets.catalog.resource_type import ResourceType


def _consent(channel: str, path: str, of: str, can_receive: str) -> tuple[Column, ...]:
    """The consent to one kind of message of one channel."""
    return (
        within(f"subscriptions.{path}.consent", f"{channel}_consent", ColumnType.STRING, f"Consent to {of}, such as SUBSCRIBED or NEVER_SUBSCRIBED."),
        within(f"subscriptions.{path}.{can_receive}", f"can_receive_{channel}", ColumnType.BOOLEAN, f"Whether the profile can receive {of}."),
    )


def _consent_time(channel: str, path: str, of: str) -> Column:
    description = f"When consent to {of} was given or last changed."
    return within(f"subscriptions.{path}.consent_timestamp", f"{channel}_consent_timestamp", ColumnType.TIMESTAMP, description)


_EMAIL = "subscriptions.email.marketing"

_CONSENT = (
    *_consent("email_marketing", "email.marketing", "e-mail marketing", "can_receive_email_marketing"),
    _consent_time("email_marketing", "email.marketing", "e-mail marketing"),
    within(f"{_EMAIL}.method", "email_marketing_consent_method", ColumnType.STRING, "How the profile subscribed to e-mail marketing, such as FORM."),
    within(f"{_EMAIL}.double_optin", "email_marketing_double_optin", ColumnType.BOOLEAN, "Whether it did so with a double opt-in."),
    within(
        f"{_EMAIL}.suppression.0.timestamp",
        "email_suppressed_at",
        ColumnType.TIMESTAMP,
        "When e-mail to it was suppressed; null if not.",
    ),
    within(f"{_EMAIL}.suppression.0.reason", "email_suppression_reason", ColumnType.STRING, "Why, such as UNSUBSCRIBE or HARD_BOUNCE."),
    within(
        f"{_EMAIL}.list_suppressions.*.list_id",
        "email_suppressed_list_ids",
        ColumnType.STRINGS,
        "Lists whose e-mail it does not get; null if none.",
    ),
    within("subscriptions.email.open_tracking.consent", "email_open_tracking_consent", ColumnType.STRING, "Consent to the tracking of opens."),
    within("subscriptions.email.click_tracking.consent", "email_click_tracking_consent", ColumnType.STRING, "Consent to the tracking of clicks."),
    *_consent("sms_marketing", "sms.marketing", "SMS marketing", "can_receive_sms_marketing"),
    _consent_time("sms_marketing", "sms.marketing", "SMS marketing"),
    *_consent("sms_transactional", "sms.transactional", "transactional SMS", "can_receive_sms_transactional"),
    *_consent("push_marketing", "mobile_push.marketing", "mobile push marketing", "can_receive_push_marketing"),
    _consent_time("push_marketing", "mobile_push.marketing", "mobile push marketing"),
    *_consent("whatsapp_marketing", "whatsapp.marketing", "WhatsApp marketing", "can_receive"),
    _consent_time("whatsapp_marketing", "whatsapp.marketing", "WhatsApp marketing"),
    *_consent("whatsapp_transactional", "whatsapp.transactional", "transactional WhatsApp messages", "can_receive"),
)
"""Columns with values of ``subscriptions``."""

PROFILES = ResourceType(
    name="profiles",
    jsonapi_type="profile",
    description="One row per profile: a customer or subscriber, with contact data, consent and custom properties.",
    scope="profiles:read",
    docs_url="https://developers.klaviyo.com/en/reference/get_profiles",
    endpoint=Endpoint(
        path="/api/profiles",
        limit=TIER_L,
        lookup_limit=TIER_L,
        page_size=PageSize(default=20, maximum=100),
        filters={
            "id": EQUALS_ANY,
            "email": EQUALS_ANY,
            "phone_number": EQUALS_ANY,
            "external_id": EQUALS_ANY,
            "_kx": EQUALS,
            "created": STRICT,
            "updated": STRICT,
            "subscriptions.email.marketing.list_suppressions.reason": EQUALS,
            "subscriptions.email.marketing.list_suppressions.timestamp": RANGE,
            "subscriptions.email.marketing.list_suppressions.list_id": EQUALS,
            "subscriptions.email.marketing.suppression.reason": EQUALS,
            "subscriptions.email.marketing.suppression.timestamp": RANGE,
        },
        sorts=(
            "created",
            "email",
            "id",
            "subscriptions.email.marketing.list_suppressions.timestamp",
            "subscriptions.email.marketing.suppression.timestamp",
            "updated",
        ),
        includes=("conversations", "push-tokens"),
        additional_fields=("subscriptions", "predictive_analytics"),
        reduced_limits=(ReducedLimit("additional-fields[profile]", "predictive_analytics", TIER_M, lookup=False),),
    ),
    columns=(
        record_id("Klaviyo's id of the profile."),
        attribute("email", ColumnType.STRING, "E-mail address.", personal=True),
        attribute("phone_number", ColumnType.STRING, "Phone number in E.164 form.", personal=True),
        attribute("external_id", ColumnType.STRING, "The person's id in the shop's own system.", personal=True),
        attribute("anonymous_id", ColumnType.STRING, "Klaviyo's id of an unidentified visitor.", personal=True, was_in_extra=True),
        attribute("whatsapp_bsuid", ColumnType.STRING, "WhatsApp's business-scoped user id (BSUID) of the person.", personal=True, was_in_extra=True),
        attribute("first_name", ColumnType.STRING, "First name.", personal=True),
        attribute("last_name", ColumnType.STRING, "Last name.", personal=True),
        attribute("organization", ColumnType.STRING, "Company or organization that the person works for.", personal=True),
        attribute("locale", ColumnType.STRING, "Language tag (BCP 47), such as en-US."),
        attribute("title", ColumnType.STRING, "Job title.", personal=True),
        attribute("image", ColumnType.STRING, "URL of a picture of the person.", personal=True),
        attribute("created", ColumnType.TIMESTAMP, "When the profile was created."),
        attribute("updated", ColumnType.TIMESTAMP, "When the profile was last changed."),
        attribute("last_event_date", ColumnType.TIMESTAMP, "Time of the latest event that updated the profile."),
        attribute("location.address1", ColumnType.STRING, "First line of the street address.", personal=True),
        attribute("location.address2", ColumnType.STRING, "Second line of the street address.", personal=True),
        attribute("location.city", ColumnType.STRING, "City."),
        attribute("location.country", ColumnType.STRING, "Country name, such as Denmark, or the text that was sent to Klaviyo."),
        attribute("location.latitude", ColumnType.FLOAT, "Latitude in degrees.", personal=True),
        attribute("location.longitude", ColumnType.FLOAT, "Longitude in degrees.", personal=True),
        attribute("location.region", ColumnType.STRING, "State, province or region."),
        attribute("location.zip", ColumnType.STRING, "Postal code.", personal=True),
        attribute("location.timezone", ColumnType.STRING, "IANA time zone."),
        attribute("location.ip", ColumnType.STRING, "IP address.", personal=True),
        attribute("properties", ColumnType.JSON, "Custom properties exactly as Klaviyo sent them.", personal=True),
        attribute("subscriptions", ColumnType.JSON, "Consent and suppression per channel: e-mail, SMS, mobile push, WhatsApp.", personal=True),
        *_CONSENT,
        to_many("push-tokens", "push_token_ids", "Push tokens of the profile; null if Klaviyo does not list them."),
        to_many("conversations", "conversation_ids", "Conversations of the profile; null if Klaviyo does not list them."),
    ),
    # `updated` changes during a read, so the backfill reads by `created`, which never changes.
    replication=Incremental(
        field="updated",
        lookback_ages=(timedelta(hours=1),),
        backfill_field="created",
        # Klaviyo does not document whether a change of consent alone changes `updated`.
        secondary_cursors=(
            "subscriptions.email.marketing.suppression.timestamp",
            "subscriptions.email.marketing.list_suppressions.timestamp",
        ),
    ),
    requested_fields=("subscriptions",),
    unmapped=(
        # Endpoints for the members of a list or segment return the time at which they joined.
        ("attributes", "joined_group_at"),
        ("relationships", "conversation"),
        ("relationships", "lists"),
        ("relationships", "segments"),
    ),
    version_column="updated",
    refresh="hourly",
    full_refresh="weekly",
    subject_column="id",
)
