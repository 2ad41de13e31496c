"""Applies field rules to frames: to new rows before they are stored, and to rows that were stored before a rule was added."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import polars as pl

from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.columns import EXTRA
from klaviyo_assets.decode.polars_schema import ODD_TEXT, RECORD
from klaviyo_assets.decode.within import JsonColumnReader, readers_within, with_values_within
from klaviyo_assets.privacy.hashing import SALT_VARIABLE, SHORTEST_SALT, Salt, ValueKind, is_hash, salt_of_environment
from klaviyo_assets.privacy.json_edit import Change, ObjectOnly, Remove, Tree, splice
from klaviyo_assets.privacy.rules import Action, FieldRules, InvalidFieldRules, Rule, needs_salt, parse_rules

_WHOLE_RECORDS = (ODD_TEXT, f"{RECORD}attributes", f"{RECORD}relationships")
"""Members of ``_extra`` that contain a whole record as text, or a malformed attributes object: no rule can find its field there."""


@dataclass(frozen=True)
class AppliedRule:
    """A rule that was applied. It determines whether another rule can be applied to the stored values.

    Attributes:
        field: The field.
        action: What was done with it.
        salt: Fingerprint of the salt; None if the rule does not hash.
    """

    field: str
    action: Action
    salt: str | None


@dataclass(frozen=True)
class FieldRuleSet:
    """The rules of one resource type, ready to be applied.

    Args:
        rules: The rules.
        salt: Salt for the rules that hash; None if none does.
        within: Readers of the columns that have copies of values of a JSON column, by the name of that JSON column.

    Example:
        >>> field_rules = FieldRuleSet(parse_rules({"profiles": {"email": "hash"}})["profiles"], Salt("0123456789abcdef"))
        >>> field_rules.apply(page.frame)
    """

    rules: tuple[Rule, ...] = ()
    salt: Salt | None = None
    within: Mapping[str, JsonColumnReader] = field(default_factory=dict)

    def apply(self, frame: pl.DataFrame, *, again: bool = False) -> pl.DataFrame:
        """Return the frame with the rules applied to whichever of their columns it has.

        Args:
            frame: Columns as in :func:`klaviyo_assets.decode.polars_schema.frame_schema`.
            again: True if some values may be hashed already; these do not change.
        """
        for rule in self.rules:
            if not rule.inside and rule.column in frame.columns and rule.column != EXTRA:
                frame = frame.with_columns(self._whole(frame[rule.column], rule, again=again))
        for name, tree in self._trees(again=again).items():
            if name in frame.columns:
                changed = _spliced(frame[name], tree)
                frame = frame.with_columns(_null_where_empty(changed) if name == EXTRA else changed)
        if any(rule.column == EXTRA and not rule.inside for rule in self.rules) and EXTRA in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias(EXTRA))
        # Columns with copies of values of a JSON column are filled again, so that they do not show what a rule has removed there.
        return with_values_within(frame, self._readers).select(frame.columns)

    @cached_property
    def _readers(self) -> dict[str, JsonColumnReader]:
        """Readers of the columns that have copies of values of a column with a rule."""
        with_rules = {rule.column for rule in self.rules}
        return {name: reader for name, reader in self.within.items() if name in with_rules}

    @property
    def columns(self) -> set[str]:
        """Columns that the rules change, including ``_extra``."""
        copies = {name for reader in self._readers.values() for name in reader.names}
        return {rule.column for rule in self.rules} | copies | ({EXTRA} if self.rules else set())

    @property
    def fingerprint(self) -> str | None:
        """A short fingerprint of the rules and the salt; None without rules."""
        return fingerprint_of(self.applied)

    @cached_property
    def applied(self) -> tuple[AppliedRule, ...]:
        """The rules in their stored form, without the salt."""
        salt = self.salt.fingerprint if self.salt else None
        return tuple(AppliedRule(rule.field, rule.action, salt if rule.action is Action.HASH else None) for rule in self.rules)

    def _whole(self, values: pl.Series, rule: Rule, *, again: bool) -> pl.Series:
        if rule.action is Action.DROP:
            return pl.Series(values.name, [None], dtype=values.dtype).new_from_index(0, len(values))
        change = self._hash(rule.kind, again=again)
        if values.dtype == pl.List(pl.String):
            return pl.Series(
                values.name, [None if some is None else [None if one is None else change(one) for one in some] for some in values], dtype=values.dtype
            )
        return _mapped(values, change)

    def _trees(self, *, again: bool) -> dict[str, Tree]:
        """Changes inside JSON columns, by column. The attributes of a rule are changed in ``_extra`` too, which has the values that did not fit."""
        trees: dict[str, dict[str, Any]] = {}
        for rule in self.rules:
            change = self._json_change(rule, again=again)
            if rule.inside and rule.column != EXTRA:
                _set_change(trees.setdefault(rule.column, {}), rule.inside, change)
            if rule.attribute != (EXTRA,):
                _set_change(trees.setdefault(EXTRA, {}), rule.attribute, change, rule.parents)
            if rule.also:
                _set_change(trees.setdefault(EXTRA, {}), rule.also, change)
        if trees:
            for name in _WHOLE_RECORDS:
                trees.setdefault(EXTRA, {})[name] = _to_null  # still shows that the member was there
        return dict(trees)

    def _hash(self, kind: ValueKind, *, again: bool) -> Callable[[str], str]:
        salt = self.salt
        if salt is None:
            raise InvalidFieldRules(f"A field rule hashes a field, and there is no salt. Set {SALT_VARIABLE}.")

        def change(value: str) -> str:
            return value if again and is_hash(value) else salt.hash(value, kind)

        return change

    def _json_change(self, rule: Rule, *, again: bool) -> Change | Remove:
        if rule.action is Action.DROP:
            return Remove.MEMBER
        change = self._hash(rule.kind, again=again)

        def hashed(text: str) -> str:
            if text == "null":
                return text
            # Values other than strings are hashed by their JSON text.
            return json.dumps(change(json.loads(text, strict=False) if text.startswith('"') else text))

        return hashed


def rule_sets_for(rules: FieldRules, catalog: Catalog = CATALOG) -> dict[str, FieldRuleSet]:
    """Return the rule set of each resource type that has rules, with the salt from the environment.

    Raises:
        InvalidFieldRules: If a rule is invalid, or a rule hashes and the salt is missing or too short.
    """
    parsed = parse_rules(rules, catalog)
    salt = _salt() if needs_salt(rule for some in parsed.values() for rule in some) else None
    return {name: FieldRuleSet(some, salt if needs_salt(some) else None, readers_within(catalog[name])) for name, some in parsed.items() if some}


def fingerprint_of(applied: Iterable[AppliedRule]) -> str | None:
    """Return a short fingerprint of applied rules; None if there are none."""
    facts = sorted((one.field, one.action, one.salt) for one in applied)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16] if facts else None


def _salt() -> Salt:
    salt = salt_of_environment()
    if salt is None:
        raise InvalidFieldRules(
            f"A field rule hashes a field, and {SALT_VARIABLE} is not set. Set it to a secret of your own (python -c 'import secrets; "
            "print(secrets.token_hex(32))'), and keep it: with a different secret, the same value gets a different hash."
        )
    if len(salt) < SHORTEST_SALT:
        raise InvalidFieldRules(f"{SALT_VARIABLE} has {len(salt)} characters; a secret needs at least {SHORTEST_SALT}.")
    return salt


def _set_change(tree: dict[str, Any], path: tuple[str, ...], change: Change | Remove, parents: int = 0) -> None:
    for place, name in enumerate(path[:-1]):
        tree = tree.setdefault(name, ObjectOnly() if place < parents else {})
    tree[path[-1]] = change


def _to_null(_: str) -> str:
    return "null"


def _null_where_empty(extra: pl.Series) -> pl.Series:
    """Return ``_extra`` with null in place of empty objects."""
    emptied = extra.str.contains(r"^\s*\{\s*\}\s*$").fill_null(False)
    return extra.set(emptied, None) if emptied.any() else extra


def _mapped(values: pl.Series, change: Callable[[str], str]) -> pl.Series:
    """Change each value; compute each distinct value once."""
    changed = {value: change(value) for value in values.unique() if value is not None}
    return pl.Series(values.name, [changed.get(value) for value in values], dtype=values.dtype)


def _spliced(values: pl.Series, tree: Tree) -> pl.Series:
    """Change members of JSON texts. Texts without any of the names are skipped."""
    # Names may contain escapes, so texts with a backslash are not skipped.
    hints = [json.dumps(name, ensure_ascii=False) for name in tree]
    candidates = (values.str.contains_any(hints) | values.str.contains("\\", literal=True)).fill_null(False)
    if not candidates.any():
        return values
    texts = values.to_list()
    for place in candidates.arg_true():
        texts[place] = splice(texts[place], tree)
    return pl.Series(values.name, texts, dtype=values.dtype)
