"""The structure of recorded responses: members, JSON types, nulls, formats of times and links, headers; no values.

A structure has the shape of the JSON that it describes. Its leaves are ``null``, ``boolean``, ``integer``, ``number``, ``string``, ``empty`` (an
empty array or object: the recorder did not distinguish them), ``object`` (its members belong to the account), a time with zeros as digits, or a
link with its host, ids and values replaced. An array is the list of the structures of its elements.
"""

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlsplit

from klaviyo_assets_tests.accounts import COLLECTIONS

SITES = ("https://a.klaviyo.com", "http://127.0.0.1")
"""Origins of Klaviyo's and the sandbox's links."""

OURS = {entry.jsonapi_type for entry in COLLECTIONS.values()}

_OF_THE_ACCOUNT = {"custom_metadata", "event_properties", "properties"}
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")
_CONDITION = re.compile(r"([a-z-]+)\(([\w.-]+),")


def structure(value: Any, name: str = "", *, links: bool = False) -> Any:
    """Return the structure of a JSON value.

    Args:
        value: The value.
        name: The name of the member that contains it.
        links: Whether it is a member of ``links``.
    """
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return _link(value) if links and value.startswith(SITES) else _text(value)
        case [] | {} if not value:
            return "object" if name in _OF_THE_ACCOUNT else "empty"
        case list():
            return unique([structure(one) for one in value])
        case _ if name in _OF_THE_ACCOUNT:
            return "object"
        case _:
            return {member: structure(one, member, links=name == "links") for member, one in value.items()}


def unique(values: list[Any]) -> list[Any]:
    """Return the distinct values, in an order that does not depend on the original order."""
    return [json.loads(text) for text in sorted({json.dumps(value, sort_keys=True) for value in values})]


def _text(value: str) -> str:
    return re.sub(r"\d", "0", value) if _TIME.fullmatch(value) else "string"


def _link(value: str) -> str:
    parts = urlsplit(value)
    steps = parts.path.split("/")
    if len(steps) > 3 and steps[3]:
        steps[3] = "{id}"
    query = "&".join(f"{quote_plus(name)}={_parameter(name, given)}" for name, given in parse_qsl(parts.query))
    return "{site}" + "/".join(steps) + (f"?{query}" if query else "")


def _parameter(name: str, value: str) -> str:
    if name != "page[cursor]":
        return "{value}"
    try:
        base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        return "{filters}" if value.startswith("<Filters: ") else "{text}"
    return "{base64url}"


def record(value: dict[str, Any]) -> dict[str, Any]:
    """Return the structure of a resource object; without the members of attributes that no asset reads."""
    found: dict[str, Any] = structure({name: member for name, member in value.items() if name not in ("type", "id")})
    if value["type"] not in {*OURS, "metric-aggregate"} and "attributes" in found:
        found["attributes"] = "object"
    return found


def document(body: dict[str, Any]) -> dict[str, Any]:
    """Return the structure of a response, with the records in ``data`` and ``included`` by type; errors keep their status and code."""
    found: dict[str, Any] = {name: structure(member, name) for name, member in body.items() if name not in ("data", "included", "errors")}
    if "errors" in body:
        found["errors"] = [{**structure(one), "status": one["status"], "code": one["code"]} for one in body["errors"]]
    for name in ("data", "included"):
        if name in body:
            found[name] = _records(body[name])
    return found


def _records(data: Any) -> Any:
    match data:
        case {}:
            return {data["type"]: [record(data)]}
        case [_, *_]:
            by_type: dict[str, list[Any]] = {}
            for one in data:
                by_type.setdefault(one["type"], []).append(record(one))
            return [{name: unique(structures) for name, structures in sorted(by_type.items())}]
        case _:
            return structure(data)


def request(sent: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded request: its path without ids, and its parameters in order, without the values of filters."""
    steps = sent["path"].split("/")
    if len(steps) > 3:
        steps[3] = "{id}"
    query: list[list[Any]] = []
    for name, value in dict(sent["query"]).items():
        query += [[f"{name}[{key}]", inner] for key, inner in value.items()] if isinstance(value, dict) else [[name, value]]
    kept = [[name, _conditions(value) if name == "filter" else value] for name, value in query if name != "page[cursor]"]
    return {"method": sent["method"], "path": "/".join(steps), "query": kept}


def _conditions(chosen: str) -> list[str]:
    return [f"{operator}({field})" for operator, field in _CONDITION.findall(chosen)]


def response(recorded: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of one recorded exchange."""
    headers = {name: value if name == "ratelimit-limit" or name == "content-type" else "number" for name, value in recorded["headers"].items()}
    return {"request": request(recorded["request"]), "headers": headers, "body": document(recorded["body"])}
