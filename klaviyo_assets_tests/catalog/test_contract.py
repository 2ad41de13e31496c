"""The catalog matches the digest of Klaviyo's OpenAPI description (see contract/make_digest.py)."""

import re
from datetime import timedelta

from klaviyo_assets.catalog import CATALOG
from klaviyo_assets.catalog.columns import INCLUDED, ColumnType
from klaviyo_assets.catalog.endpoint import TIER_M, RateLimit
from klaviyo_assets.catalog.replication import Incremental, NewestFirst, ReportWindows
from klaviyo_assets.catalog.report_columns import groupings_of, statistics_of
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.role_checks import ROLES
from klaviyo_assets.catalog.types.metric_aggregates import METRIC_AGGREGATES
from klaviyo_assets_tests.accounts import COLLECTIONS
from klaviyo_assets_tests.contract.described import path_of
from klaviyo_assets_tests.contract.digest import DIGEST, Facts
from klaviyo_assets_tests.each import each

ONLY_RECORDED = {"campaigns": {"send_options_ignore_unsubscribes"}, "profiles": {"anonymous_id", "whatsapp_bsuid"}}
"""Columns of attributes that the API sends but its description does not have."""

ENDPOINTS: Facts = DIGEST["endpoints"]
"""Facts about the endpoints, by path."""

every_collection = each(COLLECTIONS.values())
every_report = each([entry for name, entry in CATALOG.items() if name not in COLLECTIONS])
every_type = each(CATALOG.values())


def described_members(entry: ResourceType) -> Facts:
    """Return facts about the members of the type's records."""
    described: Facts = DIGEST["types"][entry.name]
    return described


def limit(figures: Facts) -> RateLimit:
    burst, steady = figures["burst"], figures["steady"]
    assert burst.endswith("/s")
    assert steady.endswith("/m")
    daily = figures.get("daily")
    assert daily is None or daily.endswith("/d")
    return RateLimit(int(burst[:-2]), int(steady[:-2]), daily and int(daily[:-2]))


# --- against the digest


@every_type
def test_scope_and_limits(entry: ResourceType) -> None:
    collection, single = ENDPOINTS[path_of(entry)], ENDPOINTS.get(f"{entry.endpoint.path}/{{id}}")

    assert sorted(entry.endpoint_scopes) == sorted(collection["scopes"])
    assert entry.endpoint.limit == limit(collection)
    assert entry.endpoint.lookup_limit == (limit(single) if single else None)
    assert single is None or sorted(single["scopes"]) == sorted(entry.endpoint_scopes)


def test_scope_and_limit_of_the_counts() -> None:
    found = ENDPOINTS[METRIC_AGGREGATES.path]

    assert [METRIC_AGGREGATES.scope] == found["scopes"]
    assert METRIC_AGGREGATES.limit == limit(found)
    assert [entry.name for entry in CATALOG.values() if entry.counted_by] == ["events"]


@every_type
def test_pages(entry: ResourceType) -> None:
    collection, size = ENDPOINTS[path_of(entry)], entry.endpoint.page_size

    assert (size.default if size else None, size.maximum if size else None) == (collection["page_size_default"], collection["page_size_max"])
    assert entry.endpoint.unpaged is not collection["paginated"]


@every_type
def test_filters(entry: ResourceType) -> None:
    collection = ENDPOINTS[path_of(entry)]

    assert {field: sorted(operators) for field, operators in entry.endpoint.filters.items()} == {
        field: sorted(operators) for field, operators in collection["filters"].items()
    }
    assert (entry.endpoint.required_filter is not None) == collection["filter_required"]
    assert entry.endpoint.required_filter in (None, *collection["filters"])


@every_type
def test_sorts_includes_and_additional_fields(entry: ResourceType) -> None:
    collection = ENDPOINTS[path_of(entry)]

    assert sorted(entry.endpoint.sorts) == sorted(collection["sort"])
    assert sorted(entry.endpoint.includes) == sorted(collection["include"])
    expected = {f"additional-fields[{entry.jsonapi_type}]": sorted(entry.endpoint.additional_fields)} if entry.endpoint.additional_fields else {}
    assert {name: sorted(values) for name, values in collection["additional_fields"].items()} == expected
    assert set(entry.requested_fields) <= set(entry.endpoint.additional_fields)


