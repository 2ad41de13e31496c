"""Resource types that cannot work are refused when the catalog is made, with the type, the field and what to do."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from klaviyo_assets.catalog import CATALOG, Catalog, CatalogError, ResourceType
from klaviyo_assets.catalog.columns import (
    Column,
    ColumnType,
    all_included,
    attribute,
    computed,
    derived,
    from_first_included,
    parent_id,
    record_id,
    to_many,
    to_one,
    within,
)
from klaviyo_assets.catalog.endpoint import EQUALS, RANGE, Include
from klaviyo_assets.catalog.replication import FullTable, Included, Incremental, NewestFirst, PerParent, Replication
from klaviyo_assets.catalog.resource_type import Host, Parent, Subset
from klaviyo_assets_tests.outside_types import VOUCHER_CODES, VOUCHERS

HOUR = timedelta(hours=1)
COLUMNS = (*VOUCHERS.columns, attribute("created", ColumnType.TIMESTAMP, "When it was made."))
ENDPOINT = replace(VOUCHERS.endpoint, filters={"created": RANGE}, sorts=("created",))
DATED = replace(VOUCHERS, columns=COLUMNS, endpoint=ENDPOINT)
"""A type that can be read by time."""


def more(*columns: object) -> dict[str, Any]:
    return {"columns": (*COLUMNS, *columns)}


def with_json() -> Column:
    return attribute("data", ColumnType.JSON, "Data.")


def including(*relationships: str) -> dict[str, Any]:
    return {"endpoint": replace(ENDPOINT, includes=("coupon-codes",)), "requested_includes": tuple(map(Include, relationships))}


@pytest.mark.parametrize("name", ["", "_syncs", "_lists_rebuilt", "catalog-items", "2x", "a b", "größe", "a.b", 'a"b'])
def test_a_name_that_a_table_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(CatalogError, match=r"cannot be used: name must consist of letters, digits and underscores"):
        CATALOG.with_(replace(VOUCHERS, name=name))


def test_two_types_cannot_share_a_table() -> None:
    with pytest.raises(CatalogError, match=r"lists and Lists would share one table, because DuckDB ignores case\. Rename one"):
        CATALOG.with_(replace(VOUCHERS, name="Lists"))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (more(attribute("_deleted_at", ColumnType.TIMESTAMP, "x")), "column _deleted_at has the name of one that every table has"),
        (more(attribute("_Extra", ColumnType.JSON, "x")), "column _Extra has the name of one that every table has"),
        (more(attribute("_synced_at", ColumnType.TIMESTAMP, "x")), "column _synced_at has the name of one that every table has"),
        (more(attribute("rowid", ColumnType.INTEGER, "x")), "column rowid has a name that queries of this package use"),
        (more(COLUMNS[1]), "same name more than once: external_id, external_id"),
        (more(attribute("External_Id", ColumnType.STRING, "x")), "same name more than once: external_id, External_Id"),
        (more(Column("", ColumnType.STRING, "x", ("attributes", "a"))), "the name '' of a column must have"),
        (more("external_id"), "one of the columns is 'external_id'. Give an instance of Column, such as attribute"),
        (more(Column("a", "VARCHAR", "x", ("attributes", "a"))), "the type of the column a is 'VARCHAR'"),  # type: ignore[arg-type]
        (more(Column("a", ColumnType.STRING, "x", ("attribute", "a"))), r"column a has the path \('attribute', 'a'\)"),
        (more(Column("a", ColumnType.STRING, "x", ())), r"column a has the path \(\)"),
        (more(Column("a", ColumnType.STRING, "x", "id")), "path of the column a is a text"),  # type: ignore[arg-type]
        (more(Column("a", ColumnType.STRING, "x", ("attributes", "$a"))), r"column a has the path \('attributes', '\$a'\)"),
        (more(Column("a", ColumnType.INTEGER, "x", ("id",))), r"column a has the type INTEGER, but a value at \('id',\) is STRING"),
        (more(Column("a", ColumnType.JSON, "x", ("relationships", "a"))), "column a has the type JSON, but .* is STRING or STRINGS"),
        (
            more(attribute("a", ColumnType.JSON, "x"), attribute("a.b", ColumnType.STRING, "x")),
            r"columns a and a_b read the same value \(attributes\.a\.b",
        ),
        (more(to_one("tag", "x"), to_many("tag", "tag_ids", "x")), "columns tag_id and tag_ids read the same value"),
        (more(parent_id("list_id", "x")), "column list_id holds the id of a parent, but it has no parent"),
        ({"primary_key": ("nope",)}, r"primary_key names 'nope', which is not one of its columns \(id, external_id,"),
        ({"primary_key": "id"}, r"primary_key is a text\. Write it as a tuple: \('id',\)"),
        ({"primary_key": ()}, "primary_key is empty"),
        ({"primary_key": ("id", "id"), "replication": Replication()}, "primary_key names a column more than once"),
        ({"primary_key": ("created",)}, r"primary_key names the column created of type TIMESTAMP\. Name a column of type STRING"),
        ({"primary_key": ("id", "external_id")}, r"primary_key is \(id, external_id\)\. Every sync reads the type completely"),
        ({"version_column": "updatd"}, "version_column names 'updatd'"),
        ({"version_column": "external_id"}, r"version_column names the column external_id of type STRING\. Name a column of type TIMESTAMP"),
        ({"subject_column": "nope"}, "subject_column of vouchers is nope"),
        ({"replication": FullTable}, r"replication is <class .*>\. Give an instance of Replication, such as FullTable\(\)"),
        ({"description": None}, "description is None. Give an instance of str"),
        ({"endpoint": "/api/vouchers"}, "endpoint is '/api/vouchers'. Give an instance of Endpoint"),
        ({"endpoint": replace(ENDPOINT, page_size=100)}, "the endpoint's page_size is 100. Give an instance of PageSize"),  # type: ignore[arg-type]
        ({"columns": "id"}, "one of the columns is 'i'"),
        ({"subsets": ("all",)}, "one of the subsets is 'all'"),
        ({"replication": Incremental("creatd", (HOUR,))}, "the replication Incremental names 'creatd'"),
        ({"replication": Incremental("created", (HOUR,), backfill_field="nope")}, "the replication Incremental names 'nope'"),
        ({"replication": NewestFirst("created", "nope", HOUR)}, "the replication NewestFirst names 'nope'"),
        ({"replication": Incremental("external_id", (HOUR,))}, "names the column external_id of type STRING"),
        ({"replication": Incremental("created", (2 * HOUR, HOUR))}, "lookback_ages of Incremental are not ascending"),
        ({"replication": Incremental("created", (), backfill_field="created")}, "lookback_ages of Incremental are empty"),
        (
            {"replication": Incremental("created", (HOUR,)), "endpoint": replace(ENDPOINT, sorts=())},
            r"Incremental reads by created, but the endpoint's sorts \(none\) do not include it",
        ),
        ({"replication": Incremental("created", (HOUR,)), "endpoint": replace(ENDPOINT, filters={})}, "filters allow no lower bound of it"),
        ({"replication": PerParent()}, "replication is PerParent, but it has no parent"),
        ({"replication": Included()}, r"replication is Included, but it has no host\. Set host=Host\(…\), or use FullTable\(\)\."),
        (more(derived("a", ColumnType.STRING, "x")), "column a holds a derived value, but it has no host that derives it"),
        ({"group": None}, "group is None. Give an instance of str"),
        ({"group": ""}, "group is ''. Write it with letters"),
        ({"group": "my group"}, "group is 'my group'. Write it with letters"),
        ({"group": "All"}, "group is 'All', which selects other resource types as well"),
        (including("tags"), r"requested_includes names 'tags', but the endpoint's includes \(coupon-codes\) lack it"),
        ({"requested_includes": (Include("tags"),)}, r"the endpoint's includes \(none\) lack it\. Correct the name, or add it there"),
        (including("coupon-codes", "coupon-codes"), "requested_includes names 'coupon-codes' more than once"),
        (more(within("nope.a", "a", ColumnType.STRING, "x")), "column a is inside 'nope', which is not a JSON column"),
        (more(within("external_id.a", "a", ColumnType.STRING, "x")), "column a is inside 'external_id', which is not a JSON column"),
        (more(within("external_id.a", "a", ColumnType.JSON, "x")), "column a has the type JSON, but a value at"),
        (more(within("external_id.a.*.b", "a", ColumnType.STRING, "x")), "column a has the type STRING, but a value at .* is STRINGS"),
        (more(computed("nope", "a", ColumnType.STRING, "x", "a")), "column a is inside 'nope', which is not a JSON column"),
        (more(computed("external_id", "a", ColumnType.JSON, "x", "a")), "column a has the type JSON, but a value at"),
        (more(with_json(), computed("data", "a", ColumnType.STRING, "x", ("a", "*"))), "column a has the path .* INTEGER may end with"),
        (more(with_json(), computed("data", "a", ColumnType.STRING, "x", "b", "B")), "column a has the path .* another path differs in case only"),
        (more(with_json(), computed("data", "a", ColumnType.STRING, "x", "b", ("b", "c"))), "column a has the path .* or leads into its value"),
        (more(with_json(), computed("data", "a", ColumnType.STRING, "x", "b", columns=("nope",))), "the column a names 'nope'"),
        (
            more(with_json(), replace(with_json(), name="b", type=ColumnType.STRING, path=("computed", "data", "b"))),
            r"the column b has the path .* Declare it with computed",
        ),
        ({"sorted_by": ("nope",)}, "sorted_by names 'nope'"),
        (
            more(from_first_included("coupon-codes", "code_id", "coupon", "x")),
            r"column code_id needs included coupon-codes\. Add Include\('coupon-codes'\)",
        ),
        (
            {**including("coupon-codes"), **more(all_included("coupon-codes", "codes", "x"))},
            r"column codes needs the ids of the coupon-codes\. Add a column to_many",
        ),
        ({"requested_includes": ("coupon-codes",)}, r"one of the requested_includes is 'coupon-codes'\. Give an instance of Include"),
        ({"requested_includes": (Include("coupon-codes", "codes:read"),)}, "scopes of the include coupon-codes is a text"),  # type: ignore[arg-type]
        (
            {"requested_includes": (Include("coupon-codes", fields={"coupon-code": "id"}),)},  # type: ignore[dict-item]
            "fields of the include coupon-codes is a text",
        ),
        ({"metric_filter": "metric_id"}, "metric_filter names 'metric_id', which is not one of its columns"),
        ({"metric_filter": "external_id"}, "metric_filter is 'external_id', but the endpoint does not filter by it"),
        ({"requested_fields": ("definiton",)}, r"requested_fields names 'definiton', but the endpoint's additional_fields \(none\) lack it"),
        ({"only_fields": ("external_id", "nme")}, "only_fields names nme, which no column reads"),
        ({"only_fields": ("external_id",)}, "only_fields lacks created, description, monitor_configuration, which columns read"),
        ({"names_metrics": True}, "names_metrics names 'name', which is not one of its columns"),
        ({"has_metric_views": True}, "has_metric_views names 'datetime', which is not one of its columns"),
        ({"subsets": ()}, "subsets is empty"),
        ({"subsets": (Subset("a"), Subset("a"))}, "subsets has the name 'a' more than once"),
        ({"subsets": (Subset("a", filters="equals(a,'b')"),)}, "filters of the subset a is a text"),  # type: ignore[arg-type]
        ({"endpoint": replace(ENDPOINT, path="api/vouchers")}, "must begin with a slash"),
    ],
)
def test_a_type_that_cannot_work_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CatalogError, match=f"^The resource type 'vouchers' cannot be used: .*{problem}"):
        CATALOG.with_(replace(DATED, **changes))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"replication": FullTable()}, "replication is FullTable, but records with a parent are read for each parent"),
        ({"parent": Parent(VOUCHERS, "/api/vouchers/{id}/voucher-codes", "voucher")}, r"parent\.column is 'voucher', which is not one of"),
        ({"parent": Parent(VOUCHERS, "/api/vouchers/{id}/voucher-codes", "status")}, r"parent\.column is 'status', which is not one of"),
        ({"parent": Parent(VOUCHERS, "/api/vouchers/voucher-codes", "voucher_id")}, r"Write \{id\} in the place of the parent's id"),
        (
            {"parent": Parent(VOUCHERS, "/api/voucher/{id}/voucher-codes", "voucher_id")},
            r"parent\.path is .*, but the endpoint's path is '/api/vouchers/\{id\}/voucher-codes'",
        ),
        ({"parent": VOUCHERS}, r"parent is of the type ResourceType\. Give an instance of Parent\."),
        ({"parent": Parent("vouchers", "/api/vouchers/{id}/voucher-codes", "voucher_id")}, "the parent's entry is 'vouchers'"),  # type: ignore[arg-type]
        ({"primary_key": ("code_id",)}, "primary_key lacks voucher_id, the column with the parent's id"),
        (
            {"parent": Parent(replace(VOUCHERS, primary_key=("external_id",)), "/api/vouchers/{id}/voucher-codes", "voucher_id")},
            r"its parent vouchers has no column of record_id\(…\) in its primary_key",
        ),
    ],
)
def test_a_child_type_that_cannot_work_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CatalogError, match=f"^The resource type 'voucher_codes' cannot be used: .*{problem}"):
        CATALOG.with_(VOUCHERS, replace(VOUCHER_CODES, **changes))


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("list_members", {"removed_column": "left_at"}, r"CountCheck names the removed_column 'left_at'\. Add the column removal\('left_at', …\)"),
        ("list_members", {"removed_column": "joined_group_at"}, "CountCheck names the removed_column 'joined_group_at'"),
        ("list_members", {"paused_while": "is_processing"}, "paused_while of CountCheck names 'is_processing', which is not one of its columns"),
        ("segment_members", {"active_while": "name"}, "active_while of CountCheck names the column name of type STRING"),
    ],
)
def test_a_count_that_cannot_be_checked_is_refused(name: str, changes: dict[str, Any], problem: str) -> None:
    entry = CATALOG[name]
    assert isinstance(entry.replication, PerParent)
    check = replace(entry.required_count_check, **changes)

    with pytest.raises(CatalogError, match=f"^The resource type '{name}' cannot be used: .*{problem}"):
        CATALOG.updated({name: replace(entry, replication=replace(entry.replication, count_check=check))})


@pytest.mark.parametrize(
    ("name", "changes", "problem"),
    [
        ("list_members", {"count_check": None}, r"PerParent has a field without a count_check, or the other way round\. Give both"),
        ("list_members", {"field": None}, r"PerParent has a field without a count_check, or the other way round\. Give both"),
        ("list_members", {"max_age": HOUR}, "max_age of PerParent is for complete reads, not for those with a field"),
        ("form_versions", {"max_age": None}, "changed_with of PerParent needs max_age, since a child may change without its parent"),
        ("coupon_codes", {"max_age": HOUR}, "grouped of PerParent takes neither a field, nor changed_with, nor max_age"),
        ("coupon_codes", {"grouped": None}, r"parent\.filter needs a replication that reads groups of parents\. Use PerParent\(grouped="),
    ],
)
def test_options_of_per_parent_that_exclude_or_need_each_other_are_named(name: str, changes: dict[str, Any], problem: str) -> None:
    entry = CATALOG[name]
    assert isinstance(entry.replication, PerParent)

    with pytest.raises(CatalogError, match=f"^The resource type '{name}' cannot be used: {problem}"):
        CATALOG.updated({name: replace(entry, replication=replace(entry.replication, **changes))})


CODES = CATALOG["coupon_codes"]
PATH_OF_EACH = "/api/coupons/{id}/coupon-codes"


def codes_from(**parent: Any) -> ResourceType:
    return replace(CODES, parent=replace(CODES.required_parent, **parent))


def codes_filtered_by(**filters: frozenset[str]) -> ResourceType:
    return replace(CODES, endpoint=replace(CODES.endpoint, filters={**CODES.endpoint.filters, **filters}))


@pytest.mark.parametrize(
    ("codes", "problem"),
    [
        (codes_from(path=PATH_OF_EACH), r"parent\.path is '/api/coupons/\{id\}/coupon-codes', but parent\.filter needs one path for all parents"),
        (codes_from(relationship=None), r"parent\.filter needs parent\.relationship, which says which parent a child has"),
        (codes_from(filter=None), r"parent\.path is '/api/coupon-codes'\. Write \{id\} in the place of the parent's id"),
        (
            replace(codes_from(filter=None, path=PATH_OF_EACH), endpoint=replace(CODES.endpoint, path=PATH_OF_EACH)),
            r"ParentGroups needs a parent with a filter, such as Parent\(…, filter='coupon\.id'\)",
        ),
        (
            codes_filtered_by(**{"coupon.id": EQUALS}),
            r"parent\.filter is 'coupon\.id', but the endpoint's filters do not allow any\(coupon\.id,\[…\]\)",
        ),
        (codes_filtered_by(status=frozenset()), r"ParentGroups filters by status \(equals\) and expires_at \(greater-or-equal, less-than\)"),
        (codes_filtered_by(expires_at=EQUALS), r"ParentGroups filters by status \(equals\) and expires_at \(greater-or-equal, less-than\)"),
    ],
)
def test_groups_of_parents_that_cannot_be_requested_are_refused(codes: ResourceType, problem: str) -> None:
    with pytest.raises(CatalogError, match=f"^The resource type 'coupon_codes' cannot be used: {problem}"):
        CATALOG.updated({"coupon_codes": codes})


CAMPAIGNS, MESSAGES = CATALOG["campaigns"], CATALOG["campaign_messages"]


def hosted(entry: ResourceType, relationship: str = "campaign-messages", column: str = "campaign_id") -> dict[str, Any]:
    return {"host": Host(entry, relationship, column)}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"host": CAMPAIGNS}, r"host is of the type ResourceType\. Give an instance of Host"),
        (hosted("campaigns"), r"the host's entry is 'campaigns'\. Give an instance of ResourceType"),  # type: ignore[arg-type]
        ({"replication": FullTable()}, r"replication is FullTable, but records with a host come from the host's responses\. Use Included\(\)"),
        (hosted(CATALOG["list_members"]), "neither it nor its host can have a parent, and its host can have no host"),
        (hosted(CATALOG["flow_actions"]), "neither it nor its host can have a parent, and its host can have no host"),
        (hosted(CATALOG["events"]), "its host events is not read completely at each sync, so missing records would be unknown"),
        (
            hosted(CAMPAIGNS, "campaign-message"),
            r"the includes of its host campaigns \(campaign-messages, tags\) lack 'campaign-message'\. Correct the name, or add it there",
        ),
        (hosted(VOUCHERS, "voucher-codes"), r"the includes of its host vouchers \(none\) lack 'voucher-codes'"),
        (
            hosted(replace(CAMPAIGNS, columns=tuple(one for one in CAMPAIGNS.columns if one.path != ("relationships", "campaign-messages")))),
            r"its host campaigns has no column with the ids of campaign-messages\. Add to_many\('campaign-messages', …\) there",
        ),
        (
            hosted(replace(CAMPAIGNS, endpoint=replace(CAMPAIGNS.endpoint, filters={}))),
            r"its host campaigns cannot be filtered by id, .* Add the filter there, or use FullTable\(\) without a host\.$",
        ),
        (hosted(CAMPAIGNS, column="campaign"), r"host\.column names 'campaign', which is not one of its columns"),
    ],
)
def test_a_host_that_cannot_have_the_records_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(CatalogError, match=f"^The resource type 'campaign_messages' cannot be used: {problem}"):
        CATALOG.with_(VOUCHERS).updated({"campaign_messages": replace(MESSAGES, **changes)})


@pytest.mark.parametrize(("column", "problem"), [("changed", "names 'changed', which is not one of"), ("status", "names the column status of type")])
def test_the_parent_has_the_column_that_shows_its_changes(column: str, problem: str) -> None:
    entry = CATALOG["form_versions"]

    with pytest.raises(CatalogError, match=f"changed_with of PerParent {problem}"):
        CATALOG.updated({entry.name: replace(entry, replication=PerParent(changed_with=column, max_age=HOUR))})


def test_the_parent_must_have_the_same_id_as_in_the_catalog() -> None:
    other = replace(VOUCHERS, columns=(record_id("x", name="voucher_id"), *VOUCHERS.columns[1:]), primary_key=("voucher_id",))

    with pytest.raises(CatalogError, match=r"The parent of voucher_codes is not the vouchers of the catalog: its ids are in the column id, those of"):
        CATALOG.with_(other, VOUCHER_CODES)


def test_only_resource_types_form_a_catalog() -> None:
    with pytest.raises(CatalogError, match="'lists' is not a ResourceType"):
        Catalog(["lists"])  # type: ignore[list-item]


@dataclass(frozen=True)
class Own(Replication):
    """A kind from outside the package."""


@pytest.mark.parametrize(
    "entry",
    [
        DATED,
        replace(DATED, name="Vouchers2", version_column="created"),
        replace(DATED, replication=Incremental("created", (HOUR,))),
        replace(DATED, replication=Own(), primary_key=("id", "external_id")),
        replace(DATED, columns=(record_id("x", name="key"), *COLUMNS[1:]), primary_key=("key",)),
        replace(DATED, group="loyalty_2"),
        replace(DATED, **more(attribute("some-thing", ColumnType.STRING, "x"), attribute("_hidden", ColumnType.STRING, "x"))),
    ],
    ids=["plain", "version", "by time", "own kind", "other key", "own group", "odd columns"],
)
def test_other_types_are_accepted(entry: ResourceType) -> None:
    assert CATALOG.with_(entry)[entry.name] is entry
