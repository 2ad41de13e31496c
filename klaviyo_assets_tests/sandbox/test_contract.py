"""The API contract, over HTTP."""

import json
from email.utils import parsedate_to_datetime

import httpx
import pytest

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.sandbox import ALL_SCOPES_KEY, PLAN_GATED_KEY, RECOMMENDED_SCOPES_KEY, SandboxOptions, key_lacking
from klaviyo_assets_tests.accounts import COLLECTIONS, without_meta
from klaviyo_assets_tests.forked_sandbox import ForkedSandbox
from klaviyo_assets_tests.sandbox.helpers import BASE, SMALL, headers, path_of, required_parameters

PAGED = sorted(name for name, entry in COLLECTIONS.items() if entry.endpoint.page_size)


def error(response: httpx.Response) -> tuple[int, str, str | None]:
    assert response.headers.get("content-type") == (None if response.status_code == 429 else "application/vnd.api+json")
    body = response.json()["errors"]
    assert len(body) == 1
    assert {"id", "status", "code", "title", "detail", "source"} <= set(body[0])
    assert body[0]["status"] == response.status_code
    return response.status_code, body[0]["code"], body[0]["source"].get("parameter")


@pytest.mark.parametrize("name", COLLECTIONS)
def test_each_endpoint_requires_its_scopes(http, sandbox, name):
    path, entry = path_of(sandbox, name), CATALOG[name]
    assert http.get(path, params=required_parameters(sandbox, name)).status_code == 200
    for scope in entry.scopes:
        denied = http.get(path, params=required_parameters(sandbox, name), headers=headers(key_lacking(scope)))
        assert error(denied) == (403, "permission_denied", None)
        assert scope in denied.json()["errors"][0]["detail"]
    expected = 200 if entry.recommended_scope else 403
    assert http.get(path, params=required_parameters(sandbox, name), headers=headers(RECOMMENDED_SCOPES_KEY)).status_code == expected


def test_errors_for_keys(sandbox, http):
    path = f"{sandbox.base_url}/api/lists"
    revision = {"revision": "2026-07-15"}
    assert error(httpx.get(path, headers=revision)) == (401, "not_authenticated", None)
    assert error(http.get(path, headers=headers("pk_" + "0" * 34))) == (401, "authentication_failed", None)
    bearer = httpx.get(path, headers=revision | {"Authorization": f"Bearer {ALL_SCOPES_KEY}"})
    assert (bearer.status_code, bearer.headers["content-type"].split(";")[0]) == (400, "text/html")
    gated = http.get("/api/reviews", headers=headers(PLAN_GATED_KEY))
    assert error(gated) == (403, "permission_denied", None)
    assert "enabled" in gated.json()["errors"][0]["detail"]
    assert http.get(path, headers=headers(PLAN_GATED_KEY)).status_code == 200


def test_revisions(http):
    def status(revision: str, *, opt_out: bool = False) -> int:
        extra = {"X-Klaviyo-Revision-Fall-Forward-Opt-Out": "1"} if opt_out else {}
        return http.get("/api/lists", headers={"revision": revision, **extra}).status_code

    assert error(http.get("/api/lists", headers={"revision": ""}))[0] == 400
    assert [status("2026-07-15"), status("2025-01-15", opt_out=True), status("yesterday"), status("2026-02-30")] == [200, 200, 400, 400]
    assert (status("2023-07-15"), status("2023-07-15", opt_out=True)) == (200, 410)


@pytest.mark.parametrize("name", PAGED)
def test_page_sizes_have_bounds(http, sandbox, name):
    path, bounds = path_of(sandbox, name), CATALOG[name].endpoint.page_size
    for wrong in ("0", str(bounds.maximum + 1), "ten", "-1", ""):
        assert error(http.get(path, params=required_parameters(sandbox, name) | {"page[size]": wrong})) == (400, "invalid", "page[size]")
    one = http.get(path, params=required_parameters(sandbox, name) | {"page[size]": "1"}).json()
    assert len(one["data"]) == 1
    following = one["links"].get("next")  # as recorded, versions of a form have no link to a page that does not exist
    assert following is None or following.startswith(str(http.base_url))
    assert following is not None or CATALOG[name].parent is not None or CATALOG[name].single_record
    assert one["links"].get("prev") is None
    default = http.get(path, params=required_parameters(sandbox, name)).json()
    assert len(default["data"]) <= bounds.default
    assert default["links"].get("next") is None or len(default["data"]) == bounds.default


