"""The properties of staged events, found while their files are written: the rows are in memory then, and no file must be read again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from klaviyo_assets.load.views.property_kinds import PropertyKind
from klaviyo_assets.load.views.property_profile import MetricProfile, note_frame

KindsByMetric = Mapping[str, Mapping[str, PropertyKind]]
"""The kind of each property, by metric."""


class StagedProperties:
    """The properties in the files that one sync writes. Other files, those of an interrupted sync, must be read.

    Each file comes with what it and all files before it contain. So nothing is lost if a file cannot be written and its events come in the next one.
    """

    def __init__(self) -> None:
        self._profiles: dict[str, MetricProfile] = {}
        self._latest: KindsByMetric = {}
        self._by_file: dict[Path, KindsByMetric] = {}
        self._are_too_many = False

    def note(self, file: Path, frame: pl.DataFrame) -> None:
        """Record the properties of a file's events.

        Args:
            file: The file.
            frame: Its rows, with field rules applied.
        """
        if self._are_too_many:
            return
        note_frame(self._profiles, frame)
        # Which properties are recorded depends on those that the table already has, and these are only known when the file is loaded.
        self._are_too_many = any(profile.is_full for profile in self._profiles.values())
        if self._are_too_many:
            return
        found = {metric_id: dict(profile.kinds) for metric_id, profile in self._profiles.items()}
        if found != self._latest:
            self._latest = found
        self._by_file[file] = self._latest

    def of(self, files: Sequence[Path]) -> KindsByMetric | None:
        """Return the properties in some files, in the order in which they were written, and in those before them; None if the files must be read."""
        return self._by_file[files[-1]] if all(file in self._by_file for file in files) else None
