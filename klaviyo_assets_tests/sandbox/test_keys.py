import re

import httpx
import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, PLAN_GATED_KEY, RECOMMENDED_SCOPES_KEY, Keys, key_lacking, scopes_of
from klaviyo_assets_tests.accounts import small
from klaviyo_assets_tests.outside_types import NAME
from klaviyo_assets_tests.sandbox.helpers import headers

SCOPES = sorted({scope for entry in CATALOG.values() for scope in entry.scopes})


def test_keys_have_the_scopes_in_their_name():
    assert scopes_of(ALL_SCOPES_KEY) == set(SCOPES)
    assert scopes_of(RECOMMENDED_SCOPES_KEY) == set(SCOPES) - {"accounts:read"}
    assert {scope: scopes_of(key_lacking(scope)) for scope in SCOPES} == {scope: set(SCOPES) - {scope} for scope in SCOPES}
    assert scopes_of("pk_" + "a" * 34) is None


def test_keys_look_like_keys_and_are_all_different():
    keys = [ALL_SCOPES_KEY, RECOMMENDED_SCOPES_KEY, PLAN_GATED_KEY, *map(key_lacking, SCOPES)]
    assert len(set(keys)) == len(keys)
    assert [key for key in keys if not re.fullmatch(r"pk_sandbox[0-9A-Za-z]{27}", key)] == []


def all_of(seed: int) -> set[str]:
    keys = Keys(seed)
    return {keys.all_scopes, keys.recommended_scopes, keys.required_scopes, keys.plan_gated, *map(keys.lacking, SCOPES)}


def test_keys_depend_only_on_the_seed():
    every = [all_of(seed) for seed in range(30)]
    assert len(set().union(*every)) == sum(map(len, every))
    assert every == [all_of(seed) for seed in range(30)]
    assert all_of(0) == {ALL_SCOPES_KEY, Keys(0).required_scopes, RECOMMENDED_SCOPES_KEY, PLAN_GATED_KEY, *map(key_lacking, SCOPES)}


def test_a_sandbox_accepts_only_its_own_keys(sandbox, http):
    for key, status in ((sandbox.keys.all_scopes, 200), (Keys(sandbox.options.seed + 1).all_scopes, 401)):
        assert http.get("/api/lists", headers=headers(key)).status_code == status


def test_scopes_of_types_from_outside_have_their_keys():
    with small(catalog=NAME) as sandbox, httpx.Client(base_url=sandbox.base_url) as client:
        client.headers.update(headers(sandbox.keys.lacking("vouchers:read")))
        assert [client.get(path).status_code for path in ("/api/vouchers", "/api/lists")] == [403, 200]


def test_an_unknown_scope_is_rejected():
    with pytest.raises(ValueError, match="nothing:read"):
        key_lacking("nothing:read")
