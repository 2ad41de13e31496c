"""A server for children of any number, without limits: ``python -m benchmarks.children_server 1000000``.

Record *i* is computed from *i*, so a million records need no memory. It serves coupon codes, members of lists and segments, object records, push
tokens, predictions of profiles, and items and variants of the catalog, each with the filters that syncs use, and exits when its standard input is
closed.
"""

from __future__ import annotations

import bisect
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode

from benchmarks.account import microseconds
from benchmarks.packed import gzipped
from benchmarks.server import Server, serve
from klaviyo_assets.sandbox.errors import ApiError

_BOUND = re.compile(r"(greater-or-equal|greater-than|less-than)\((?:created|expires_at|joined_group_at|updated),([^)]+)\)")
_PARENT = re.compile(r'"P(\d+)"')
_STATE = re.compile(r'equals\(status,"(\w+)"\)')

_STATES = ("UNASSIGNED", "ASSIGNED_TO_PROFILE", "USED", "UNASSIGNED")
_SPAN = 700 * 86_400_000_000
"""Microseconds between the first and the last time."""

_ODD = 0x9E3779B97F4A7C15
"""An odd factor: its products are unique and in no order."""

_LINKS = '"links":{"self":"https://a.klaviyo.com/api/%(id)s/"}'
_CODE = '{"type":"coupon-code","id":"%(id)s","attributes":{"unique_code":"%(short)s","expires_at":"%(time)s","status":"%(state)s"},"relationships":{'
_CODE += '"coupon":{"data":{"type":"coupon","id":"P%(parent)d"},%(links)s},"profile":{%(links)s}},%(links)s}'
_MEMBER = '{"type":"profile","id":"01%(id)s","attributes":{"joined_group_at":"%(time)s"},"relationships":{"lists":{%(links)s}},%(links)s}'
_RECORD = (
    '{"type":"object-record","id":"P%(parent)d:::%(id)s","attributes":{"record_properties":{"name":"record %(short)s","price":12.5,"tags":["a","b",'
)
_RECORD += '"%(short)s"],"updated":"%(time)s"}},%(links)s}'
_TOKEN = '{"type":"push-token","id":"%(id)s","attributes":{"created":"%(time)s","token":"%(id)s%(id)s%(id)s","enablement_status":"AUTHORIZED",'
_TOKEN += (
    '"platform":"ios","vendor":"APNs","background":"AVAILABLE","recorded_date":"%(time)s","metadata":{"device_id":"%(id)s","klaviyo_sdk":"swift",'
)
_TOKEN += (
    '"sdk_version":"4.1","device_model":"iPhone12,1","os_name":"ios","os_version":"17","manufacturer":"Apple","app_name":"Shop","app_version":"1"}},'
)
_TOKEN += '"relationships":{"profile":{"data":{"type":"profile","id":"01%(short)s"},%(links)s}},%(links)s}'

_PREDICTIONS = (
    '{"type":"profile","id":"01%(id)s","attributes":{"created":"%(time)s","updated":"%(time)s","predictive_analytics":{"historic_clv":93.87,'
    '"predicted_clv":27.24,"total_clv":121.11,"historic_number_of_orders":2,"predicted_number_of_orders":0.54,"average_days_between_orders":189,'
    '"average_order_value":46.94,"churn_probability":0.89,"expected_date_of_next_order":"%(time)s","ranked_channel_affinity":["email","sms"]}},'
    '"relationships":{"lists":{%(links)s},"segments":{%(links)s}},%(links)s}'
)
_PRODUCT = (
    '"external_id":"%(id)s","title":"Product %(short)s","description":"A product of the shop, in text that takes a line or two: %(id)s%(id)s",'
    '"price":12.5,"url":"https://shop.example/products/%(id)s","image_full_url":"https://shop.example/products/%(id)s.jpg",'
    '"image_thumbnail_url":"","images":["https://shop.example/products/%(short)s.jpg"],'
    '"custom_metadata":{"color":"blue","weight":1.25,"code":"%(short)s"},"published":true,"created":"%(time)s","updated":"%(time)s"'
)
_VARIANTS_OF_ITEM = '{"type":"catalog-variant","id":"$custom:::$default:::%(id)s-1"},{"type":"catalog-variant","id":"$custom:::$default:::%(id)s-2"}'
_ITEM = (
    f'{{"type":"catalog-item","id":"$custom:::$default:::%(id)s","attributes":{{{_PRODUCT}}},'
    f'"relationships":{{"variants":{{"data":[{_VARIANTS_OF_ITEM}],%(links)s}}}},%(links)s}}'
)
_VARIANT = (
    f'{{"type":"catalog-variant","id":"$custom:::$default:::%(id)s","attributes":{{{_PRODUCT},"sku":"%(short)s","inventory_policy":1,'
    '"inventory_quantity":25},"relationships":{"item":{%(links)s}},%(links)s}'
)

_PARENTS = {
    "coupons": '{"type":"coupon","id":"P%d","attributes":{"external_id":"P%d"}}',
    "lists": '{"type":"list","id":"P%d","attributes":{"name":"L%d","profile_count":%d}}',
    "segments": '{"type":"segment","id":"P%d","attributes":{"name":"S%d","is_active":true,"is_processing":false,"profile_count":%d}}',
    "object-types": '{"type":"object-type","id":"P%d","attributes":{"title":"O%d"}}',
}


