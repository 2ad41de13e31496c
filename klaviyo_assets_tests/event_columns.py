"""The computed columns of events, computed a second time: in Python, value by value, and from the written description instead of the catalog."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

NAMES = {
    "value": pl.Float64(),
    "currency": pl.String(),
    "event_key": pl.String(),
    "message_id": pl.String(),
    "flow_id": pl.String(),
    "variation_id": pl.String(),
    "campaign_id": pl.String(),
    "attributed_message_id": pl.String(),
    "attributed_channel": pl.String(),
    "machine_open": pl.Boolean(),
    "inbox_provider": pl.String(),
    "email_domain": pl.String(),
    "bounce_type": pl.String(),
    "item_count": pl.Int64(),
    "product_id": pl.String(),
}

_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*", re.ASCII)


class _Written(str):
    """A number as the JSON has it."""


def with_event_columns(frame: pl.DataFrame) -> pl.DataFrame:
    """Return events with these columns, computed from their properties and attributions."""
    rows = [event_columns(row["event_properties"], row) for row in frame.iter_rows(named=True)]
    return frame.with_columns([pl.Series(name, [row[name] for row in rows], dtype=dtype) for name, dtype in NAMES.items()])


def event_columns(properties: str | None, attributed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the columns of one event, given its properties as JSON and its columns of attributions."""
    found = json.loads(properties or "null", parse_int=_Written, parse_float=_Written, object_pairs_hook=_first_of_each)
    members = found if isinstance(found, dict) else {}
    attribution = members.get("$attribution")
    attribution = attribution if isinstance(attribution, dict) else {}
    return {
        "value": _number(members.get("$value")),
        "currency": _first([_currency(members.get(name)) for name in ("$value_currency", "$currency_code", "currency_code", "currency")]),
        "event_key": _text(members.get("$event_id")),
        "message_id": _text(members.get("$message")),
        "flow_id": _text(members.get("$flow")),
        "variation_id": _text(members.get("$variation")),
        "campaign_id": _text(members.get("$campaign")),
        "attributed_message_id": _first(
            [attributed.get("attributed_campaign_message_id"), attributed.get("attributed_flow_message_id"), _text(attribution.get("$message"))]
        ),
        "attributed_channel": _first(
            [_text(attribution.get("$channel")), _text(attribution.get("channel")), _text(members.get("$attributed_channel"))]
        ),
        "machine_open": _first([_flag(members.get("machine_open")), _flag(members.get("Apple Privacy Open"))]),
        "inbox_provider": _text(members.get("Inbox Provider")),
        "email_domain": _text(members.get("Email Domain")),
        "bounce_type": _text(members.get("Bounce Type")),
        "item_count": _first([_length(members.get("Items")), _whole(members.get("ItemCount")), _whole(members.get("Item Count"))]),
        "product_id": _first([_text(members.get("ProductID")), _text(members.get("Product ID"))]),
    }


def _first_of_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of members with the same name, DuckDB takes the first."""
    return dict(reversed(pairs))


def _first(values: Sequence[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str) or value.startswith(("[", "{")) or not 1 <= len(value.encode()) <= 1_000:
        return None
    return str(value)


def _currency(value: Any) -> str | None:
    text = _text(value)
    return text.upper() if text is not None and re.fullmatch("[A-Za-z]{3}", text) else None


def _number(value: Any) -> float | None:
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _whole(value: Any) -> int | None:
    number = _number(value)
    return int(number) if number is not None and number == int(number) and abs(number) <= 2**53 else None


def _flag(value: Any) -> bool | None:
    return {"true": True, "True": True, "TRUE": True, "1": True, "false": False, "False": False, "FALSE": False, "0": False}.get(_text(value) or "")


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None
