"""Generate the docs that follow from the catalog, the options and the definitions: ``make docs``.

A generated part is between ``<!-- generated: NAME -->`` and ``<!-- end -->``; :data:`PARTS` maps the name to a function. :data:`FILES` does the same
for files that are generated completely. A test fails if a part or file is stale.
"""

import csv
import re
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import dagster as dg
import mart_pages
from markdown_text import in_words, table, title
from reads import how
from reads import seen as seen_by

from klaviyo_assets import CATALOG, KlaviyoResource, build_klaviyo_definitions
from klaviyo_assets._internal.option import Option
from klaviyo_assets.catalog.columns import Column, ColumnType
from klaviyo_assets.catalog.endpoint import RateLimit
from klaviyo_assets.catalog.groups import GROUPS
from klaviyo_assets.catalog.hosting import optional_includes
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.catalog.scopes import REQUIRED_SCOPES
from klaviyo_assets.settings.options import OPTIONS

ROOT = Path(__file__).parents[1]

_PART = re.compile(r"(?<=<!-- generated: )([a-z]+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
_IMPORTANT = ("api_key", "duckdb_path", "rate_limit_share", "start_date")
_DAYS = ("Sundays", "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays")


def types() -> str:
    """Return a sentence that names every resource type."""
    names = in_words([title(entry) for entry in CATALOG.values() if not entry.opt_in])
    optional = [title(entry) for entry in CATALOG.values() if entry.opt_in]
    more = f" Only if selected: {in_words(optional)}." if optional else ""
    return textwrap.fill(f"One table each for {names}.{more} [Their columns](docs/columns.md).", 100, break_on_hyphens=False) + "\n"


def tables() -> str:
    """Return the table of tables."""
    return table(
        ("table", "contents", "timestamps", "JSON columns"),
        (
            (f"[`{entry.name}`](columns.md#{entry.name})", _contents(entry), _of_type(entry, ColumnType.TIMESTAMP), _of_type(entry, ColumnType.JSON))
            for entry in CATALOG.values()
        ),
    )


def groups() -> str:
    """Return the table of groups."""
    return table(
        ("group", "contents", "synced by default", "only if selected"),
        ((f"`{group}`", GROUPS[group], _members(group, opt_in=False), _members(group, opt_in=True)) for group in CATALOG.groups),
    )


def _members(group: str, *, opt_in: bool) -> str:
    return ", ".join(f"`{name}`" for name in CATALOG.groups[group] if CATALOG[name].opt_in is opt_in)


def _contents(entry: ResourceType) -> str:
    return entry.description.rstrip(".") + (" (only if selected)" if entry.opt_in else "")


def _of_type(entry: ResourceType, kind: ColumnType) -> str:
    return ", ".join(f"`{column.name}`" for column in entry.columns if column.type is kind)


def columns() -> str:
    """Return the page that lists all columns."""
    head = "# Columns\n\nGenerated from the catalog (`make docs`). [Tables](tables.md) explains types, JSON and the columns that every table has.\n"
    return head + "".join(_columns_of(entry) for entry in CATALOG.values())


def _columns_of(entry: ResourceType) -> str:
    key = in_words([f"`{name}`" for name in entry.primary_key])
    rows = ((f"`{column.name}`", column.type.value, meaning(column)) for column in entry.columns)
    path = entry.parent.path if entry.parent else entry.endpoint.path
    if entry.host:
        path = f"{entry.host.entry.endpoint.path}?include={entry.host.relationship}"
    source = f" Source: [{path}]({entry.docs_url})." if entry.docs_url else ""
    return f"\n## {entry.name}\n\n{entry.description} Primary key: {key}.{source}\n\n{table(('column', 'type', 'meaning'), rows)}"


def meaning(column: Column) -> str:
    """Return a column's description, with the values that Klaviyo lists unless the description names them."""
    missing = [value for value in column.values if value not in column.description]
    listed = f" One of: {', '.join(f'`{value}`' for value in column.values)}." if missing else ""
    return column.description + listed + (" *Personal.*" if column.personal else "")


def scopes() -> str:
    """Return the table of API scopes, by scope: first those without which an asset fails."""
    by_scope: dict[str, list[ResourceType]] = {}
    for entry in CATALOG.values():
        for scope in {*entry.scopes} - (REQUIRED_SCOPES if entry.has_optional_scope else set()):
            by_scope.setdefault(scope, []).append(entry)
    order = sorted(by_scope, key=lambda scope: (scope not in REQUIRED_SCOPES, all(entry.opt_in for entry in by_scope[scope]), scope))
    assets = table(
        ("scope", "for the assets", "without it"),
        ((f"`{scope}`", ", ".join(map(_asset_in_scopes, by_scope[scope])), _without_scope(scope)) for scope in order),
    )
    return assets + "\n" + textwrap.fill(_columns_with_scopes(), 120, break_on_hyphens=False) + "\n"


def _columns_with_scopes() -> str:
    """Return sentences about the columns that need a scope which their tables do not need."""
    found: dict[str, list[str]] = {}
    for entry in CATALOG.values():
        for include in optional_includes(entry):
            names = [f"`{entry.name}.{column.name}`" for column in entry.columns if column.path == ("relationships", include.relationship)]
            found.setdefault(" and ".join(f"`{scope}`" for scope in include.scopes), []).extend(names)
    needs = " ".join(f"{in_words(names)} need {scopes}." for scopes, names in found.items())
    return f"Some columns need a scope of another type; without it they are null, the sync says so, and all other columns are read. {needs}"


def _asset_in_scopes(entry: ResourceType) -> str:
    also = in_words([f"`{scope}`" for scope in entry.scopes if scope in REQUIRED_SCOPES and entry.has_optional_scope] or [""])
    notes = [*([f"with {also}"] if also else []), *(["only if selected"] if entry.opt_in else [])]
    return f"`{entry.name}`" + (f" ({', '.join(notes)})" if notes else "")


def _without_scope(scope: str) -> str:
    return "the asset fails" if scope in REQUIRED_SCOPES else "the asset is skipped, with a warning"


def limits() -> str:
    """Return the table of rate limits, highest first."""
    with_requests = [entry for entry in CATALOG.values() if entry.host is None]
    entries = sorted(with_requests, key=lambda entry: (-limit(entry).steady, entry.name))
    return table(
        ("resource type", "requests per second (burst)", "requests per minute (steady)", "requests per day", "records per request"),
        ((title(one), f"{limit(one).burst:,}", f"{limit(one).steady:,}", _daily(one), _page_size(one)) for one in entries),
    )


def limit(entry: ResourceType) -> RateLimit:
    """Return the rate limit of a type's reads; the fields that they request may lower it."""
    return entry.endpoint.limit_for(entry.page_parameters)


def _daily(entry: ResourceType) -> str:
    return f"{limit(entry).daily:,}" if limit(entry).daily is not None else "no limit"


def _page_size(entry: ResourceType) -> str:
    size = entry.endpoint.page_size
    return f"{size.maximum:,}" if size else "all" if entry.endpoint.unpaged else "set by Klaviyo"


def how_read() -> str:
    """Return the table of how resource types are read."""
    ops = _ops()
    return table(
        ("resource type", "how it is read", "schedules", "op"),
        ((title(entry), how(entry), _when(entry), f"`{ops[entry.name]}`") for entry in CATALOG.values()),
    )


def _ops() -> dict[str, str]:
    """Return the op of each resource type."""
    assets = [asset for asset in _definitions().assets or () if isinstance(asset, dg.AssetsDefinition)]
    return {key.path[-1]: asset.op.name for asset in assets for key in asset.keys}


def seen() -> str:
    """Return the table of when a sync sees new, changed and deleted records."""
    return table(
        ("resource type", "new records", "changed records", "deleted records, [unless none is left](#when-nothing-is-left)"),
        ((title(entry), *seen_by(entry)) for entry in CATALOG.values()),
    )


def comparison() -> str:
    """Return the table of collections that this package and others read: ``peers.csv`` and the catalog.

    Raises:
        ValueError: If a peer reads a collection that is not in the catalog, and no reason is given.
    """
    with (ROOT / "docs" / "peers.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    peers = [name for name in rows[0] if name not in ("collection", "ours", "reason")]
    for row in rows:
        if not (_ours(row) or row["reason"]) and any(row[peer] != "no" for peer in peers):
            raise ValueError(f"A peer reads {row['collection']}. Add a type, or a reason in peers.csv.")
    mentioned = {name for row in rows for name in row["ours"].split()}
    more = ((title(entry), _linked(entry), *["no"] * len(peers)) for entry in CATALOG.values() if entry.name not in mentioned)
    return table(
        ("collection", "this package", *peers),
        [*((row["collection"], _ours(row) or f"no: {row['reason']}", *(row[peer] for peer in peers)) for row in rows), *more],
    )


def _ours(row: Mapping[str, str]) -> str:
    return ", ".join(_linked(CATALOG[name]) for name in row["ours"].split() if name in CATALOG)


def _linked(entry: ResourceType) -> str:
    return f"[`{entry.name}`](columns.md#{entry.name})" + (" (if selected)" if entry.opt_in else "")


def _when(entry: ResourceType) -> str:
    return ", ".join([*(["hourly"] if entry.refresh == "hourly" else []), "daily", *(["in full weekly"] if entry.full_refresh == "weekly" else [])])


def schedules() -> str:
    """Return the table of jobs and their schedules."""
    defs = _definitions()
    crons = {schedule.job_name: str(schedule.cron_schedule) for schedule in defs.schedules or () if isinstance(schedule, dg.ScheduleDefinition)}
    jobs = {job.name: job.description or "" for job in defs.jobs or ()}
    return table(("job", "schedule (UTC)", "what it does"), ((f"`{name}`", _cron(crons.get(name)), text) for name, text in jobs.items()))


def _cron(cron: str | None) -> str:
    if cron is None:
        return "none"
    minute, hour, _, _, day = cron.split()
    if hour == "*":
        return f"hourly, at minute {minute}"
    return f"{'daily' if day == '*' else _DAYS[int(day)]} at {int(hour):02}:{int(minute):02}"


def checks() -> str:
    """Return the table of asset checks.

    Raises:
        ValueError: If a check has different descriptions on two assets, apart from the scope that it names.
    """
    found: dict[str, dict[str, set[str]]] = {}
    scope_of = {f"klaviyo/{entry.name}": entry.scope_text for entry in CATALOG.values()}
    for asset in _definitions().assets or ():
        if isinstance(asset, dg.AssetsDefinition):
            for spec in asset.check_specs:
                name = spec.asset_key.to_user_string()
                description = (spec.description or "").replace(f"the scope {scope_of[name]}", "the scope of the asset")
                found.setdefault(spec.name, {}).setdefault(description, set()).add(name)
    if unclear := [name for name, by_description in found.items() if len(by_description) > 1]:
        raise ValueError(f"Checks with more than one description: {', '.join(unclear)}.")
    rows = ((f"`{name}`", _on(assets), text) for name, by_description in sorted(found.items()) for text, assets in by_description.items())
    return table(("check", "on", "passes if"), rows)


def _on(assets: set[str]) -> str:
    return "every asset" if len(assets) == len(CATALOG) else in_words(sorted(name.removeprefix("klaviyo/") for name in assets))


def _definitions() -> dg.Definitions:
    klaviyo = KlaviyoResource(api_key=dg.EnvVar(OPTIONS["api_key"].variable))
    return build_klaviyo_definitions(klaviyo, duckdb="warehouse.duckdb", resource_types=list(CATALOG))


def options() -> str:
    """Return the table of options."""
    return table(
        ("`KlaviyoResource`", "environment variable", "meaning", "default"),
        (
            (f"`{one.name}`" if one.on_resource else "", f"`{one.variable}`", f"{one.description}. {one.notes}.".removesuffix(" ."), _default(one))
            for one in OPTIONS.values()
        ),
    )


def important_options() -> str:
    """Return the short table of the most important options: the first sentence about each, and its default."""
    return table(("variable", "meaning"), ((f"`{one.variable}`", _short(one)) for one in map(OPTIONS.__getitem__, _IMPORTANT)))


def _short(option: Option) -> str:
    sentence = option.description.split(". ")[0]
    default = _default(option)
    return sentence[0].lower() + sentence[1:] + (f"; default: {default}" if default else "")


def _default(option: Option) -> str:
    if option.default_words or option.default is None:
        return option.default_words
    return f"`{_value(option.default)}`"


def _value(default: object) -> str:
    """Return a default value in the syntax of the environment variable."""
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def env_example() -> str:
    """Return ``.env.example``."""
    head = (
        "# Copy this file to .env and fill it in. Dagster and klaviyo-assets read .env from the working folder; it overrides the environment.\n"
        "# See docs/options.md. Generated by make docs.\n"
    )
    return head + "".join(_example(option) for option in OPTIONS.values())


def _example(option: Option) -> str:
    description = textwrap.fill(f"{option.description}.", 120, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
    value = option.example or ("" if option.default is None else _value(option.default))
    return f"\n{description}\n{'' if option.name == 'api_key' else '# '}{option.variable}={value}\n"


PARTS: dict[str, Callable[[], str]] = {
    "types": types,
    "tables": tables,
    "groups": groups,
    "scopes": scopes,
    "limits": limits,
    "replication": how_read,
    "seen": seen,
    "comparison": comparison,
    "schedules": schedules,
    "checks": checks,
    "options": options,
    "important": important_options,
    "models": mart_pages.models,
}
"""The function that generates each part, by the part's name."""

FILES: dict[str, Callable[[], str]] = {
    ".env.example": env_example,
    "docs/columns.md": columns,
    "docs/models.md": mart_pages.columns,
    "klaviyo_assets/marts/parsed.json": mart_pages.parsed,
}
"""The function that generates each file, by the file's path."""


def pages() -> dict[Path, str]:
    """Return the current text of each generated file and of each page with generated parts."""
    found = {ROOT / path: make() for path, make in FILES.items()}
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        text = path.read_text()
        if path not in found and _PART.search(text):
            found[path] = _PART.sub(lambda part: f"{part[1]}{part[2]}{PARTS[part[1]]()}", text)
    return found


def main() -> int:
    """Write stale files and print their names."""
    for path, text in pages().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
