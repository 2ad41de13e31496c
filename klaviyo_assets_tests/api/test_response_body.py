"""Decompression of response bodies, and refusal of invalid ones."""

import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from importlib import import_module, reload
from types import ModuleType

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from klaviyo_assets.api.klaviyo_errors import ResponseTooLarge

REQUEST = httpx.Request("GET", "https://a.klaviyo.com/api/events")


@pytest.fixture(params=["isal", "zlib"], name="bodies")
def _bodies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module with isal, and without it, as on platforms without a wheel."""
    module = import_module("klaviyo_assets.api.response_body")
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        reload(module)
    yield module
    monkeypatch.undo()
    reload(module)


def headers_of(**headers: str) -> httpx.Response:
    """Return a response with these headers."""
    return httpx.Response(200, headers={**headers, "RateLimit-Remaining": "7"})


LIMIT = 40_000_000


def test_gzip_is_decoded_and_other_headers_remain(bodies: ModuleType) -> None:
    for text in (b"{}", b"ab" * 3_000_000, b"abc" * 12_000_000):
        found = bodies.whole(headers_of(**{"Content-Encoding": " GZIP "}), gzip.compress(text), REQUEST, LIMIT)
        assert (found.content, found.headers["RateLimit-Remaining"]) == (text, "7")
        assert "Content-Encoding" not in found.headers


def raw_deflate(text: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(text) + stream.flush()


TEXT = bytes(range(256)) * 1_000
ENCODED = {
    "": TEXT,
    "identity": TEXT,
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "Deflate": raw_deflate(TEXT),
    "gzip, gzip": gzip.compress(gzip.compress(TEXT)),
    "deflate , identity,gzip": gzip.compress(zlib.compress(TEXT)),
    "GZIP": gzip.compress(TEXT[:1000]) + gzip.compress(b"") + gzip.compress(TEXT[1000:]),
}


@pytest.mark.parametrize(("encoding", "body"), ENCODED.items(), ids=ENCODED)
def test_every_requested_encoding_is_decoded(encoding: str, body: bytes, bodies: ModuleType) -> None:
    head = headers_of(**{"Content-Encoding": encoding})
    assert bodies.whole(head, body, REQUEST, LIMIT).content == TEXT
    if encoding in {"", "identity"}:
        return
    with pytest.raises(httpx.DecodingError):
        bodies.whole(head, body[:-9], REQUEST, LIMIT)
    with pytest.raises(ResponseTooLarge):
        bodies.whole(head, body, REQUEST, len(TEXT) - 1)
    assert len(bodies.whole(head, body, REQUEST, len(TEXT) - 1, cut=True).content) < len(TEXT)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "nonsense", "gzip, br", "gzip, gzip, gzip"])
def test_unrequested_encoding_is_refused(encoding: str, bodies: ModuleType) -> None:
    with pytest.raises(httpx.DecodingError):
        bodies.whole(headers_of(**{"Content-Encoding": encoding}), b"anything", REQUEST, LIMIT)


def test_an_empty_body_needs_no_decoding(bodies: ModuleType) -> None:
    assert bodies.whole(headers_of(**{"Content-Encoding": "gzip"}), b"", REQUEST, LIMIT).content == b""


@pytest.mark.parametrize("members", [65, 5_000])
def test_body_with_too_many_streams_is_refused(members: int, bodies: ModuleType) -> None:
    with pytest.raises(httpx.DecodingError):
        bodies.whole(headers_of(**{"Content-Encoding": "gzip"}), gzip.compress(b"a") * members, REQUEST, LIMIT)


@given(cut=st.integers(1, 60))
def test_a_body_that_is_cut_short_is_refused(cut: int) -> None:
    """A truncated response must not become an empty page."""
    bodies = import_module("klaviyo_assets.api.response_body")
    with pytest.raises(httpx.DecodingError):
        bodies.whole(headers_of(**{"Content-Encoding": "gzip"}), gzip.compress(bytes(range(256)))[:-cut], REQUEST, LIMIT)


def test_a_damaged_body_is_refused(bodies: ModuleType) -> None:
    packed = bytearray(gzip.compress(b'{"data":[]}' * 50))
    packed[-6] ^= 1  # its checksum
    for body in (bytes(packed), b"no gzip", gzip.compress(b"{}") + b"more"):
        with pytest.raises(httpx.DecodingError):
            bodies.whole(headers_of(**{"Content-Encoding": "gzip"}), body, REQUEST, LIMIT)


def bomb(megabytes: int, times: int = 1) -> bytes:
    """Return some kilobytes that decompress to megabytes."""
    stream = zlib.compressobj(1, wbits=31)
    packed = b"".join(stream.compress(bytes(2**20)) for _ in range(megabytes)) + stream.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    return packed


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_decompression_bomb_uses_no_more_memory_than_the_limit(encoding: str, bodies: ModuleType) -> None:
    limit = 10 * 2**20
    packed = bomb(60, encoding.count("gzip"))
    tracemalloc.start()
    with pytest.raises(ResponseTooLarge):
        bodies.whole(headers_of(**{"Content-Encoding": encoding}), packed, REQUEST, limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2.5 * limit
