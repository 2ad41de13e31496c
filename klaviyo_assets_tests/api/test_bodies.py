"""Bodies of answers: decompressed as they came, or refused."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from importlib import import_module, reload
from types import ModuleType

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

ASKED = httpx.Request("GET", "https://a.klaviyo.com/api/events")


@pytest.fixture(params=["isal", "zlib"], name="bodies")
def _bodies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module with the library that is usual, and as it is where that has no wheel."""
    module = import_module("klaviyo_assets.api.bodies")
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        reload(module)
    yield module
    monkeypatch.undo()
    reload(module)


def answer(**headers: str) -> httpx.Response:
    """The head of an answer."""
    return httpx.Response(200, headers={**headers, "RateLimit-Remaining": "7"})


def test_gzip_is_undone_and_the_other_headers_stay(bodies: ModuleType) -> None:
    for text in (b"{}", b"ab" * 3_000_000):
        found = bodies.whole(answer(**{"Content-Encoding": " GZIP "}), gzip.compress(text), ASKED)
        assert (found.content, found.headers["RateLimit-Remaining"]) == (text, "7")


def test_other_encodings_are_left_to_httpx(bodies: ModuleType) -> None:
    assert bodies.whole(answer(), b"plain", ASKED).content == b"plain"
    assert bodies.whole(answer(**{"Content-Encoding": "deflate"}), zlib.compress(b"plain"), ASKED).content == b"plain"
    assert bodies.whole(answer(**{"Content-Encoding": "gzip"}), b"", ASKED).content == b""


@given(cut=st.integers(1, 60))
def test_a_body_that_is_cut_short_is_refused(cut: int) -> None:
    """An empty page of JSON must not come of half an answer."""
    bodies = import_module("klaviyo_assets.api.bodies")
    with pytest.raises(httpx.DecodingError):
        bodies.whole(answer(**{"Content-Encoding": "gzip"}), gzip.compress(bytes(range(256)))[:-cut], ASKED)


def test_a_damaged_body_is_refused(bodies: ModuleType) -> None:
    packed = bytearray(gzip.compress(b'{"data":[]}' * 50))
    packed[-6] ^= 1  # its checksum
    for body in (bytes(packed), b"no gzip"):
        with pytest.raises(httpx.DecodingError):
            bodies.whole(answer(**{"Content-Encoding": "gzip"}), body, ASKED)
