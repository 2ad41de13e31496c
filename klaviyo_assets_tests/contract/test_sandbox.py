"""The sandbox sends what the real API sends: each recorded request, sent to the sandbox, gives a response with the same structure."""

from datetime import timedelta
from urllib.parse import quote_plus

import httpx
import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets.sandbox.keys import PLAN_GATED_KEY, key_lacking
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.contract.differences import FRACTIONS, differences, merge
from klaviyo_assets_tests.contract.digest import DIGEST, RECORDS, Facts, by_type
from klaviyo_assets_tests.contract.make_digest import PATHS
from klaviyo_assets_tests.contract.recorded import document, structure
from klaviyo_assets_tests.contract.sandbox_account import Account
from klaviyo_assets_tests.sandbox.helpers import BASE

NAMES = {entry.jsonapi_type: name for name, entry in COLLECTIONS.items() if entry.parent is None}

SUCCESSES = {
    name: one
    for name, one in DIGEST["recorded"].items()
    if name.endswith(".200") and one["request"]["path"] in PATHS and one["request"]["method"] == "GET"
}


NOT_SERVED = {"get_profile.200": {"fields[list]", "fields[segment]", "include"}}
"""Parameters that the sandbox does not support, since no asset uses them: the look-up of a profile can include lists and segments."""

EXPECTED_DIFFERENCES = {
    ".included: missing in some",
    "profile.relationships.lists.data: missing in some",
    "profile.relationships.segments.data: missing in some",
}
"""The resulting differences."""

OF_THE_RECORDED_ACCOUNT = {
    # It is the second page; the sandbox is asked for the first.
    "get_data_sources.200": {
        ".links.self: {site}/api/data-sources?page%5Bsize%5D={value}, recorded: "
        "['{site}/api/data-sources?page%5Bsize%5D={value}&page%5Bcursor%5D={base64url}']"
    },
    # It had mapped one metric and no custom metric.
    "get_mapped_metric.200": {"mapped-metric.relationships: not recorded"},
    "get_mapped_metrics.200": {
        "mapped-metric.relationships.custom-metric: not recorded",
        "mapped-metric.relationships.metric: missing in some",
    },
}
"""Differences between the two accounts, not between the two servers."""

LOOKUPS = {f"{entry.endpoint.path}/{{id}}" for entry in CATALOG.values() if entry.endpoint.lookup_limit}

ERRORS = {
    400: ("get_campaigns.400", "get_event.400"),
    401: ("get_accounts.401",),
    404: tuple(name for name, one in DIGEST["recorded"].items() if name.endswith(".404") and one["request"]["path"] in LOOKUPS),
    429: ("get_account.429",),
}


@pytest.fixture(scope="module")
def account() -> Account:
    return Account()


def of_headers(response: httpx.Response) -> Facts:
    kept = {name: value for name, value in response.headers.items() if name not in ("date", "content-length")}
    return {name: "number" if name in ("ratelimit-remaining", "ratelimit-reset", "retry-after") else value for name, value in kept.items()}


@pytest.mark.parametrize("name", SUCCESSES)
def test_a_response_has_the_recorded_structure(name: str, account: Account) -> None:
    recorded = SUCCESSES[name]
    omitted = NOT_SERVED.get(name, set())
    response = account.as_recorded(recorded["request"], omitted)
    assert response.status_code == 200, response.text
    ours, theirs = document(response.json()), recorded["body"]

    found = differences(merge([envelope(ours, omitted)]), merge([envelope(theirs, omitted)]))
    for member in ("data", "included"):
        known = by_type(theirs.get(member))
        for type_name, structures in by_type(ours.get(member)).items():
            if type_name in known:
                found += differences(merge(structures), merge(known[type_name]), facts_of(type_name), type_name)
    expected = OF_THE_RECORDED_ACCOUNT.get(name, set()) | (EXPECTED_DIFFERENCES if omitted else set())
    assert "\n".join(sorted(set(found) - expected)) == ""
    assert OF_THE_RECORDED_ACCOUNT.get(name, set()) <= set(found), "the account has changed: remove what is no longer a difference"
    assert of_headers(response) == recorded["headers"]


def envelope(body: Facts, omitted: set[str]) -> Facts:
    """Return a document's structure with only the kind of ``data`` and ``included``; links without the omitted parameters."""
    kinds = {name: "array" if isinstance(value, list) or value == "empty" else "object" for name, value in body.items() if name in RECORDS}
    links = {
        name: "&".join(part for part in link.split("&") if not part.startswith(tuple(map(encoded, omitted)))) for name, link in body["links"].items()
    }
    return body | kinds | {"links": links}


def encoded(name: str) -> str:
    return quote_plus(name) + "="


def facts_of(type_name: str) -> Facts | None:
    return {"members": DIGEST["types"][NAMES[type_name]]} if type_name in NAMES else None


