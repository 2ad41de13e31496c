"""The state of a running sandbox."""

from dataclasses import dataclass, field

from klaviyo_assets.catalog import Catalog
from klaviyo_assets.sandbox.changes import Account
from klaviyo_assets.sandbox.clock import Clock
from klaviyo_assets.sandbox.faults import Faults
from klaviyo_assets.sandbox.generate.context import GenerationContext
from klaviyo_assets.sandbox.instants import SECOND, to_micros
from klaviyo_assets.sandbox.keys import Keys
from klaviyo_assets.sandbox.limits import Limits, RateLimitHeaders
from klaviyo_assets.sandbox.options import SandboxOptions, catalog_of
from klaviyo_assets.sandbox.rounds import apply_round
from klaviyo_assets.sandbox.stats import Stats


@dataclass
class State:
    """The state of a running sandbox.

    Attributes:
        options: Its options.
        clock: Its clock.
        account: The made-up account.
        faults: The pending faults.
        keys: Its API keys.
        limits: The rate limits' windows.
        stats: Statistics of the requests.
    """

    options: SandboxOptions
    clock: Clock
    account: Account
    faults: Faults
    keys: Keys
    limits: Limits = field(default_factory=Limits)
    stats: Stats = field(default_factory=Stats)

    @property
    def catalog(self) -> Catalog:
        """The resource types that it serves."""
        return self.account.catalog


def begin(options: SandboxOptions) -> State:
    """Generate the account, apply the changes in the options and set the clock."""
    now = Clock().now()
    base = (now if options.base is None else to_micros(options.base)) // SECOND * SECOND
    changes = sorted(to_micros(instant) for instant in options.change_at)
    catalog = catalog_of(options)
    account = Account(GenerationContext(options, base), Clock(base), catalog)
    for number, instant in enumerate(changes):
        apply_round(account, options.seed + number, instant)
    account.clock = _clock(options, base, changes)
    account.settle()
    limits = Limits(headers=RateLimitHeaders(options.rate_limit_headers), daily=options.daily_limit)
    return State(options, account.clock, account, Faults(options.seed), Keys(options.seed, catalog), limits)


def _clock(options: SandboxOptions, base: int, changes: list[int]) -> Clock:
    if options.clock is not None:
        return Clock(to_micros(options.clock))
    if options.base is None and not changes:
        return Clock()
    return Clock(max(base, *changes) if changes else base)
