"""Chooses the profile and the metric of an event."""

import random

from klaviyo_assets.sandbox.generate.events import Subject
from klaviyo_assets.sandbox.generate.metrics import template_of
from klaviyo_assets.sandbox.store import Store


class Subjects:
    """Chooses the subjects of events.

    Args:
        store: The account; its metrics must exist.
        profile_ids: The profiles to choose from.
        rng: Source of random numbers.
    """

    def __init__(self, store: Store, profile_ids: list[str], rng: random.Random) -> None:
        self._profile_ids = profile_ids
        self._rng = rng
        self._metrics = [(record.id, template_of(record.values["name"])) for record in store["metrics"]]

    def choose(self) -> Subject:
        """Return a random subject; a few have no profile or no metric."""
        chance = self._rng.random()
        metric_id, template = self._metrics[int(self._rng.random() * len(self._metrics))]
        # The square gives some profiles many events and many profiles few.
        profile_id = self._profile_ids[int(self._rng.random() ** 2 * len(self._profile_ids))]
        return Subject(None if chance < 0.005 else metric_id, template, None if 0.005 <= chance < 0.02 else profile_id)
