"""The members of lists and segments that customers have joined."""

from collections.abc import Mapping

from klaviyo_assets.sandbox.generate.shop.customers import Customer
from klaviyo_assets.sandbox.records import Record, build
from klaviyo_assets.sandbox.store import Store
from klaviyo_assets.sandbox.time_formats import written


def make_members(store: Store, customers: Mapping[str, Customer]) -> None:
    """Make members of lists and segments, with the time at which each joined: that of the event, if there is one."""
    for name, groups in (("list_members", "lists"), ("segment_members", "segments")):
        if name not in store.children or groups not in store.collections:
            continue
        entry, ids = store.catalog[name], {record.id for record in store[groups]}
        found: dict[str, list[Record]] = {}
        for profile_id, customer in customers.items():
            for group_id, joined in customer.joined.items():
                if group_id in ids:
                    found.setdefault(group_id, []).append(build(entry, profile_id, {"joined_group_at": written(name, joined)}))
        for group_id, records in found.items():
            store.children[name].of(group_id).fill(records)