@every_type
def test_reduced_limits(entry: ResourceType) -> None:
    """The catalog has all reduced limits of the collection; it may have those of single records too."""
    path = entry.endpoint.path
    facts = (ENDPOINTS[path_of(entry)], ENDPOINTS.get(f"{path}/{{id}}", {"reduced_limits": []}))
    collection, single = ({one["when"]: limit(one) for one in part["reduced_limits"]} for part in facts)
    known = {f"{one.parameter}={one.value}": one.limit for one in entry.endpoint.reduced_limits}
    of_a_look_up = {f"{one.parameter}={one.value}": one.limit for one in entry.endpoint.reduced_limits if one.lookup}

    assert collection.items() <= known.items() <= (collection | single).items()
    assert of_a_look_up.items() <= single.items()


@every_type
def test_read_parameters_do_not_reduce_the_limit(entry: ResourceType) -> None:
    """Only a type that shares its records with another may be slower: its table has the fields that reduce the limit."""
    if entry.records_of is not None:
        assert entry.endpoint.limit_for(entry.page_parameters) == TIER_M
        assert entry.records_of.endpoint.limit_for(entry.records_of.page_parameters) == entry.endpoint.limit
        return
    assert entry.endpoint.limit_for(entry.page_parameters) == entry.endpoint.limit


@every_type
def test_reduced_limits_apply_when_their_field_is_requested(entry: ResourceType) -> None:
    for reduced in entry.endpoint.reduced_limits:
        assert entry.endpoint.limit_for({reduced.parameter: f"something,{reduced.value}"}) == reduced.limit
        assert entry.endpoint.limit_for({reduced.parameter: f"{reduced.value}_more"}) == entry.endpoint.limit


# --- against the schemas


def chain(described: Facts, path: tuple[str, ...]) -> list[Facts]:
    """Return the facts about each member on a path, from the record down."""
    found: list[Facts] = []
    for part in path:
        assert part in described, f"{part} of {'.'.join(path)} is not described"
        found.append(described[part])
        described = found[-1].get("members", {})
    return found


@every_collection
def test_every_attribute_has_a_column(entry: ResourceType) -> None:
    """If a read requests only some attributes, those have one."""
    columns = {column.path[1:]: column for column in entry.columns if column.path[0] == "attributes"}

    def missing(facts: Facts, path: tuple[str, ...]) -> list[str]:
        if path in columns:
            return []
        if not any(known[: len(path)] == path for known in columns):
            return [".".join(path)]
        return [name for member, inner in facts.get("members", {}).items() for name in missing(inner, (*path, member))]

    attributes = described_members(entry).get("attributes", {}).get("members", {})
    left_out = [name for attribute, facts in attributes.items() for name in missing(facts, (attribute,))]

    requested = set(entry.only_fields) or set(left_out)
    assert sorted(set(left_out) & requested - set(entry.endpoint.additional_fields)) == []
    assert not entry.only_fields or {".".join(path) for path in columns if path[0] not in entry.requested_fields} == set(entry.only_fields)
    assert set(entry.requested_fields) <= {path[0] for path in columns}


@every_collection
def test_no_column_is_invented(entry: ResourceType) -> None:
    described = described_members(entry)
    for column in entry.columns:
        if column.name in ONLY_RECORDED.get(entry.name, ()):
            continue
        if column.path[0] == "derived":
            assert entry.host is not None
            assert entry.host.derive is not None
            continue
        if column.path[0] == "subset":
            assert all(column.path[1] in subset.values for subset in entry.subsets)
            continue
        if column.path[0] == "parent":
            assert entry.parent is not None
            assert column.path[1] == column.name == entry.parent.column
            continue
        if column.path == ("removal",):
            assert entry.replication.count_check is not None
            assert column.name == entry.replication.count_check.removed_column
            continue
        if column.path[0] in ("within", "computed"):
            continue  # of additional fields or custom data, which are not described
        if column.path[0] == INCLUDED:
            assert chain(DIGEST["included"][entry.name], column.path[2:]), column.name
            continue
        if column.path[:1] == ("attributes",) and column.path[1] in entry.endpoint.additional_fields:
            assert column.path[1] in entry.requested_fields
            continue
        assert chain(described, column.path), column.name