@pytest.mark.parametrize("entry", [CATALOG[name] for name in NAMES.values()], ids=list(NAMES.values()))
def test_values_of_many_records_have_the_recorded_types(entry: ResourceType, account: Account) -> None:
    """Unlike in a single response, additional attributes are not a difference: few recorded requests included all of them."""
    recorded = [
        one
        for response in DIGEST["recorded"].values()
        for member in RECORDS
        for one in by_type(response["body"].get(member)).get(entry.jsonapi_type, ())
        if "attributes" in one
    ]
    if not recorded:
        pytest.skip("no record of this type was recorded")
    theirs, facts = merge([one["attributes"] for one in recorded]), DIGEST["types"][entry.name]["attributes"]
    ours = merge([structure(record["attributes"]) for record in account.records(entry)])

    found = differences(ours, theirs, facts, entry.name)
    undescribed = {f"{entry.name}.{name}: not recorded" for name in facts["members"]}
    assert "\n".join(sorted(set(found) - undescribed)) == ""
    for name, observed in theirs.members.items():
        if FRACTIONS in observed.leaves:
            assert FRACTIONS in ours.members[name].leaves, name


@pytest.mark.parametrize("key", [PLAN_GATED_KEY, key_lacking("reviews:read")], ids=["not in the plan", "a scope is missing"])
def test_a_denial_has_the_recorded_structure(key: str, account: Account) -> None:
    """The error for a missing scope was not recorded; it has the same status and code as the recorded one."""
    recorded = DIGEST["recorded"]["get_webhooks.403"]
    response = account.send("GET", "/api/reviews", key=key)

    assert response.status_code == 403, response.text
    assert "\n".join(differences(merge([document(response.json())]), merge([recorded["body"]]))) == ""
    # It was recorded at an endpoint outside the catalog: the limits are those of the tested endpoint.
    assert of_headers(response) == recorded["headers"] | {"ratelimit-limit": DIGEST["recorded"]["get_reviews.200"]["headers"]["ratelimit-limit"]}


@pytest.mark.parametrize(("status", "name"), [(status, name) for status, names in ERRORS.items() for name in names])
def test_an_error_has_the_recorded_structure(status: int, name: str, account: Account) -> None:
    recorded = DIGEST["recorded"][name]
    path = recorded["request"]["path"]
    match status, name:
        case 400, "get_event.400":
            response = account.send("GET", path.replace("{id}", "NONE"))
        case 400, _:
            response = account.send("GET", path, params={"filter": "equals(messages.channel,'email'),equals(name,'x')"})
        case 401, _:
            response = account.send("GET", path, key="pk_" + "0" * 34)
        case 404, _:
            response = account.send("GET", path.replace("{id}", "NONE"))
        case _:
            account.send("GET", path.replace("{id}", "NONE"))
            response = account.send("GET", path.replace("{id}", "NONE"), pause=0)

    assert response.status_code == status, response.text
    assert "\n".join(differences(merge([document(response.json())]), merge([recorded["body"]]))) == ""
    assert of_headers(response) == recorded["headers"]


def test_webhooks_of_an_account_without_their_plan_are_denied_as_recorded(account: Account) -> None:
    recorded = DIGEST["recorded"]["get_webhooks.403"]
    response = account.send("GET", "/api/webhooks", key=PLAN_GATED_KEY, params={"include": "webhook-topics"})

    assert response.status_code == 403, response.text
    assert "\n".join(differences(merge([document(response.json())]), merge([recorded["body"]]))) == ""
    assert of_headers(response) == recorded["headers"]


def test_counts_have_the_recorded_structure(account: Account) -> None:
    recorded = DIGEST["recorded"]["query_metric_aggregates.200"]
    metric = account.record(CATALOG["metrics"])["id"]
    end = BASE.replace(hour=0)
    time_range = [f"greater-or-equal(datetime,{end - timedelta(days=5):%Y-%m-%dT%H:%M:%S})", f"less-than(datetime,{end:%Y-%m-%dT%H:%M:%S})"]
    attributes = {"metric_id": metric, "measurements": ["count"], "interval": "day", "filter": time_range}
    body = {"data": {"type": METRIC_AGGREGATES.jsonapi_type, "attributes": attributes}}
    response = account.send("POST", METRIC_AGGREGATES.path, params=dict(recorded["request"]["query"]), json=body)

    assert response.status_code == 200, response.text
    ours, theirs = document(response.json()), recorded["body"]
    (mine,), (known,) = by_type(ours["data"]).values(), by_type(theirs["data"]).values()
    found = differences(merge([envelope(ours, set())]), merge([envelope(theirs, set())])) + differences(merge(mine), merge(known))
    # The sandbox supports only the audit's measurements.
    not_requested = {f".attributes.data[].measurements.{name}: missing in some" for name in ("sum_value", "unique")}
    assert "\n".join(sorted(set(found) - not_requested)) == ""
    assert of_headers(response) == recorded["headers"]
