"""The metrics that every generated shop has, and what each of them is for.

Names are those that Klaviyo's own integrations use. Two of them need care in every analysis: ``Unsubscribed`` is the name that ``Unsubscribed from
Email Marketing`` had before it was renamed, and there are two metrics named ``Placed Order``: one of the shop's integration, and one that a program
of the shop sends to the API.
"""

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a metric of the generated shop is for."""

    PLACED_ORDER = "placed_order"
    ORDERED_PRODUCT = "ordered_product"
    RECEIVED_EMAIL = "received_email"
    OPENED_EMAIL = "opened_email"
    CLICKED_EMAIL = "clicked_email"
    BOUNCED_EMAIL = "bounced_email"
    VIEWED_PRODUCT = "viewed_product"
    ACTIVE_ON_SITE = "active_on_site"
    ADDED_TO_CART = "added_to_cart"
    CHECKOUT_STARTED = "checkout_started"
    SUBSCRIBED_EMAIL = "subscribed_email"
    SUBSCRIBED_LIST = "subscribed_list"
    UNSUBSCRIBED_EMAIL_BEFORE = "unsubscribed_email_before"
    MARKED_SPAM = "marked_spam"
    REFUNDED_ORDER = "refunded_order"
    RECEIVED_SMS = "received_sms"
    CLICKED_SMS = "clicked_sms"
    PLACED_ORDER_OF_API = "placed_order_of_api"
    UNSUBSCRIBED_EMAIL = "unsubscribed_email"
    FORM_SUBMITTED = "form_submitted"
    FULFILLED_ORDER = "fulfilled_order"
    FAILED_SMS = "failed_sms"
    SUBSCRIBED_SMS = "subscribed_sms"
    UNSUBSCRIBED_SMS = "unsubscribed_sms"
    UNSUBSCRIBED_LIST = "unsubscribed_list"
    DROPPED_EMAIL = "dropped_email"
    POINTS_CREDITED = "points_credited"
    CANCELLED_ORDER = "cancelled_order"
    RECEIVED_PUSH = "received_push"
    OPENED_PUSH = "opened_push"
    SUBMITTED_SEARCH = "submitted_search"
    SUBMITTED_REVIEW = "submitted_review"
    CUSTOM = "custom"


_KLAVIYO = ("0eMvjm", "Klaviyo", "Internal")
_SHOPIFY = ("7FtS4J", "Shopify", "eCommerce")
_API = ("0rG4eQ", "API", "API")
INTEGRATIONS = (_KLAVIYO, _SHOPIFY, _API, ("sHoP9w", "WooCommerce", "eCommerce"))
"""Id, name and category of the integrations that metrics come from."""

METRICS: tuple[tuple[str, Role, tuple[str, str, str]], ...] = (
    ("Placed Order", Role.PLACED_ORDER, _SHOPIFY),
    ("Ordered Product", Role.ORDERED_PRODUCT, _SHOPIFY),
    ("Received Email", Role.RECEIVED_EMAIL, _KLAVIYO),
    ("Opened Email", Role.OPENED_EMAIL, _KLAVIYO),
    ("Clicked Email", Role.CLICKED_EMAIL, _KLAVIYO),
    ("Bounced Email", Role.BOUNCED_EMAIL, _KLAVIYO),
    ("Viewed Product", Role.VIEWED_PRODUCT, _API),
    ("Active on Site", Role.ACTIVE_ON_SITE, _API),
    ("Added to Cart", Role.ADDED_TO_CART, _API),
    ("Checkout Started", Role.CHECKOUT_STARTED, _SHOPIFY),
    ("Subscribed to Email Marketing", Role.SUBSCRIBED_EMAIL, _KLAVIYO),
    ("Subscribed to List", Role.SUBSCRIBED_LIST, _KLAVIYO),
    ("Unsubscribed", Role.UNSUBSCRIBED_EMAIL_BEFORE, _KLAVIYO),
    ("Marked Email as Spam", Role.MARKED_SPAM, _KLAVIYO),
    ("Refunded Order", Role.REFUNDED_ORDER, _SHOPIFY),
    ("Received SMS", Role.RECEIVED_SMS, _KLAVIYO),
    ("Clicked SMS", Role.CLICKED_SMS, _KLAVIYO),
    ("Placed Order", Role.PLACED_ORDER_OF_API, _API),
    ("Unsubscribed from Email Marketing", Role.UNSUBSCRIBED_EMAIL, _KLAVIYO),
    ("Form submitted by profile", Role.FORM_SUBMITTED, _KLAVIYO),
    ("Fulfilled Order", Role.FULFILLED_ORDER, _SHOPIFY),
    ("Failed to Deliver SMS", Role.FAILED_SMS, _KLAVIYO),
    ("Subscribed to SMS Marketing", Role.SUBSCRIBED_SMS, _KLAVIYO),
    ("Unsubscribed from SMS Marketing", Role.UNSUBSCRIBED_SMS, _KLAVIYO),
    ("Unsubscribed from List", Role.UNSUBSCRIBED_LIST, _KLAVIYO),
    ("Dropped Email", Role.DROPPED_EMAIL, _KLAVIYO),
    ("Loyalty Points Credited", Role.POINTS_CREDITED, _API),
    ("Cancelled Order", Role.CANCELLED_ORDER, _SHOPIFY),
    ("Received Push", Role.RECEIVED_PUSH, _KLAVIYO),
    ("Opened Push", Role.OPENED_PUSH, _KLAVIYO),
    ("Submitted Search", Role.SUBMITTED_SEARCH, _API),
    ("Submitted review", Role.SUBMITTED_REVIEW, _KLAVIYO),
)
"""Name, role and integration, the most important first: an account with few metrics has the first ones."""

_BY_INTEGRATION: Mapping[tuple[str, str], Role] = {(name, integration[0]): role for name, role, integration in METRICS}


def role_of(name: object, integration_id: object = None) -> Role:
    """Return the role of a metric; ``CUSTOM`` for one that shops do not have in common.

    Args:
        name: The metric's name.
        integration_id: Id of its integration, which distinguishes metrics of the same name; None for the first one of the name.
    """
    if integration_id is None:
        return next((role for known, role, _ in METRICS if known == name), Role.CUSTOM)
    return _BY_INTEGRATION.get((str(name), str(integration_id)), Role.CUSTOM)
