"""Numbers and times: only valid ones are in their columns, and pages are filtered by them."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from klaviyo_assets.decode import EXTRA, Page
from klaviyo_assets.decode.page import Extent
from klaviyo_assets_tests.decode.samples import AT, DECODERS, decoded, document, record

# --- numbers


@pytest.mark.parametrize("text", ["1_3", "+13", " 13", "13 ", "013", ".5", "13.", "1e", "１３", "0x1", "inf", "13\\u0000"])
def test_invalid_number_goes_to_extra(text: str) -> None:
    assert decoded("profiles", f'{{"location":{{"longitude":"{text}"}}}}') == {EXTRA: f'{{"location":{{"longitude":"{text}"}}}}'}


# --- timestamps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02T03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901+00:00", AT),
        ("2026-01-02T03:04:05.6+00:00", datetime(2026, 1, 2, 3, 4, 5, 600000, tzinfo=UTC)),
        ("2026-01-02T05:34:05+02:30", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-01T20:04:05-07:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05Z", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901Z", AT),
        ("2026-01-02 03:04:05+00:00", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02 03:04:05", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2026-01-02T03:04:05.678901", AT),
        ("2026-01-02", datetime(2026, 1, 2, tzinfo=UTC)),
        ("1969-12-31T23:59:59.999999+00:00", datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_instants(text: str, expected: datetime) -> None:
    assert decoded("events", f'{{"datetime":"{text}"}}') == {"datetime": expected}


@pytest.mark.parametrize(
    "text",
    [
        "soon",
        "",
        "2026-02-30T00:00:00+00:00",
        "2026-01-02T03:04:05+25:00",
        "1767323045",
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+01:00",
        "12026-01-01T00:00:00+00:00",
        "26-01-02T03:04:05+00:00",
        "2026-W01",
        "20260102",
        "2026-002",
        "2026-01-02T03:04:05\\u0000",
        "2026-01-02T03:04:60+00:00",
        "2026-01-02T24:00:00+00:00",
        "2026-1-2T03:04:05+00:00",
        " 2026-01-02T03:04:05+00:00",
        "2026-01-02T03:04:05 +00:00",
        "2026-01-02T03:04:05+0000",
        "2026-01-02T03:04:05+00:00:30",
        "2026-01-02T03:04:05,5+00:00",
        "2026-01-02T03:04:05.+00:00",
        "2026-01-02T03:04+00:00",
        "2026-01-02Z",
        "２026-01-02T03:04:05+00:00",
        "-0001-01-01T00:00:00+00:00",
        "0000-01-01T00:00:00+00:00",
    ],
)
def test_invalid_timestamp_goes_to_extra(text: str) -> None:
    assert decoded("events", f'{{"datetime":"{text}"}}') == {EXTRA: f'{{"datetime":"{text}"}}'}
    assert decoded("events", f'{{"datetime":"{text}","new":1.0}}') == {EXTRA: f'{{"new":1.0,"datetime":"{text}"}}'}


@pytest.mark.parametrize(
    ("text", "finer"), [("05.678901234+00:00", True), ("05.678901234Z", True), ("05.678901000+00:00", False), ("05.6789010Z", False)]
)
def test_timestamp_with_more_digits_goes_to_extra_too(text: str, finer: bool) -> None:
    text = f"2026-01-02T03:04:{text}"

    assert decoded("events", f'{{"datetime":"{text}"}}') == {"datetime": AT} | ({EXTRA: f'{{"datetime":"{text}"}}'} if finer else {})


@pytest.mark.long
@pytest.mark.oldest
@settings(max_examples=300)
@given(
    text=st.from_regex(r"[0-9]{3,5}-[0-9]{1,2}-[0-9]{1,2}[T t]?[0-9:]{0,8}[.,]?[0-9]{0,9}[Zz+ -]?[0-9:]{0,6}", fullmatch=True) | st.text(max_size=30)
)
@example(text="2026-01-02T03:04:60+00:00")
@example(text="0001-01-01T00:00:00+00:01")
def test_page_and_frame_agree_about_timestamps(text: str) -> None:
    page = DECODERS["events"].page(document(record(json.dumps({"datetime": text}))))

    assert page.times("datetime") == page.frame["datetime"].to_list()
    assert (page.frame["datetime"][0] is None) <= (page.frame[EXTRA][0] is not None)


def test_invalid_timestamp_does_not_affect_others() -> None:
    texts = ["2026-01-02T03:04:05.678901+00:00", "soon", "2026-01-02T03:04:05.678901Z", None]
    frame = DECODERS["events"].page(document(*(record(f'{{"datetime":{json.dumps(text)}}}') for text in texts))).frame

    assert frame["datetime"].to_list() == [AT, None, AT, None]
    assert frame[EXTRA].to_list() == [None, '{"datetime":"soon"}', None, None]


# --- extent and filter


def times(*texts: str | None) -> Page:
    return DECODERS["events"].page(
        document(*(record(f'{{"datetime":{json.dumps(text)}}}', name=str(number)) for number, text in enumerate(texts, 1)))
    )


def test_extent_has_the_earliest_and_the_latest_time() -> None:
    page = times("2026-01-03T00:00:00+00:00", None, "2026-01-01T00:00:00.000001+00:00", "2026-01-02T00:00:00+00:00")

    assert page.extent("datetime") == Extent(datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), datetime(2026, 1, 3, tzinfo=UTC), ascending=False)


@pytest.mark.parametrize(
    ("texts", "ascending"),
    [
        (["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00", "2026-01-02T00:00:00+00:00"], True),
        (["2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"], False),
        (["2026-01-01T00:00:00.000002+00:00", "2026-01-01T00:00:00.000010+00:00"], True),
        (["2026-01-01T23:00:00+00:00", "2026-01-02T00:30:00+02:00"], False),
        (["2026-01-02T00:30:00+02:00", "2026-01-01T23:00:00+00:00"], True),
        (["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5+00:00", None, "2026-01-02 00:00:00"], True),
    ],
)
def test_extent_has_the_order(texts: list[str | None], ascending: bool) -> None:
    extent = times(*texts).extent("datetime")

    assert extent is not None
    assert extent.ascending is ascending


@pytest.mark.parametrize("page", [times(), times(None, None), times("soon")], ids=["no records", "nulls", "no instant"])
def test_page_without_times_has_no_extent(page: Page) -> None:
    assert page.extent("datetime") is None


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (None, None, "12345"),
        (2, None, "2345"),
        (None, 3, "125"),
        (2, 3, "25"),
        (4, 9, "5"),
    ],
)
def test_filter_includes_its_start_and_records_without_a_time(start: int | None, end: int | None, expected: str) -> None:
    page = times("2026-01-01T23:59:59.999999+00:00", "2026-01-02T00:00:00+00:00", "2026-01-03T00:00:00+00:00", "2026-01-03T00:00:00.000001Z", None)
    bounds = [datetime(2026, 1, day, tzinfo=UTC) if day else None for day in (start, end)]

    assert "".join(page.within("datetime", *bounds).frame["id"].to_list()) == expected
