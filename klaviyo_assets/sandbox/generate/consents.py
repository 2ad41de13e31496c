"""A customer's subscriptions, as the events about consent say they are."""

from typing import Any

from klaviyo_assets.sandbox.generate.shop.customers import Customer
from klaviyo_assets.sandbox.instants import render


def consents(subscriptions: dict[str, Any], customer: Customer) -> dict[str, Any]:
    """Return the subscriptions of a profile with those parts replaced that events of the profile are about.

    Args:
        subscriptions: Subscriptions without any consent by events.
        customer: The customer.
    """
    email, sms = subscriptions["email"], subscriptions["sms"]
    marketing = {**email["marketing"], **_consent(customer, "email", "can_receive_email_marketing")}
    lost = customer.lost.get("email")
    marketing["suppression"] = [] if lost is None else [{"reason": lost.reason, "timestamp": render(lost.at)}]
    left = sorted(customer.left.items(), key=lambda one: one[1])
    marketing["list_suppressions"] = [{"list_id": id, "reason": "UNSUBSCRIBE", "timestamp": render(at)} for id, at in left]
    marketing |= {"method_detail": customer.form[0], "double_optin": False}
    texts = {**sms["marketing"], **_consent(customer, "sms", "can_receive_sms_marketing")}
    return {**subscriptions, "email": {**email, "marketing": marketing}, "sms": {**sms, "marketing": texts}}


def _consent(customer: Customer, channel: str, can_receive: str) -> dict[str, Any]:
    since, lost = customer.subscribed.get(channel), customer.lost.get(channel)
    if since is None:
        return {can_receive: False, "consent": "NEVER_SUBSCRIBED", "consent_timestamp": None, "last_updated": None, "method": None}
    unsubscribed = lost is not None and lost.reason == "UNSUBSCRIBE"
    return {
        can_receive: lost is None,
        "consent": "UNSUBSCRIBED" if unsubscribed else "SUBSCRIBED",
        "consent_timestamp": render(since),
        "last_updated": render(lost.at if lost is not None and unsubscribed else since),
        "method": customer.method,
    }