@pytest.mark.parametrize("name", ["accounts", "metrics"])
def test_an_endpoint_without_page_size_rejects_one(http, name):
    assert error(http.get(CATALOG[name].endpoint.path, params={"page[size]": "10"})) == (400, "invalid", "page[size]")


@pytest.mark.parametrize(
    ("name", "given", "parameter"),
    [
        ("events", {"sort": "uuid"}, "sort"),
        ("metrics", {"sort": "id"}, "sort"),
        ("accounts", {"filter": "equals(id,'x')"}, "filter"),
        ("events", {"limit": "1"}, "limit"),
        ("events", {"include": "lists"}, "include"),
        ("accounts", {"include": "tags"}, "include"),
        ("profiles", {"additional-fields[profile]": "everything"}, "additional-fields[profile]"),
        ("lists", {"additional-fields[list]": "profile_count"}, "additional-fields[list]"),
        ("events", {"fields[event]": "datetime,colour"}, "fields[event]"),
        ("events", {"fields[list]": "name"}, "fields[list]"),
        ("events", {"filter": "greater-than(datetime,2026-07-21T00:00:00Z)"}, "filter"),
        ("events", {"page[cursor]": "x"}, "page[cursor]"),
    ],
)
def test_parameters_that_the_catalog_does_not_allow(http, name, given, parameter):
    assert error(http.get(CATALOG[name].endpoint.path, params=given)) == (400, "invalid", parameter)


def test_a_bound_in_the_future_is_rejected_with_klaviyos_message(http):
    response = http.get("/api/profiles", params={"filter": "less-than(updated,2027-01-01T00:00:00Z)"})
    assert response.json()["errors"][0]["detail"] == "End date may not be in the future"


def test_a_duplicate_parameter_is_rejected(http):
    assert error(http.get("/api/events?sort=datetime&sort=-datetime")) == (400, "invalid", "sort")


@pytest.mark.parametrize("name", [name for name, entry in COLLECTIONS.items() if entry.endpoint.lookup_limit and entry.host is None])
def test_one_record_by_its_id(http, sandbox, name):
    path = CATALOG[name].endpoint.path
    record = http.get(path, params=required_parameters(sandbox, name)).json()["data"][0]
    found = http.get(f"{path}/{record['id']}").json()["data"]
    volatile = {column.path[1] for column in CATALOG[name].columns if column.volatile}
    differing = {key for key, value in record["attributes"].items() if found["attributes"].pop(key) != value}
    # The first mapped metric has a metric; only without one does its time differ.
    assert differing == (set() if name == "mapped_metrics" else volatile)
    assert set(found["attributes"]) == ({"definition"} if name == "forms" else set())
    assert {**found, "attributes": {}} == {**record, "attributes": {}}
    # An event's id has eleven characters; a malformed id gets another error.
    assert error(http.get(f"{path}/abcdefghijk"))[:2] == ((400, "invalid") if name == "mapped_metrics" else (404, "not_found"))
    assert error(http.get(f"{path}/unknown"))[:2] == ((400, "invalid") if name in ("events", "mapped_metrics") else (404, "not_found"))


def test_profile_count_is_available_by_look_up_only(http):
    id = http.get("/api/lists").json()["data"][0]["id"]
    found = http.get(f"/api/lists/{id}", params={"additional-fields[list]": "profile_count"}).json()["data"]
    assert isinstance(found["attributes"]["profile_count"], int)


def test_unknown_paths_and_methods(http):
    assert error(http.get("/api/unicorns")) == (404, "not_found", None)
    assert http.post("/api/events").status_code == 405