FITTING = {
    ColumnType.STRING: {"string"},
    ColumnType.TIMESTAMP: {"string"},
    ColumnType.INTEGER: {"integer"},
    ColumnType.FLOAT: {"number", "string"},
    ColumnType.BOOLEAN: {"boolean"},
    ColumnType.STRINGS: {"array"},
    ColumnType.JSON: {"object", "array", "string"},
}


@every_collection
def test_columns_have_the_types_of_their_attributes(entry: ResourceType) -> None:
    for column in entry.columns:
        if column.path[0] != "attributes" or column.path[1] in entry.endpoint.additional_fields or column.name in ONLY_RECORDED.get(entry.name, ()):
            continue
        facts = chain(described_members(entry), column.path)[-1]
        assert set(facts.get("types", ())) <= FITTING[column.type], column.name
        assert facts.get("time", False) == (column.type is ColumnType.TIMESTAMP), column.name


@every_collection
def test_relationships_that_name_their_records_have_a_column(entry: ResourceType) -> None:
    """Klaviyo returns only links for the others, since their ids could be as many as the account's profiles."""
    relationships = described_members(entry).get("relationships", {}).get("members", {})
    columns = {column.path[1]: column for column in entry.columns if column.path[0] == "relationships"}

    of_parent = {entry.parent.relationship} if entry.parent is not None else set()
    assert set(relationships) - set(columns) <= {path[1] for path in entry.unmapped} | of_parent
    for name, column in columns.items():
        data = relationships[name]["members"]["data"]
        assert ("array" in data["types"]) == (column.type is ColumnType.STRINGS), name


@every_collection
def test_the_type_member(entry: ResourceType) -> None:
    assert described_members(entry)["type"]["values"] == [entry.jsonapi_type]


# --- consistency


@every_type
def test_names_are_unique_and_snake_case(entry: ResourceType) -> None:
    names = [column.name for column in entry.columns]

    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) for name in [entry.name, *names])
    assert len({column.path for column in entry.columns}) == len(names)
    assert not {"_extra", "_synced_at", "_deleted_at"} & set(names)


@every_type
def test_everything_is_described(entry: ResourceType) -> None:
    texts = [entry.description, *(column.description for column in entry.columns)]

    assert all(len(text) > 4 and text[0].isupper() and text.endswith(".") and text == text.strip() for text in texts)


@every_type
def test_fields_of_the_replication_exist(entry: ResourceType) -> None:
    instants = {column.name for column in entry.columns if column.type is ColumnType.TIMESTAMP}
    allows, sorts = entry.endpoint.allows, entry.endpoint.sorts

    assert entry.version_column is None or entry.version_column in instants
    match entry.replication:
        case Incremental(field=field, lookback_ages=lookback_ages, backfill_field=backfill_field):
            filtered = [one for one in (field, backfill_field) if one]
            assert list(lookback_ages) == sorted(set(lookback_ages))
            assert lookback_ages[0] > timedelta()
        case NewestFirst(field=field, backfill_field=backfill_field, margin=margin):
            filtered = [backfill_field]
            assert field in instants
            assert field in sorts
            assert margin > timedelta()
        case _:
            filtered = []
    for one in filtered:
        assert one in instants
        assert one in sorts
        assert allows(one, "greater-than") or allows(one, "greater-or-equal")
        assert allows(one, "less-than") or allows(one, "less-or-equal")


