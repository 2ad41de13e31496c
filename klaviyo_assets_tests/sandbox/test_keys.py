import re

import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox.keys import ALL_SCOPES_KEY, EIGHT_SCOPES_KEY, PLAN_GATED_KEY, key_lacking, scopes_of

SCOPES = sorted(entry.scope for entry in CATALOG.values())


def test_keys_have_the_scopes_that_they_are_named_for():
    assert scopes_of(ALL_SCOPES_KEY) == set(SCOPES)
    assert scopes_of(EIGHT_SCOPES_KEY) == set(SCOPES) - {"accounts:read"}
    assert {scope: scopes_of(key_lacking(scope)) for scope in SCOPES} == {scope: set(SCOPES) - {scope} for scope in SCOPES}
    assert scopes_of("pk_" + "a" * 34) is None


def test_keys_look_like_keys_and_are_all_different():
    keys = [ALL_SCOPES_KEY, EIGHT_SCOPES_KEY, PLAN_GATED_KEY, *map(key_lacking, SCOPES)]
    assert len(set(keys)) == len(keys)
    assert [key for key in keys if not re.fullmatch(r"pk_sandbox[0-9A-Za-z]{27}", key)] == []


def test_a_scope_that_nothing_needs_is_refused():
    with pytest.raises(ValueError, match="templates:read"):
        key_lacking("templates:read")
