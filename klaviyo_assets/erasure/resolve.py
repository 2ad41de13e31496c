"""Finds the rows of a person: by profile id, or by e-mail address or phone number in tables without a profile id.

An address or number that other profiles share does not identify a row, so it is not erased.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import PROFILES, Catalog, ResourceType
from klaviyo_assets.catalog.columns import EXTRA
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.errors import SyncError
from klaviyo_assets.load.rewrites.reapply_rules import StoredRules
from klaviyo_assets.load.schema.tables import Tables, rebuilt_name_of
from klaviyo_assets.privacy.apply import AppliedRule, FieldRuleSet
from klaviyo_assets.privacy.hashing import SALT_VARIABLE, Salt, ValueKind, normalized
from klaviyo_assets.privacy.rules import Action
from klaviyo_assets.warehouse.interface import Warehouse
from klaviyo_assets.warehouse.sql import literal, quoted

IDENTIFYING_COLUMNS = {"email": ValueKind.EMAIL, "phone_number": ValueKind.PHONE}
"""Columns that identify a person."""

_WORDS = {ValueKind.EMAIL: "e-mail address", ValueKind.PHONE: "phone number"}

TableColumns = Mapping[str, Mapping[str, str]]
"""Types of the columns that may contain text, by table and column."""


@dataclass(frozen=True)
class SubjectResolver:
    """Finds a person's rows, in a transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        catalog: The resource types of all tables that syncs have filled.
        salt: Salt of the field rules, if addresses and numbers are stored as hashes.
        person: The identifiers from the user; :meth:`look_up` adds those of the profile.
        columns: The schema's tables.

    Attributes:
        notes: What could not be identified and what was deliberately kept.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    catalog: Catalog
    salt: Salt | None
    person: DataSubject
    columns: TableColumns
    notes: list[str] = field(default_factory=list)

    def look_up(self) -> set[str]:
        """Find the profile and its other identifiers.

        Returns:
            Ids of the person that are in the tables; any other id may be an ordinary word.

        Raises:
            SyncError: If the person cannot be identified: addresses or numbers are not stored, several profiles share a number, or a table lacks the
                column with the id of a profile.
        """
        named = set(self.person.ids)
        self._refuse_missing_columns()
        self._refuse_dropped_columns()
        self._refuse_without_salt([] if named else [PROFILES.name])
        found = self._found_by_id(named) if named else self._found_by_contact()
        known = self._add_identifiers_of(found)
        self.person.ids |= found
        self._keep_shared_identifiers()
        others = [table for table in self.columns if table in self.catalog and self._profile_column(table) is None]
        self._refuse_without_salt(others)
        self._add_hashes()
        self._note_unidentifiable_tables(others, known=known)
        return found

    def is_about_subject(self, table: str) -> str:
        """SQL condition for rows of a table that are about the person."""
        column = self._profile_column(table)
        if column is not None:
            return f"{quoted(column)} IN ({_listed(self.person.ids)})"
        return self._has_identifier(column for column in IDENTIFYING_COLUMNS if column in self.columns[table])

    @cached_property
    def _entries(self) -> dict[str, ResourceType]:
        """Resource types by the names of their tables: the table itself and that of an interrupted full read."""
        return {name: entry for entry in self.catalog.values() for name in (entry.name, rebuilt_name_of(entry.name))}

    def _profile_column(self, table: str) -> str | None:
        """Return the column with the profile id; None if rows are identified by address or number."""
        column = self._entries[table].profile_column if table in self._entries else None
        return column if column in self.columns[table] else None

    def _refuse_missing_columns(self) -> None:
        """Fail if a table has been filled without the column by which a person's rows are found."""
        for table in self.columns:
            column = self.catalog[table].profile_column if table in self.catalog else None
            if column is not None and column not in self.columns[table]:
                raise SyncError(
                    f"The {table} table lacks the column {column}, which names the profile that each row is about. Nothing was erased.",
                    f"Run a sync of {table}, which adds the column and fills it; then erase again.",
                )

    @property
    def _profile_tables(self) -> list[str]:
        return [table for table in (PROFILES.name, rebuilt_name_of(PROFILES.name)) if table in self.columns]

    def _has_identifier(self, columns: Iterable[str]) -> str:
        """SQL condition for rows with one of the person's addresses or numbers, plain or hashed."""
        conditions = ["false"]
        for column in columns:
            kind = IDENTIFYING_COLUMNS[column]
            values = self.person.values(kind)
            hashes = self.person.hashes[kind] | {self.salt.hash(value, kind) for value in values if self.salt}
            conditions.append(f"{_normalized_column(column, kind)} IN ({_listed(values)}) OR {column} IN ({_listed(hashes | values)})")
        return f"({' OR '.join(conditions)})"

    def _found_by_id(self, named: set[str]) -> set[str]:
        owners = [(table, column) for table in self.columns if (column := self._profile_column(table)) is not None]
        return {
            str(id_)
            for table, column in owners
            for (id_,) in self._query(f"SELECT DISTINCT {quoted(column)} FROM {self._qualified(table)} WHERE {quoted(column)} IN ({_listed(named)})")
        }

    def _found_by_contact(self) -> set[str]:
        by_email = set(self._profiles("id", self._has_identifier(["email"]), needs="email"))
        by_phone = set(self._profiles("id", self._has_identifier(["phone_number"]), needs="phone_number"))
        if len(by_phone) > 1 and by_phone - by_email:
            raise SyncError(f"{len(by_phone)} profiles have this phone number: {', '.join(sorted(by_phone))}.", "Give the id of the one to erase.")
        return by_email | by_phone

    def _profiles(self, wanted: str, condition: str, *, needs: str) -> Iterator[str]:
        """Yield the non-null values of a column in profiles that meet a condition."""
        for table in self._profile_tables:
            if needs in self.columns[table]:
                for (value,) in self._query(f"SELECT {wanted} FROM {self._qualified(table)} WHERE {condition}"):
                    if value is not None:
                        yield str(value)

    def _add_identifiers_of(self, found: set[str]) -> bool:
        """Add the identifiers of the profiles that were found; return whether any of them is stored with its e-mail address."""
        for column, kind in IDENTIFYING_COLUMNS.items():
            for value in self._profiles(column, f"id IN ({_listed(found)})", needs=column):
                self.person.learn(value, kind)
        profiles = list(self._profiles("id", f"id IN ({_listed(found)})", needs="id"))
        return bool(profiles) and self._rule(PROFILES.name, "email") is None

    def _keep_shared_identifiers(self) -> None:
        for column, kind in IDENTIFYING_COLUMNS.items():
            of_others = f"id NOT IN ({_listed(self.person.ids)}) AND {self._has_identifier([column])}"
            shared = set(self._profiles(column, of_others, needs=column))
            if not shared:
                continue
            others = sorted(set(self._profiles("id", of_others, needs=column)))
            own = self.person.values(kind)
            own -= {normalized(value, kind) for value in shared} | {value for value in own if self.salt and self.salt.hash(value, kind) in shared}
            self.person.hashes[kind] -= shared
            profiles = f"{len(others)} other profile{'s' * (len(others) > 1)} ({', '.join(others[:10])})"
            self.notes.append(
                f"The {_WORDS[kind]} is also that of {profiles}: it stays there, and in rows that nothing else identifies. "
                "If that is the same person, erase that id too."
            )

    def _add_hashes(self) -> None:
        if self.salt is not None:
            for kind, hashes in self.person.hashes.items():
                hashes |= {self.salt.hash(value, kind) for value in self.person.values(kind)}

    def _refuse_dropped_columns(self) -> None:
        for column, kind in IDENTIFYING_COLUMNS.items():
            rule = self._rule(PROFILES.name, column)
            if rule is not None and rule.action is Action.DROP and self.person.values(kind) and not self.person.ids:
                raise SyncError(
                    f"Profiles are stored without their {_WORDS[kind]} (a field rule drops it), so the profile cannot be found by it.",
                    f"Give the id of the profile, and the {_WORDS[kind]} after it for texts that name it.",
                )

    def _refuse_without_salt(self, tables: Iterable[str]) -> None:
        """Fail if a table only has hashes and the salt that made them is missing."""
        salt = self.salt.fingerprint if self.salt else None
        for table in tables:
            for column, kind in IDENTIFYING_COLUMNS.items():
                rule = self._rule(table, column) if column in self.columns.get(table, {}) else None
                if rule is not None and rule.action is Action.HASH and rule.salt != salt and self.person.values(kind):
                    problem = f"{SALT_VARIABLE} is {'not set' if salt is None else 'another one than they were made with'}"
                    by_id = " Or name the id of the profile." if table == PROFILES.name else ""
                    raise SyncError(
                        f"The {table} table holds hashes in place of each {_WORDS[kind]}, and {problem}: the rows of the person cannot be "
                        "identified.",
                        f"Set it to the salt of the field rules.{by_id}",
                    )

    def _note_unidentifiable_tables(self, tables: Iterable[str], *, known: bool) -> None:
        for table in tables:
            rule = self._rule(table, "email") if "email" in self.columns[table] else None
            if "email" not in self.columns[table] or not self._query(f"SELECT 1 FROM {self._qualified(table)} LIMIT 1"):
                continue
            if rule is not None and rule.action is Action.DROP:
                self.notes.append(f"The {table} table has neither ids of profiles nor e-mail addresses: the rows of the person cannot be identified.")
            elif not known and not self._is_findable(rule):
                self.notes.append(
                    f"The {table} table identifies people by e-mail address, and this person's is not known here: "
                    "give it after the id, or their rows stay there."
                )

    def _is_findable(self, rule: AppliedRule | None) -> bool:
        """Whether the person's address is known in the form that a table stores."""
        profiles = self._rule(PROFILES.name, "email")
        same_hash = rule is not None and profiles is not None and rule.salt == profiles.salt
        return bool(self.person.emails) or (same_hash and bool(self.person.hashes[ValueKind.EMAIL]))

    def _rule(self, table: str, column: str) -> AppliedRule | None:
        """Return the rule that a column was stored with."""
        recorded = StoredRules(self.connection, Tables(self.warehouse, self.schema, self.catalog[table]), FieldRuleSet()).recorded
        return next((one for one in recorded if one.field in (column, f"{EXTRA}.{column}")), None)

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        return self.connection.execute(sql).fetchall()

    def _qualified(self, table: str) -> str:
        return self.warehouse.qualified(self.schema, table)


def _normalized_column(column: str, kind: ValueKind) -> str:
    """SQL for a column's value, normalized as before hashing."""
    if kind is ValueKind.EMAIL:
        return f"lower(trim({column}))"
    return f"'+' || regexp_replace(regexp_replace({column}, '[^0-9]', '', 'g'), '^00', '')"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in sorted(values)) or "NULL"