@every_type
def test_subsets_use_allowed_filters_and_differ_from_each_other(entry: ResourceType) -> None:
    assert len({subset.name for subset in entry.subsets}) == len({subset.filters for subset in entry.subsets}) == len(entry.subsets)
    for subset in entry.subsets:
        filters = [re.fullmatch(r"([a-z-]+)\(([\w.]+),('[a-z_]+'|true|false)\)", text) for text in subset.filters]
        assert all(one is not None and entry.endpoint.allows(one[2], one[1]) for one in filters)
        of_parent = entry.parent.filter if entry.parent is not None else None
        assert entry.endpoint.required_filter in (None, of_parent, *(one[2] for one in filters if one))


@every_type
def test_docs_url_is_that_of_the_operation(entry: ResourceType) -> None:
    assert entry.docs_url == f"https://developers.klaviyo.com/en/reference/{ENDPOINTS[path_of(entry)]['operation']}"


@every_collection
def test_primary_key_is_the_id_and_the_parent_id(entry: ResourceType) -> None:
    keys = [column for column in entry.columns if column.name in entry.primary_key]

    assert [column.name for column in entry.columns[: len(keys)]] == [column.name for column in keys] == list(entry.primary_key)
    if entry.parent is None:
        assert [column.path for column in keys] == [("id",)]
    else:
        assert [column.path for column in keys] == [("parent", entry.parent.column), ("id",)]
        assert entry.endpoint.path == entry.parent.path
        assert entry.parent.filter or entry.parent.path.startswith(f"{CATALOG[entry.parent.type_name].endpoint.path}/{{id}}/")


def test_top_level_types_have_different_records() -> None:
    types = [entry.jsonapi_type for entry in COLLECTIONS.values() if entry.parent is None and entry.records_of is None]
    assert len(set(types)) == len(types)


def test_one_type_has_each_role() -> None:
    holders = {role: [name for name, entry in CATALOG.items() if getattr(entry, role)] for role in ROLES}
    assert holders == {"identifies_account": ["accounts"], "names_metrics": ["metrics"], "has_metric_views": ["events"], "partitioned": ["events"]}


@every_type
def test_subject_column_exists(entry: ResourceType) -> None:
    assert entry.subject_column is None or entry.subject_column in [column.name for column in entry.columns]
    assert entry.subject_column is not None or not any("profile" in column.path[-1] for column in entry.columns)


@every_collection
def test_required_columns_and_values_match_the_schema(entry: ResourceType) -> None:
    """``send_strategy`` is one of several objects; the digest has it as required too."""
    for column in entry.columns:
        if column.path[0] != "attributes" or column.path[1] in entry.endpoint.additional_fields or column.name in ONLY_RECORDED.get(entry.name, ()):
            continue
        facts = chain(described_members(entry), column.path)[1:]
        promised = all(one.get("promised", False) for one in facts)
        assert (column.required, set(column.values)) == (promised, {*map(str, facts[-1].get("values", ()))}), column.name


# --- reports


@every_report
def test_a_report_asks_for_every_statistic_and_for_groupings_that_exist(entry: ResourceType) -> None:
    described, report = DIGEST["reports"][entry.name], entry.replication.report
    assert report is not None

    assert sorted(statistics_of(entry)) == described["statistics"]
    assert not report.has_group_by or set(groupings_of(entry)) <= set(described["group_by"])
    assert report.has_group_by == ("group_by" in described["attributes"])
    assert report.by_conversion_metric == ("conversion_metric_id" in described["required"])
    assert (report.windows is ReportWindows.DAYS) == ("interval" in described["required"])


@every_report
def test_a_report_is_identified_by_its_groupings_its_window_and_its_metric(entry: ResourceType) -> None:
    report = entry.replication.report
    assert report is not None

    metric = ("conversion_metric_id",) if report.by_conversion_metric else ()
    assert entry.primary_key == (*groupings_of(entry), report.field, *metric)
    assert entry.access_shown_by is not None
    assert entry.access_shown_by.scopes == entry.endpoint_scopes