def test_sparse_fieldsets_return_only_the_named_fields(sandbox, http):
    page = http.get("/api/profiles", params={"fields[profile]": "email,location.city"}).json()["data"]
    assert {frozenset(record["attributes"]) for record in page} == {frozenset({"email", "location"})}
    assert {frozenset(record["attributes"]["location"]) for record in page} == {frozenset({"city"})}
    truth = {record["id"]: record for record in sandbox.truth("profiles")}
    assert all(record["attributes"]["email"] == truth[record["id"]]["attributes"]["email"] for record in page)
    assert all(record["relationships"] == truth[record["id"]]["relationships"] for record in page)


def test_additional_fields_are_returned_on_request(sandbox, http):
    def attributes(**query: str) -> dict:
        return http.get("/api/profiles", params=query).json()["data"][0]["attributes"]

    assert {"subscriptions", "predictive_analytics"}.isdisjoint(attributes())
    with_both = attributes(**{"additional-fields[profile]": "subscriptions,predictive_analytics"})
    assert with_both["subscriptions"]["email"]["marketing"]
    assert with_both["predictive_analytics"]
    assert "predictive_analytics" not in attributes(**{"additional-fields[profile]": "subscriptions"})


def test_includes(http):
    page = http.get("/api/events", params={"include": "metric,profile", "page[size]": "50", "fields[metric]": "name"}).json()
    linked = {(one["data"]["type"], one["data"]["id"]) for record in page["data"] for one in record["relationships"].values() if "data" in one}
    included = [(one["type"], one["id"]) for one in page["included"]]
    assert len(included) == len(set(included))
    assert set(included) == linked
    assert {frozenset(one["attributes"]) for one in page["included"] if one["type"] == "metric"} == {frozenset({"name"})}
    flows = http.get("/api/flows", params={"include": "flow-actions"}).json()
    ids = {one["id"] for record in flows["data"] for one in record["relationships"]["flow-actions"]["data"]}
    assert ids == {one["id"] for one in flows["included"]}
    metrics = http.get("/api/metrics", params={"include": "flow-triggers"}).json()
    ids = {one["id"] for record in metrics["data"] for one in record["relationships"]["flow-triggers"]["data"]}
    assert ids
    assert ids == {one["id"] for one in metrics["included"]}
    assert "data" not in http.get("/api/flows").json()["data"][0]["relationships"]["flow-actions"]


def test_pages_contain_exactly_the_bytes_of_the_truth(sandbox, http):
    lines = {without_meta(line) for line in sandbox.truth_lines("events")}
    assert len(lines) == SMALL.events
    body = http.get("/api/events", params={"page[size]": "1000", "include": "attributions"}).content
    assert all(line in body for line in lines)
    assert any(b"1e400" in line or b"12345678901234567890" in line for line in lines)


def test_the_date_header_follows_the_sandboxs_clock(sandbox, http):
    dates = http.get("/api/lists").headers.get_list("date")
    assert len(dates) == 1
    assert BASE <= parsedate_to_datetime(dates[0]) <= sandbox.now()


def test_limits_over_http():
    options = SandboxOptions(events=0, profiles=0, campaigns=0, flows=3, lists=3, segments=1, metrics=1, reviews=0)
    with ForkedSandbox(options) as sandbox, httpx.Client(base_url=sandbox.base_url, headers=headers(ALL_SCOPES_KEY)) as http:
        responses = [http.get("/api/flows") for _ in range(70)]
        good = [response for response in responses if response.status_code == 200]
        throttled = [response for response in responses if response.status_code == 429]
        assert good
        assert throttled
        assert all({"ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"} <= set(response.headers) for response in good)
        assert all(int(response.headers["retry-after"]) >= 1 for response in throttled)
        assert not any(name.startswith("ratelimit") for response in throttled for name in response.headers)
        assert {error(response)[1] for response in throttled} == {"throttled"}
        stats = sandbox.stats()["endpoints"]["/api/flows"]
        assert stats["throttled"] == len(throttled)
        assert stats["statuses"] == {"200": len(good), "429": len(throttled)}


def test_a_page_is_utf8_and_links_to_itself(http):
    page = http.get("/api/profiles", params={"page[size]": "100"})
    assert json.loads(page.content.decode("utf-8"))["links"]["self"].endswith("page%5Bsize%5D=100")
