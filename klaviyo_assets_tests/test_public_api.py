"""The public API: its names, that tools see them, and that importing the package loads none of them."""

import ast
import importlib
import inspect
import subprocess
import sys

import pytest

import klaviyo_assets
import klaviyo_assets.warehouse

PUBLIC = [
    "CATALOG",
    "Catalog",
    "EventPartitions",
    "InvalidDefinition",
    "KlaviyoAssetsError",
    "KlaviyoComponent",
    "KlaviyoError",
    "KlaviyoFrameIOManager",
    "KlaviyoResource",
    "KlaviyoSchedules",
    "KlaviyoSyncConfig",
    "KlaviyoTranslator",
    "PublishTarget",
    "SyncMode",
    "__version__",
    "build_klaviyo_assets",
    "build_klaviyo_automation",
    "build_klaviyo_checks",
    "build_klaviyo_definitions",
    "build_klaviyo_marts",
    "build_klaviyo_published",
]
"""Removing a name breaks users' code; adding one is a promise."""


SUBMODULES = {
    "klaviyo_assets.catalog": [
        "ACCOUNTS",
        "ANY",
        "CAMPAIGNS",
        "CATALOG",
        "CONTAINS",
        "EQUALS",
        "EQUALS_ANY",
        "EVENTS",
        "FLOWS",
        "GREATER_ONLY",
        "HAS",
        "INCLUSIVE",
        "LISTS",
        "METRICS",
        "PROFILES",
        "RANGE",
        "REVIEWS",
        "REVISION",
        "SEGMENTS",
        "STRICT",
        "TIER_L",
        "TIER_M",
        "TIER_S",
        "TIER_XL",
        "TIER_XS",
        "Catalog",
        "CatalogError",
        "Column",
        "ColumnType",
        "CountCheck",
        "Endpoint",
        "FullTable",
        "Host",
        "HostRecord",
        "Include",
        "Included",
        "Incremental",
        "NewestFirst",
        "PageSize",
        "Parent",
        "ParentGroups",
        "PerParent",
        "Query",
        "RateLimit",
        "ReducedLimit",
        "Replication",
        "ResourceType",
        "Subset",
        "UnknownResourceType",
        "all_included",
        "attribute",
        "from_first_included",
        "from_subset",
        "parent_id",
        "record_id",
        "removal",
        "to_many",
        "to_one",
        "within",
    ],
    "klaviyo_assets.extract.strategies": [
        "Completion",
        "FullTableStrategy",
        "IncludedStrategy",
        "IncrementalStrategy",
        "NewestFirstStrategy",
        "ParentSlice",
        "PerParentStrategy",
        "PlanContext",
        "ReportFacts",
        "ReportSlice",
        "ReportStrategy",
        "Slice",
        "Strategy",
        "SubsetSlice",
        "SyncMode",
        "strategy_for",
    ],
    "klaviyo_assets.warehouse": ["Capabilities", "LocalFile", "Warehouse", "WarehouseBusy", "WarehouseError"],
}
"""The public submodules: what code that extends the package needs."""


def test_the_public_names() -> None:
    assert klaviyo_assets.__all__ == PUBLIC == sorted(PUBLIC)


@pytest.mark.parametrize(("name", "names"), SUBMODULES.items(), ids=list(SUBMODULES))
def test_the_names_of_public_submodules(name: str, names: list[str]) -> None:
    module = importlib.import_module(name)

    assert f"``{name}``" in (klaviyo_assets.__doc__ or "")
    assert module.__all__ == names == sorted(names, key=_constants_first)
    assert [one for one in names if (inspect.isclass(value := getattr(module, one)) or inspect.isfunction(value)) and not inspect.getdoc(value)] == []


def _constants_first(name: str) -> tuple[bool, str]:
    return not name.isupper(), name


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_exists_and_has_a_docstring(name: str) -> None:
    value = getattr(klaviyo_assets, name)

    assert name in dir(klaviyo_assets)
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__name__ == name
        assert inspect.getdoc(value)


def test_dir_is_sorted() -> None:
    assert dir(klaviyo_assets) == sorted(dir(klaviyo_assets))


def test_the_names_for_warehouses_of_your_own_are_listed_before_they_are_loaded() -> None:
    assert {*klaviyo_assets.warehouse.__all__} <= {*dir(klaviyo_assets.warehouse)}
    assert dir(klaviyo_assets.warehouse) == sorted(dir(klaviyo_assets.warehouse))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        klaviyo_assets.nonsense  # noqa: B018


def test_type_checkers_see_the_names_where_they_are_loaded_from() -> None:
    tree = ast.parse(inspect.getsource(klaviyo_assets))
    seen = {
        alias.name: node.module
        for block in tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }

    assert seen == {name: f"klaviyo_assets.{module}" for name, module in klaviyo_assets._MODULES.items()}
    assert {*seen, "__version__"} == set(PUBLIC)


@pytest.mark.long
def test_importing_the_package_loads_no_library() -> None:
    code = "import sys, klaviyo_assets; dir(klaviyo_assets); print([name for name in ('dagster', 'polars', 'duckdb') if name in sys.modules])"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
