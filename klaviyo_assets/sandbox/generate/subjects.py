"""Chooses which profile and metric an event is about."""

import random

from klaviyo_assets.sandbox.generate.events import Subject
from klaviyo_assets.sandbox.generate.metrics import template_of
from klaviyo_assets.sandbox.store import Store


class Subjects:
    """Chooses what events are about.

    Args:
        store: The account; its metrics must be there.
        profile_ids: The profiles to choose from.
        rng: Source of chance.
    """

    def __init__(self, store: Store, profile_ids: list[str], rng: random.Random) -> None:
        self._profile_ids = profile_ids
        self._rng = rng
        self._metrics = [(record.id, template_of(record.values["name"])) for record in store["metrics"]]

    def any(self) -> Subject:
        """Choose; a few events have lost their profile or their metric."""
        chance = self._rng.random()
        metric_id, template = self._metrics[int(self._rng.random() * len(self._metrics))]
        # The square makes some people do much and many do little.
        profile_id = self._profile_ids[int(self._rng.random() ** 2 * len(self._profile_ids))]
        return Subject(None if chance < 0.005 else metric_id, template, None if 0.005 <= chance < 0.02 else profile_id)
