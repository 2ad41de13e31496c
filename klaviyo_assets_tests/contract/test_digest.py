"""The committed digest is up to date and contains no values from responses."""

import json
import re
from pathlib import Path

import pytest

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets_tests.contract.described import path_of
from klaviyo_assets_tests.contract.digest import DIGEST, SOURCE
from klaviyo_assets_tests.contract.make_digest import FILE, main, make, responses_in, text
from klaviyo_assets_tests.contract.recorded import document, structure


@pytest.mark.skipif(not SOURCE.is_dir(), reason="no copy of Klaviyo's OpenAPI description (shared/klaviyo) next to the checkout")
def test_the_digest_is_up_to_date() -> None:
    description = json.loads((SOURCE / f"openapi-{REVISION}.json").read_text())

    assert FILE.read_text() == text(make(description, responses_in(SOURCE / "recorded")))
    assert FILE.read_text() == text(make(description, DIGEST["recorded"])), "without the recorded responses"


def test_the_digest_covers_every_type_and_error() -> None:
    statuses = {name.rpartition(".")[2] for name in DIGEST["recorded"]}

    assert DIGEST["revision"] == REVISION
    assert set(DIGEST["types"]) | set(DIGEST["reports"]) == set(CATALOG)
    assert {"200", "400", "401", "403", "404", "429"} <= statuses
    assert set(DIGEST["endpoints"]) >= {path_of(entry) for entry in CATALOG.values()}
    assert sum(name.endswith(".200") for name in DIGEST["recorded"]) >= len(CATALOG)


def test_the_digest_is_small_and_contains_no_addresses() -> None:
    written = FILE.read_text()

    assert len(written) < 20_000 * len(CATALOG)
    assert not re.search(r"[\w.+-]+@[\w-]+\.|https?://|\b[0-9A-Z]{26}\b", written)


def test_a_structure_has_no_values() -> None:
    links = {"self": "https://a.klaviyo.com/api/lists/AbC123/?fields%5Blist%5D=name&page%5Bcursor%5D=WzEsMl0", "next": None}
    value = {"data": [{"type": "list", "id": "AbC123", "attributes": {"name": "x", "created": "2026-09-04T13:38:55.123+00:00"}, "links": links}]}

    assert document(value) == {
        "data": [
            {
                "list": [
                    {
                        "attributes": {"name": "string", "created": "0000-00-00T00:00:00.000+00:00"},
                        "links": {"self": "{site}/api/lists/{id}/?fields%5Blist%5D={value}&page%5Bcursor%5D={base64url}", "next": "null"},
                    }
                ]
            }
        ]
    }
    assert structure({"a": [1, 2.5, True, None, [], {"properties": {"email": "x"}}]}) == {
        "a": ["boolean", "empty", "integer", "null", "number", {"properties": "object"}]
    }


@pytest.mark.parametrize(
    ("content", "options", "words"),
    [
        (None, [], "No such file"),
        ("<html>", [], r"JSONDecodeError.* Download it from https://\S+/main/openapi/stable.json$"),
        ("[]", [], "is no OpenAPI description"),
        (
            '{"info": {"version": "2031-01-15"}}',
            [],
            rf"the revision 2031-01-15, the catalog {REVISION}\. Download that one from https://\S+stable\.json$",
        ),
        (f'{{"info": {{"version": "{REVISION}"}}}}', ["--recorded", "nowhere"], "there is no folder nowhere$"),
    ],
    ids=["no file", "not JSON", "no description", "another revision", "no responses"],
)
def test_a_file_that_is_not_the_description_is_refused_and_the_digest_kept(
    content: str | None, options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, before = tmp_path / "stable.json", FILE.read_text()
    if content is not None:
        file.write_text(content)

    with pytest.raises(SystemExit, match="2"):
        main([str(file), *options])

    printed = capsys.readouterr().err
    assert printed.startswith("usage: python -m klaviyo_assets_tests.contract.make_digest [-h]")
    assert re.search(words, printed.strip())
    assert FILE.read_text() == before
