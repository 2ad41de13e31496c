"""Bodies of answers: decompressed as they came, or refused."""

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

from klaviyo_assets.api.errors import AnswerTooLarge

ASKED = httpx.Request("GET", "https://a.klaviyo.com/api/events")


@pytest.fixture(params=["isal", "zlib"], name="bodies")
def _bodies(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The module with the library that is usual, and as it is where that has no wheel."""
    module = import_module("klaviyo_assets.api.response_body")
    if request.param == "zlib":
        monkeypatch.setitem(sys.modules, "isal", None)
        reload(module)
    yield module
    monkeypatch.undo()
    reload(module)


def answer(**headers: str) -> httpx.Response:
    """The head of an answer."""
    return httpx.Response(200, headers={**headers, "RateLimit-Remaining": "7"})


LIMIT = 40_000_000


def test_gzip_is_undone_and_the_other_headers_stay(bodies: ModuleType) -> None:
    for text in (b"{}", b"ab" * 3_000_000, b"abc" * 12_000_000):
        found = bodies.whole(answer(**{"Content-Encoding": " GZIP "}), gzip.compress(text), ASKED, LIMIT)
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
def test_every_encoding_that_is_asked_for_is_undone(encoding: str, body: bytes, bodies: ModuleType) -> None:
    head = answer(**{"Content-Encoding": encoding})
    assert bodies.whole(head, body, ASKED, LIMIT).content == TEXT
    if encoding in {"", "identity"}:
        return
    with pytest.raises(httpx.DecodingError):
        bodies.whole(head, body[:-9], ASKED, LIMIT)
    with pytest.raises(AnswerTooLarge):
        bodies.whole(head, body, ASKED, len(TEXT) - 1)
    assert len(bodies.whole(head, body, ASKED, len(TEXT) - 1, cut=True).content) < len(TEXT)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "nonsense", "gzip, br", "gzip, gzip, gzip"])
def test_an_encoding_that_was_not_asked_for_is_refused(encoding: str, bodies: ModuleType) -> None:
    with pytest.raises(httpx.DecodingError):
        bodies.whole(answer(**{"Content-Encoding": encoding}), b"anything", ASKED, LIMIT)


def test_an_empty_body_needs_no_decoding(bodies: ModuleType) -> None:
    assert bodies.whole(answer(**{"Content-Encoding": "gzip"}), b"", ASKED, LIMIT).content == b""


@pytest.mark.parametrize("members", [65, 5_000])
def test_a_body_of_very_many_streams_is_refused(members: int, bodies: ModuleType) -> None:
    with pytest.raises(httpx.DecodingError):
        bodies.whole(answer(**{"Content-Encoding": "gzip"}), gzip.compress(b"a") * members, ASKED, LIMIT)


@given(cut=st.integers(1, 60))
def test_a_body_that_is_cut_short_is_refused(cut: int) -> None:
    """An empty page of JSON must not come of half an answer."""
    bodies = import_module("klaviyo_assets.api.response_body")
    with pytest.raises(httpx.DecodingError):
        bodies.whole(answer(**{"Content-Encoding": "gzip"}), gzip.compress(bytes(range(256)))[:-cut], ASKED, LIMIT)


def test_a_damaged_body_is_refused(bodies: ModuleType) -> None:
    packed = bytearray(gzip.compress(b'{"data":[]}' * 50))
    packed[-6] ^= 1  # its checksum
    for body in (bytes(packed), b"no gzip", gzip.compress(b"{}") + b"more"):
        with pytest.raises(httpx.DecodingError):
            bodies.whole(answer(**{"Content-Encoding": "gzip"}), body, ASKED, LIMIT)


def bomb(megabytes: int, times: int = 1) -> bytes:
    """Return some kilobytes that become megabytes."""
    stream = zlib.compressobj(1, wbits=31)
    packed = b"".join(stream.compress(bytes(2**20)) for _ in range(megabytes)) + stream.flush()
    for _ in range(times - 1):
        packed = gzip.compress(packed)
    return packed


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_bomb_takes_no_more_memory_than_the_limit(encoding: str, bodies: ModuleType) -> None:
    limit = 10 * 2**20
    packed = bomb(60, encoding.count("gzip"))
    tracemalloc.start()
    with pytest.raises(AnswerTooLarge):
        bodies.whole(answer(**{"Content-Encoding": encoding}), packed, ASKED, limit)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 2.5 * limit
