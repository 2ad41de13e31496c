"""What events of consent change when they arrive: the subscriptions of the profile, and the members of lists.

The result does not depend on the order in which events arrive: a late one changes only what no later event has changed.
"""

from typing import Any

import msgspec

from klaviyo_assets.sandbox.generate.metric_names import Role
from klaviyo_assets.sandbox.instants import parse, render
from klaviyo_assets.sandbox.ledger import properties_of
from klaviyo_assets.sandbox.records import Record, build
from klaviyo_assets.sandbox.store import Store
from klaviyo_assets.sandbox.time_formats import written

_SUBSCRIBED = {Role.SUBSCRIBED_EMAIL: "email", Role.SUBSCRIBED_SMS: "sms"}
_UNSUBSCRIBED = {Role.UNSUBSCRIBED_EMAIL: "email", Role.UNSUBSCRIBED_EMAIL_BEFORE: "email", Role.UNSUBSCRIBED_SMS: "sms"}
_OF_LISTS = frozenset({Role.SUBSCRIBED_LIST, Role.UNSUBSCRIBED_LIST})
_CAN_RECEIVE = {"email": "can_receive_email_marketing", "sms": "can_receive_sms_marketing"}

_LIFTED = frozenset({"UNSUBSCRIBE", "SPAM_COMPLAINT", "USER_SUPPRESSED"})
"""Reasons of suppressions that a new consent lifts, as Klaviyo documents."""

CONSENT_ROLES = frozenset({*_SUBSCRIBED, *_UNSUBSCRIBED, *_OF_LISTS, Role.MARKED_SPAM, Role.BOUNCED_EMAIL})
"""Metrics whose events Klaviyo makes itself, when a consent or a list changes."""

_Json = dict[str, Any]


def follow_consent(store: Store, subscriptions: _Json, role: Role, event: Record, profile_id: str, at: int) -> _Json:
    """Return the subscriptions of a profile after an event, and let the profile join or leave the list that the event names.

    Args:
        store: The account.
        subscriptions: The subscriptions before.
        role: What the event's metric is for.
        event: The event.
        profile_id: Its profile.
        at: Its time.
    """
    if role in _OF_LISTS:
        list_id = _list_of(store, event)
        return subscriptions if list_id is None else _of_list(store, subscriptions, role, list_id, profile_id, at)
    if role in _SUBSCRIBED:
        return _changed(subscriptions, _SUBSCRIBED[role], _consented(subscriptions[_SUBSCRIBED[role]]["marketing"], at))
    if role in _UNSUBSCRIBED:
        return _changed(subscriptions, _UNSUBSCRIBED[role], _withdrawn(subscriptions[_UNSUBSCRIBED[role]]["marketing"], at))
    reason = "SPAM_COMPLAINT" if role is Role.MARKED_SPAM else "HARD_BOUNCE"
    if role is Role.BOUNCED_EMAIL and properties_of(event).bounce_type != "Hard":
        return subscriptions
    return _changed(subscriptions, "email", _suppressed(subscriptions["email"]["marketing"], reason, at))


def _changed(subscriptions: _Json, channel: str, changes: _Json) -> _Json:
    marketing = {**subscriptions[channel]["marketing"], **changes}
    marketing[_CAN_RECEIVE[channel]] = marketing["consent"] == "SUBSCRIBED" and not marketing.get("suppression")
    return {**subscriptions, channel: {**subscriptions[channel], "marketing": marketing}}


def _is_after(text: str | None, at: int) -> bool:
    return text is not None and parse(text) > at


def _consented(marketing: _Json, at: int) -> _Json:
    changes: _Json = {}
    if "suppression" in marketing:
        changes["suppression"] = [one for one in marketing["suppression"] if one["reason"] not in _LIFTED or _is_after(one["timestamp"], at)]
    if not _is_after(marketing["consent_timestamp"], at):
        changes |= {"consent_timestamp": render(at), "method": "API"}
    if not _is_after(marketing["last_updated"], at):
        changes |= {"consent": "SUBSCRIBED", "last_updated": render(at)}
    return changes


def _withdrawn(marketing: _Json, at: int) -> _Json:
    changes = _suppressed(marketing, "UNSUBSCRIBE", at) if "suppression" in marketing else {}
    return changes if _is_after(marketing["last_updated"], at) else {**changes, "consent": "UNSUBSCRIBED", "last_updated": render(at)}


def _suppressed(marketing: _Json, reason: str, at: int) -> _Json:
    """Return the suppressions with one more, the latest first; no reason occurs twice, and a later consent has lifted those that it lifts."""
    before: list[_Json] = marketing["suppression"]
    if reason in _LIFTED and _is_after(marketing["consent_timestamp"], at):
        return {}
    if any(one["reason"] == reason and _is_after(one["timestamp"], at) for one in before):
        return {}
    after = [one for one in before if one["reason"] != reason] + [{"reason": reason, "timestamp": render(at)}]
    return {"suppression": sorted(after, key=lambda one: parse(one["timestamp"]), reverse=True)}


def _list_of(store: Store, event: Record) -> str | None:
    """Return the list that an event names; None if the account has no list of that name."""
    name = properties_of(event).list_name
    lists = store["lists"] if "lists" in store.collections else ()
    return next((one.id for one in lists if msgspec.json.decode(one.attributes()["name"]) == name), None)


def _of_list(store: Store, subscriptions: _Json, role: Role, list_id: str, profile_id: str, at: int) -> _Json:
    suppressions: list[_Json] = subscriptions["email"]["marketing"]["list_suppressions"]
    members = store.children["list_members"].of(list_id) if "list_members" in store.children else None
    member = members.get(profile_id) if members is not None else None
    joined = member.values["joined_group_at"] if member is not None else None
    if any(one["list_id"] == list_id and _is_after(one["timestamp"], at) for one in suppressions) or (isinstance(joined, int) and joined > at):
        return subscriptions
    kept = [one for one in suppressions if one["list_id"] != list_id]
    if role is Role.UNSUBSCRIBED_LIST:
        kept.insert(0, {"list_id": list_id, "reason": "UNSUBSCRIBE", "timestamp": render(at)})
    if members is not None and role is Role.UNSUBSCRIBED_LIST:
        members.remove(profile_id)
    elif members is not None:  # who joins once more has the later time
        members.put(build(store.catalog["list_members"], profile_id, {"joined_group_at": written("list_members", at)}))
    return _changed(subscriptions, "email", {"list_suppressions": kept})
