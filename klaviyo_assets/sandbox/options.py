"""Options of a sandbox; each field is also a command-line option."""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.named import catalog_named


@dataclass(frozen=True)
class SandboxOptions:
    """A made-up account and the behavior of its server.

    See the fields' help texts, or run ``klaviyo-assets sandbox --help``. The last group is about behavior that Klaviyo does not
    document: syncs must be correct with either value.

    Example:
        >>> SandboxOptions(seed=7, events=1000, limits=False).arguments()
        ['--seed=7', '--events=1000', '--no-limits']
    """

    seed: int = field(default=0, metadata={"help": "the account is a function of the seed, the counts and the base instant"})
    events: int = field(default=50_000, metadata={"help": "events that have arrived at the base instant; a few more arrive late"})
    profiles: int = field(default=10_000, metadata={"help": "profiles"})
    campaigns: int = field(default=200, metadata={"help": "campaigns over all three channels, archived ones included"})
    flows: int = field(default=40, metadata={"help": "flows, archived ones included"})
    lists: int = field(default=25, metadata={"help": "lists"})
    segments: int = field(default=30, metadata={"help": "segments"})
    metrics: int = field(default=60, metadata={"help": "metrics"})
    reviews: int = field(default=1_500, metadata={"help": "reviews in all statuses"})
    others: int = field(default=20, metadata={"help": "records of each type that has no option; of a child type, the maximum per parent"})
    counts: str = field(
        default="",
        metadata={"help": "records of types without an option of their own, as catalog_items=5000,catalog_variants=15000 (default: --others)"},
    )
    history_days: int = field(default=730, metadata={"help": "days of history before the base instant"})
    catalog: str = field(default="", metadata={"help": "resource types to serve, as module:attribute (default: those of this package)"})
    lone_surrogates: bool = field(
        default=False, metadata={"help": "put half of an escaped emoji into some event properties, as truncated texts have"}
    )

    base: datetime | None = field(default=None, metadata={"help": "instant that the account is generated relative to, to the second (default: now)"})
    clock: datetime | None = field(
        default=None, metadata={"help": "instant at which the sandbox's clock starts (default: the base instant or the latest change)"}
    )
    change_at: tuple[datetime, ...] = field(default=(), metadata={"help": "apply a round of changes stamped at this instant, at start; repeatable"})

    limits: bool = field(default=True, metadata={"help": "apply Klaviyo's rate limits"})
    rate_limit_headers: str = field(
        default="recorded",
        metadata={
            "help": "form of the RateLimit headers: recorded (the window with the least remaining, and a list of all windows), always-burst "
            "(the one-second window, and the list), or minute (one number, as Klaviyo documents it)"
        },
    )
    daily_limit: int = field(default=0, metadata={"help": "limit of requests per day and endpoint; 0 for Klaviyo's own, which only reports have"})
    report_page: int = field(default=0, metadata={"help": "results of a page of a campaign or flow report; 0 for one page with all, as recorded"})
    made_up_reports: bool = field(
        default=False, metadata={"help": "make up the numbers of reports instead of counting the events, and let them grow with the clock"}
    )
    latency: float = field(default=0.0, metadata={"help": "minimum seconds of each response"})
    invalid_key_status: int = field(
        default=401, metadata={"help": "status of the response to an unknown key: 401, or 400 as another page of Klaviyo's docs says"}
    )
    includes_need_scope: bool = field(default=False, metadata={"help": "also require the included resource's scope when include is used"})
    max_included: int = field(default=0, metadata={"help": "maximum of included resources of a page, although its records name more; 0 for all"})
    bare_lookups: bool = field(default=False, metadata={"help": "include nothing with a record requested by its id, although it names resources"})
    cursors_by_time_alone: bool = field(
        default=False, metadata={"help": "skip records that share their time with the last one of the page before, where cursors hold no id"}
    )
    truncated_includes: bool = field(default=False, metadata={"help": "leave out some of the included resources that the records name"})
    archived_by_default: bool = field(
        default=False, metadata={"help": "return archived campaigns and flows together with live ones without a filter"}
    )
    all_reviews_by_default: bool = field(
        default=False, metadata={"help": "return reviews in every status, not only published and featured ones, without a filter"}
    )
    strict_includes_bound: bool = field(default=False, metadata={"help": "let greater-than and less-than also return records equal to the bound"})
    ignore_profiles_upper_bound: bool = field(default=False, metadata={"help": "ignore less-than on profiles"})
    archiving_moves_updated: bool = field(default=True, metadata={"help": "move the time of the last change when a campaign or flow is archived"})
    attributions_without_include: bool = field(default=False, metadata={"help": "return the ids of an event's attributions even without include"})
    events_move_updated: bool = field(default=False, metadata={"help": "move a profile's updated and last_event_date when an event of it arrives"})

    def __post_init__(self) -> None:
        """Reject invalid options."""
        if self.invalid_key_status not in {400, 401}:
            raise ValueError("invalid_key_status is 400 or 401")
        if self.rate_limit_headers not in {"recorded", "always-burst", "minute"}:
            raise ValueError("rate_limit_headers is recorded, always-burst or minute")
        if self.events and not (self.profiles and self.metrics):
            raise ValueError("events need at least one profile and one metric")
        for name, _, count in self._given_counts():
            if not count.isdecimal() or name in _COUNTED:
                raise ValueError(
                    f"counts is {self.counts!r}; write it as catalog_items=5000,catalog_variants=15000, without {', '.join(sorted(_COUNTED))}"
                )

    def count_of(self, name: str) -> int:
        """Return how many records a resource type gets; of a child type, how many per parent at most."""
        if name in _COUNTED:
            return int(getattr(self, name))
        return next((int(count) for type_name, _, count in self._given_counts() if type_name == name), self.others)

    def _given_counts(self) -> Iterator[tuple[str, str, str]]:
        return (part.strip().partition("=") for part in self.counts.split(",") if part.strip())

    def arguments(self) -> list[str]:
        """Return the command line arguments for the options that differ from the defaults."""
        found: list[str] = []
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default:
                found.extend(_arguments(one.name.replace("_", "-"), value))
        return found


def catalog_of(options: SandboxOptions) -> Catalog:
    """Return the catalog that the options name, by default the one of this package.

    Raises:
        CatalogError: A ``ValueError``: if there is no such catalog.
    """
    if not options.catalog:
        return CATALOG
    return catalog_named(options.catalog)


_COUNTED = frozenset({"events", "profiles", "campaigns", "flows", "lists", "segments", "metrics", "reviews"})
"""Resource types with an option of their own."""


def _arguments(name: str, value: Any) -> list[str]:
    match value:
        case bool():
            return [f"--{name}" if value else f"--no-{name}"]
        case tuple():
            return [argument for item in value for argument in _arguments(name, item)]
        case datetime():
            return [f"--{name}={value.astimezone(UTC).isoformat()}"]
        case _:
            return [f"--{name}={value}"]
