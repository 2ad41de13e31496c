"""Which properties the events of each metric have, and of which kind their values are. It only widens.

Nearly all events look like earlier ones. So a metric's events are decoded with a struct of the known properties: in C, this fails for an event with
another property or kind of value, and only such events are looked at one by one.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.load.property_kinds import DECODED, Kind, kind_of, wider

MAX_PROPERTIES = 300
"""Properties of a metric that are recorded; the others, such as names that are ids, stay in the JSON alone."""

LONGEST_NAME = 200
"""Bytes of the longest name that is recorded."""

_NOT_IN_FIELD_NAMES = re.compile(r'[\\"\x00-\x1f\ud800-\udfff]')
"""Characters that msgspec does not accept in field names."""

_MEMBERS: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])


@dataclass
class MetricProfile:
    """The properties of one metric: the kind of each, by name, in the order in which they were found."""

    kinds: dict[str, Kind] = field(default_factory=dict)

    def note(self, texts: Iterable[str | None]) -> bool:
        """Widen the profile to the properties of some events; return whether it changed.

        Args:
            texts: The properties of each event, as JSON.
        """
        decode, changed = self._decoder().decode, False
        for text in texts:
            if text is None:
                continue
            try:
                decode(text)
            except msgspec.DecodeError:
                if self._widen(text):
                    decode, changed = self._decoder().decode, True
        return changed

    def _decoder(self) -> msgspec.json.Decoder[Any]:
        known = {name: kind for name, kind in self.kinds.items() if not _NOT_IN_FIELD_NAMES.search(name)}
        names = {f"field_{number}": name for number, name in enumerate(known)}
        fields = [(python, DECODED[known[name]], None) for python, name in names.items()]
        struct = msgspec.defstruct("Properties", fields, rename=names, forbid_unknown_fields=len(self.kinds) < MAX_PROPERTIES, gc=False)
        return msgspec.json.Decoder(struct)

    def _widen(self, text: str) -> bool:
        """Widen the profile to one event; return whether it changed."""
        try:
            members = _MEMBERS.decode(text)
        except msgspec.DecodeError:
            return False  # not an object
        changed = False
        for name, value in members.items():
            known = self.kinds.get(name)
            if known is Kind.JSON or (known is None and not self._has_room_for(name)):
                continue
            kind = kind_of(value)
            if known is not None:
                kind = wider(known, kind)
            if kind is not known:
                self.kinds[name], changed = kind, True
        return changed

    def _has_room_for(self, name: str) -> bool:
        return len(self.kinds) < MAX_PROPERTIES and len(name.encode()) <= LONGEST_NAME


def note_all(profiles: dict[str, MetricProfile], metric_ids: Sequence[str | None], texts: Sequence[str | None]) -> set[str]:
    """Widen the profiles of all metrics to the properties of some events; return the ids of the metrics whose profile changed.

    Args:
        profiles: By metric; profiles of new metrics are added.
        metric_ids: The metric of each event; events without one are left out.
        texts: The properties of each event, as JSON.
    """
    by_metric: dict[str, list[str | None]] = {}
    for metric_id, text in zip(metric_ids, texts, strict=True):
        if metric_id is not None:
            by_metric.setdefault(metric_id, []).append(text)
    return {metric_id for metric_id, some in by_metric.items() if profiles.setdefault(metric_id, MetricProfile()).note(some)}
