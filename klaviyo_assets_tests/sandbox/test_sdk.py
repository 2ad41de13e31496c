"""Klaviyo's own SDK parses the sandbox's responses into its models."""

from urllib.parse import parse_qs, urlsplit

import klaviyo_api
import pytest

from klaviyo_assets.catalog import CATALOG, REVISION
from klaviyo_assets.sandbox import ALL_SCOPES_KEY
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.contract.digest import DIGEST
from klaviyo_assets_tests.sandbox.helpers import required_parameters

# The import of the SDK alone takes seconds.
pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(scope="module")
def sdk(sandbox):
    found = klaviyo_api.KlaviyoAPI(ALL_SCOPES_KEY, max_retries=0, test_host=sandbox.base_url)
    assert found._REVISION == REVISION
    return found


def operation(sdk, path: str):
    """Return the SDK's function for an endpoint, from any of its classes."""
    name = DIGEST["endpoints"][path]["operation"]
    (found,) = [getattr(part, name) for part in (getattr(sdk, one) for one in dir(sdk) if one[0].isupper()) if hasattr(part, name)]
    return found


@pytest.mark.parametrize("name", [entry.name for entry in COLLECTIONS.values() if entry.host is None])
def test_the_sdk_reads_each_collection(sdk, sandbox, name):
    entry = CATALOG[name]
    given = required_parameters(sandbox, name)
    if entry.endpoint.page_size:
        given["page_size"] = entry.endpoint.page_size.maximum
    records = sandbox.truth(name)
    if entry.parent:
        parent_id = records[0]["meta"][entry.parent.column]
        records = [record for record in records if record["meta"][entry.parent.column] == parent_id]
        if entry.parent.filter is None:
            given["id"] = parent_id
    page = operation(sdk, entry.endpoint.path)(**given)
    truth = {record["id"]: record for record in records}
    assert page.data
    for record in page.data:
        wanted = truth[record.id].get("attributes")
        if wanted is None:  # resource identifiers
            continue
        parsed = record.attributes.to_dict()
        for attribute in {"name", "email", "uuid", "status", "timestamp", "event_properties", "rating"} & set(parsed):
            if isinstance(wanted[attribute], str | int | dict) and "datetime" not in attribute:
                assert parsed[attribute] == wanted[attribute], attribute


@pytest.mark.parametrize("name", [name for name, entry in COLLECTIONS.items() if entry.endpoint.includes and entry.host is None])
def test_the_sdk_reads_includes(sdk, sandbox, name):
    entry = CATALOG[name]
    page = operation(sdk, entry.endpoint.path)(**required_parameters(sandbox, name), include=list(entry.endpoint.includes))
    assert page.included is not None


def test_the_sdk_follows_the_sandboxs_cursors(sdk, sandbox):
    page = sdk.Profiles.get_profiles(page_size=50, sort="created")
    ids = [record.id for record in page.data]
    while page.links.next:
        # The SDK itself accepts a full link only with https.
        cursor = parse_qs(urlsplit(page.links.next).query)["page[cursor]"][0]
        page = sdk.Profiles.get_profiles(page_cursor=cursor, page_size=50, sort="created")
        ids += [record.id for record in page.data]
    assert sorted(ids) == sorted(record["id"] for record in sandbox.truth("profiles"))


def test_the_sdk_reads_additional_fields(sdk):
    page = sdk.Profiles.get_profiles(additional_fields_profile=["subscriptions", "predictive_analytics"])
    assert page.data[0].attributes.subscriptions.email.marketing.consent


@pytest.mark.parametrize("name", [name for name, entry in COLLECTIONS.items() if entry.endpoint.lookup_limit])
def test_the_sdk_looks_up_one_record(sdk, sandbox, name):
    record = sandbox.truth(name)[0]
    assert operation(sdk, f"{CATALOG[name].endpoint.path}/{{id}}")(record["id"]).data.id == record["id"]
