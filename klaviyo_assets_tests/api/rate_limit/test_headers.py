"""The RateLimit headers, in every recorded, documented or likely form."""

import json
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.rate_limit.headers import Quota, RateReport, read_rate_headers
from klaviyo_assets.api.rate_limit.pacing import lowered
from klaviyo_assets.catalog.endpoint import TIER_L, TIER_XL, RateLimit

KNOWN = (Quota(350, 1), Quota(3500, 60))
RECORDED = Path(__file__).parents[4] / "shared" / "klaviyo" / "recorded"


def read(limit: str | None, remaining: str = "1", reset: str = "0") -> RateReport | None:
    headers = {"RateLimit-Remaining": remaining, "RateLimit-Reset": reset} | ({} if limit is None else {"RateLimit-Limit": limit})
    return read_rate_headers(headers, KNOWN)


@pytest.mark.parametrize(
    ("text", "limit", "seconds", "quotas"),
    [
        # Recorded.
        ("350, 350;w=1, 3500;w=60", 350, 1, KNOWN),
        ("1, 1;w=1, 15;w=60", 1, 1, (Quota(1, 1), Quota(15, 60))),
        ("1, 1;w=1, 2;w=60, 225;w=86400", 1, 1, (Quota(1, 1), Quota(2, 60), Quota(225, 86_400))),
        ("3500, 350;w=1, 3500;w=60", 3500, 60, KNOWN),
        ("225, 1;w=1, 2;w=60, 225;w=86400", 225, 86_400, (Quota(1, 1), Quota(2, 60), Quota(225, 86_400))),
        # The documented form, and others without a list.
        ("3500", 3500, 60, ()),
        ("700", 700, 60, ()),
        ("350", 350, 1, ()),
        ("350;comment=x", 350, 1, ()),
        # Spacing, order, quotes, fractions, unknown parameters.
        ("350,350;w=1,3500;w=60", 350, 1, KNOWN),
        ('  350 ,\t3500 ; w = 60 , 350 ; w="1" ', 350, 1, KNOWN),
        ("3500;w=60, 350;w=1, 350", 350, 1, KNOWN),
        ("350.0, 350.0;w=1.0, 3500;W=60", 350, 1, KNOWN),
        ('3500, 350;w=1;comment="a, b;w=7", 3500;burst=1000;w=60', 3500, 60, KNOWN),
        # Several header lines, joined; the same window twice.
        ("350, 350;w=1, 350, 3500;w=60", 350, 1, KNOWN),
        ("350, 350;w=1, 3500;w=60, 350, 350;w=1, 3400;w=60", 350, 1, (Quota(350, 1), Quota(3400, 60))),
        # No leading number; one that matches no window; windows with the same limit.
        ("350;w=1, 3500;w=60", 350, 1, KNOWN),
        ("99, 350;w=1, 3500;w=60", 99, 1, KNOWN),
        ("1, 1;w=1, 1;w=60", 1, 1, (Quota(1, 1), Quota(1, 60))),
        # Partly invalid.
        ("junk, 350, 350;w=1, x;w=60, ;, 3500;w=60", 350, 1, KNOWN),
        ("350, 350;w=0, 350;w=-1, 350;w=, 0;w=60", 350, 1, ()),
        ("350, 350;w=1, 3500;w=1e999", 350, 1, (Quota(350, 1),)),
    ],
)
def test_window_and_list_are_parsed(text: str, limit: int, seconds: int, quotas: tuple[Quota, ...]) -> None:
    assert read(text) == RateReport(limit, seconds, 1, 0, quotas)


@pytest.mark.parametrize(("text", "seconds"), [("350;w=1, 3500;w=60", 60), ("1, 1;w=1, 1;w=60", 60), ("3500", 60), ("99, 350;w=1, 3500;w=60", 60)])
def test_remaining_and_reset_determine_an_ambiguous_window(text: str, seconds: int) -> None:
    report = read(text, remaining="1", reset="40")
    assert report is not None
    assert report.seconds == seconds


@pytest.mark.parametrize("text", [None, "", "junk", "nan, inf;w=1"])
def test_without_a_limit_the_report_is_about_the_minute(text: str | None) -> None:
    assert read(text) == RateReport(None, 60, 1, 0, ())


@pytest.mark.parametrize(
    ("remaining", "reset", "expected"), [("2.9", "1.5", (2, 1)), ("-1", "0", (-1, 0)), ("349, 349", "0, 0", (349, 0)), ("1e300", "0", (10**9, 0))]
)
def test_unusual_numbers_are_parsed(remaining: str, reset: str, expected: tuple[int, int]) -> None:
    report = read("350, 350;w=1, 3500;w=60", remaining, reset)
    assert report is not None
    assert (report.remaining, report.reset) == expected


@pytest.mark.parametrize(("remaining", "reset"), [("", "0"), ("1", ""), ("none", "0"), ("1", "inf"), ("nan", "0")])
def test_without_valid_numbers_there_is_no_report(remaining: str, reset: str) -> None:
    assert read("350, 350;w=1, 3500;w=60", remaining, reset) is None


def test_a_response_without_the_headers_has_no_report() -> None:
    assert read_rate_headers(httpx.Headers({"retry-after": "1"})) is None


def test_header_names_are_case_insensitive_and_lines_are_joined() -> None:
    headers = httpx.Headers([("ratelimit-limit", "350"), ("RATELIMIT-LIMIT", "350;w=1"), ("RateLimit-Remaining", "7"), ("ratelimit-reset", "0")])
    assert read_rate_headers(headers, KNOWN) == RateReport(350, 1, 7, 0, (Quota(350, 1),))


@given(st.text(max_size=60) | st.from_regex(r"[0-9;=w,. \"-]{0,40}", fullmatch=True), st.text(max_size=8), st.text(max_size=8))
def test_any_text_is_parsed_without_an_error(limit: str, remaining: str, reset: str) -> None:
    for report in (read(limit, remaining, reset), read(limit)):
        if report is not None:
            assert report.seconds > 0
            assert all(quota.limit > 0 and quota.seconds > 0 for quota in report.quotas)
            assert lowered(TIER_XL, report.quotas).steady >= 1


def test_limit_is_only_lowered_and_windows_of_hours_are_ignored() -> None:
    assert lowered(TIER_L, [Quota(1, 1), Quota(15, 60)]) == RateLimit(1, 15)
    assert lowered(TIER_L, [Quota(350, 1), Quota(3500, 60)]) == TIER_L
    assert lowered(TIER_L, [Quota(75, 1), Quota(10, 10), Quota(5, 3600), Quota(2, 86_400)]) == RateLimit(75, 60)
    assert lowered(TIER_L, []) == TIER_L


@pytest.mark.skipif(not RECORDED.is_dir(), reason="recorded responses are not there")
def test_recorded_responses_report_the_burst_window_and_list_the_others() -> None:
    found = 0
    for path in RECORDED.glob("*.json"):
        recorded = json.loads(path.read_bytes())
        report = read_rate_headers(httpx.Headers(recorded["headers"]), KNOWN)
        if recorded["status"] in (401, 429):
            assert report is None
        else:
            assert report is not None
            assert (report.seconds, report.quotas[0]) == (1, Quota(report.limit or 0, 1))
            assert 0 <= report.remaining < (report.limit or 0)
            found += 1
    assert found > 200
