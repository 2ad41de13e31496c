"""Which properties the events of each metric have, and of which kind their values are. It only widens.

Nearly all events look like earlier ones. So a metric's events are decoded with a struct of the known properties: in C, this fails for an event with
another property or kind of value, and only such events are looked at one by one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl
from msgspec import Raw

from klaviyo_assets.decode.structs import NOT_IN_FIELD_NAMES
from klaviyo_assets.load.views.property_kinds import DECODED, PropertyKind, json_kind_of, wider

MAX_PROPERTIES = 300
"""Properties of a metric that are recorded; the others, such as names that are ids, stay in the JSON alone."""

LONGEST_NAME = 200
"""Bytes of the longest name that is recorded."""

_MEMBERS_DECODER: msgspec.json.Decoder[dict[str, Raw]] = msgspec.json.Decoder(dict[str, Raw])


@dataclass
class MetricProfile:
    """The properties of one metric: the kind of each, by name, in the order in which they were found."""

    kinds: dict[str, PropertyKind] = field(default_factory=dict)
    _decode: Callable[[bytes], Any] | None = field(default=None, repr=False, compare=False)
    """Decodes events of the known properties; None if it must be made. Making one takes as long as decoding hundreds of events."""

    @property
    def is_full(self) -> bool:
        """Whether further properties are not recorded."""
        return len(self.kinds) >= MAX_PROPERTIES

    def note(self, texts: Iterable[bytes]) -> bool:
        """Widen the profile to the properties of some events; return whether it changed.

        Args:
            texts: The properties of each event, as JSON.
        """
        decode, changed = self._decoder(), False
        for text in texts:
            try:
                decode(text)
            except msgspec.DecodeError:
                if self._widen(text):
                    decode, changed = self._decoder(), True
        return changed

    def widen(self, kinds: Mapping[str, PropertyKind]) -> bool:
        """Widen the profile to properties that were found elsewhere; return whether it changed."""
        changed = False
        for name, kind in kinds.items():
            changed |= not self._is_settled(name) and self._record(name, kind)
        return changed

    def _decoder(self) -> Callable[[bytes], Any]:
        if self._decode is None:
            known = {name: kind for name, kind in self.kinds.items() if not NOT_IN_FIELD_NAMES.search(name)}
            names = {f"field_{number}": name for number, name in enumerate(known)}
            fields = [(python, DECODED[known[name]], None) for python, name in names.items()]
            struct = msgspec.defstruct("Properties", fields, rename=names, forbid_unknown_fields=not self.is_full, gc=False)
            self._decode = msgspec.json.Decoder(struct).decode
        return self._decode

    def _widen(self, text: bytes) -> bool:
        """Widen the profile to one event; return whether it changed."""
        try:
            members = _MEMBERS_DECODER.decode(text)
        except msgspec.DecodeError:
            return False  # not an object
        changed = False
        for name, value in members.items():
            changed |= not self._is_settled(name) and self._record(name, json_kind_of(value))
        return changed

    def _is_settled(self, name: str) -> bool:
        """Return whether no value of a property can change the profile."""
        if name in self.kinds:
            return self.kinds[name] is PropertyKind.JSON
        return self.is_full or len(name.encode()) > LONGEST_NAME

    def _record(self, name: str, kind: PropertyKind) -> bool:
        known = self.kinds.get(name)
        kind = kind if known is None else wider(known, kind)
        if kind is known:
            return False
        self.kinds[name], self._decode = kind, None
        return True


def note_frame(profiles: dict[str, MetricProfile], frame: pl.DataFrame) -> set[str]:
    """Widen the profiles of all metrics to the properties of some events; return the ids of the metrics whose profile changed.

    Args:
        profiles: By metric; profiles of new metrics are added.
        frame: The columns ``metric_id`` and ``event_properties`` of the events; events without one of them are left out.
    """
    events = frame.select("metric_id", pl.col("event_properties").cast(pl.Binary)).drop_nulls()
    changed = set()
    for some in events.partition_by("metric_id", maintain_order=True):
        metric_id = some.item(0, "metric_id")
        if profiles.setdefault(metric_id, MetricProfile()).note(some["event_properties"].to_list()):
            changed.add(metric_id)
    return changed
