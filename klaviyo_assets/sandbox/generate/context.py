"""State that all record makers share: the base instant, the ids, and a stream of random numbers for each purpose."""

from dataclasses import dataclass, field
from random import Random

from klaviyo_assets.sandbox.identifiers import Identifiers
from klaviyo_assets.sandbox.instants import DAY, SECOND
from klaviyo_assets.sandbox.options import SandboxOptions

_HOSTED = 7919
"""Keeps these ids apart from all others, so that the others do not depend on how many of these there are."""


@dataclass(frozen=True)
class Lifetime:
    """When a record was created and last changed, and the last event of a profile."""

    created: int
    updated: int
    last_event: int | None = None


@dataclass(frozen=True)
class Product:
    """A product that is sold: Klaviyo's id of the item, the shop's own id and the title."""

    item_id: str
    external_id: str
    title: str


@dataclass(frozen=True)
class Sale:
    """A product that was sold: when, the event of the order, and the customer."""

    product: Product
    at: int
    event_id: str
    profile_id: str


@dataclass(frozen=True)
class Reviewer:
    """A customer who can write a review: the e-mail address, and the name if it is known."""

    email: str
    name: str | None


@dataclass
class GenerationContext:
    """The state shared while an account is generated.

    Attributes:
        options: The sandbox's options.
        base: The instant that the account is generated relative to, in microseconds.
        ids: Makes ids.
        hosted_ids: Makes ids for records that come with the responses for another type.
        flow_ids: Flows that lists, segments and metrics can trigger.
        tag_ids: Tags of campaigns, flows, lists and segments.
        variant_ids: Variants of catalog items.
        products: What the shop sells.
        sales: Some of what it has sold, for reviews: once the profiles exist, only to customers with an e-mail address.
        reviewers: These customers by the id of the profile.
        action_ids: Ids of all actions of flows, also of deleted ones.
    """

    options: SandboxOptions
    base: int
    ids: Identifiers = field(init=False)
    hosted_ids: Identifiers = field(init=False)
    flow_ids: tuple[str, ...] = ()
    tag_ids: tuple[str, ...] = ()
    variant_ids: tuple[str, ...] = ()
    products: tuple[Product, ...] = ()
    sales: list[Sale] = field(default_factory=list)
    reviewers: dict[str, Reviewer] = field(default_factory=dict)
    action_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Start the ids."""
        self.ids = Identifiers(self.options.seed)
        self.hosted_ids = Identifiers(self.options.seed + _HOSTED)

    @property
    def history(self) -> int:
        """Length of the account's history in microseconds."""
        return self.options.history_days * DAY

    def rng(self, purpose: str) -> Random:
        """Return the stream of random numbers for a purpose: it depends only on the seed, not on other counts."""
        return Random(f"{self.options.seed}/{purpose}")  # noqa: S311 - made-up data

    def action_id(self, rng: Random) -> str:
        """Return a new id for an action of a flow: eight digits. The stream may give the same number again: rounds of changes may have one seed."""
        while (id := str(80_000_000 + rng.getrandbits(24))) in self.action_ids:
            pass
        self.action_ids.add(id)
        return id

    def triggered_flows(self, rng: Random) -> tuple[str, ...]:
        """Return the flows that a new list, segment or metric triggers: none, or one."""
        return (rng.choice(self.flow_ids),) if self.flow_ids and rng.random() < 0.3 else ()

    def some_tags(self, rng: Random) -> tuple[str, ...]:
        """Return the tags of a record: often none. If the account has no tags, a tag that is gone by now."""
        if rng.random() >= 0.3:
            return ()
        return tuple(rng.sample(self.tag_ids, min(len(self.tag_ids), rng.randrange(1, 3)))) if self.tag_ids else (self.ids.uuid(),)

    def lifetime(self, rng: Random) -> tuple[int, int]:
        """Return when a record was created and last changed: some in whole seconds, some in microseconds, some never changed."""
        created = self.base - int(rng.random() * self.history) - SECOND
        updated = created if rng.random() < 0.2 else created + int((self.base - created) * rng.random())
        return _sometimes_whole_seconds(rng, created), max(_sometimes_whole_seconds(rng, updated), created)


def _sometimes_whole_seconds(rng: Random, instant: int) -> int:
    return instant - instant % SECOND if rng.random() < 0.5 else instant