@dataclass(frozen=True)
class Children:
    """The children of some parents: child *i* belongs to parent *i* modulo their number, and times ascend with *i*.

    Attributes:
        template: Their JSON text.
        parents: Number of parents.
        total: Number of children.
        start: The first time, in microseconds since 1970.
        included: JSON text of the resources that are included with each; empty if none are.
    """

    template: str
    parents: int
    total: int
    start: int
    included: str = ""

    def time(self, place: int) -> int:
        """Return the time of the children at a place of each parent."""
        return self.start + place * _SPAN * self.parents // self.total

    def place_from(self, time: int) -> int:
        """Return the first place at or after a time."""
        return bisect.bisect_left(range(-(-self.total // self.parents)), time, key=self.time)

    def matching(self, first: int, end: int, parents: Sequence[int], state: str | None) -> Iterator[int]:
        """Yield the children in a range that belong to some parents and are in a state (None for any), ascending."""
        for place in range(first // self.parents, -(-end // self.parents)):
            if state is None or _STATES[place % len(_STATES)] == state:
                yield from (index for parent in parents if first <= (index := place * self.parents + parent) < end)

    def text(self, index: int) -> str:
        """Return the JSON text of a child."""
        return self.template % self._values(index)

    def text_included(self, index: int) -> str:
        """Return the JSON text of the resources that are included with a child."""
        return self.included % self._values(index)

    def _values(self, index: int) -> dict[str, object]:
        place, parent = divmod(index, self.parents)
        time = datetime.fromtimestamp(self.time(place) // 1_000_000, UTC).isoformat()
        id_ = f"{index * _ODD & (1 << 96) - 1:024X}"
        names = {"id": id_, "short": id_[-12:], "time": time, "parent": parent, "state": _STATES[place % len(_STATES)]}
        return {**names, "links": _LINKS % names}


class ChildrenServer(Server):
    """The ASGI application.

    Args:
        total: Children of each type.
    """

    def __init__(self, total: int) -> None:
        super().__init__({}, latency=0.0, limits=None, packed=())
        now = datetime.now(UTC).replace(microsecond=0)
        start = microseconds((now - timedelta(days=701)).isoformat())
        self._children = {
            "coupons": Children(_CODE, 20, total, start + 365 * 86_400_000_000),
            "lists": Children(_MEMBER, 4, total, start),
            "segments": Children(_MEMBER, 4, total, start),
            "object-types": Children(_RECORD, 1, total, start),
            "push-tokens": Children(_TOKEN, 1, total, start),
            "profiles": Children(_PREDICTIONS, 1, total, start),
            "catalog-items": Children(_ITEM, 1, total, start, _VARIANTS_OF_ITEM),
            "catalog-variants": Children(_VARIANT, 1, total, start),
        }

    def _respond(self, scope: Any) -> tuple[int, bytes, dict[str, str]]:
        query, path = dict(parse_qsl(scope["query_string"].decode())), scope["path"]
        collection, *rest = path.removeprefix("/api/").split("/")
        if collection == "accounts":
            return self._document(['{"type":"account","id":"AbCdEF","attributes":{"timezone":"UTC"}}'])
        if collection == "coupon-codes" or (collection in self._children and collection not in _PARENTS):
            return self._page_of(scope, self._children[collection.replace("coupon-codes", "coupons")], query, None)
        if collection not in _PARENTS:
            error = ApiError(403, "permission_denied", "Permission denied.", "You do not have permission to perform this action.")
            return error.status, gzipped(error.body()), {}
        children = self._children[collection]
        if len(rest) == 2:
            return self._page_of(scope, children, query, int(rest[0].removeprefix("P")))
        records = [self._parent(collection, number) for number in range(children.parents)]
        return self._document(records) if not rest else (200, gzipped(f'{{"data":{records[int(rest[0].removeprefix("P"))]}}}'.encode()), {})

    def _parent(self, collection: str, number: int) -> str:
        children, template = self._children[collection], _PARENTS[collection]
        return template % (number, number, children.total // children.parents)[: template.count("%d")]

    def _page_of(self, scope: Any, children: Children, query: dict[str, str], parent: int | None) -> tuple[int, bytes, dict[str, str]]:
        filters = query.get("filter", "")
        named = sorted({int(number) for number in _PARENT.findall(filters)})
        parents = [parent] if parent is not None else named or [*range(children.parents)]
        state = _STATE.search(filters)
        first, end = 0, children.total
        for operator, text in _BOUND.findall(filters):
            bound = children.place_from(microseconds(text)) * children.parents
            first, end = (max(first, bound), end) if operator.startswith("greater") else (first, min(end, bound))
        found = children.matching(max(first, int(query.get("page[cursor]", 0))), end, parents, state[1] if state else None)
        indexes = [index for _, index in zip(range(int(query.get("page[size]", 20))), found, strict=False)]
        following = next(found, None)
        host = dict(scope["headers"])[b"host"].decode()
        url = None if following is None else f"http://{host}{scope['path']}?{urlencode({**query, 'page[cursor]': following})}"
        included = [children.text_included(index) for index in indexes] if children.included else []
        return self._document([children.text(index) for index in indexes], url, included)

    @staticmethod
    def _document(records: Sequence[str], next_url: str | None = None, included: Sequence[str] = ()) -> tuple[int, bytes, dict[str, str]]:
        links = json.dumps({"self": "", "next": next_url})
        more = f',"included":[{",".join(included)}]' if included else ""
        return 200, gzipped(f'{{"links":{links},"data":[{",".join(records)}]{more}}}'.encode()), {}


if __name__ == "__main__":
    serve(ChildrenServer(int(sys.argv[1])))
