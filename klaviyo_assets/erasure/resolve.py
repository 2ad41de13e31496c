"""Tells which rows are a person's: by the profile's id, and where a table has no such id by e-mail address or phone number.

An address or number that another profile has too belongs to that one as well: it says nothing of whose a row is, and stays where it stands.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from duckdb import DuckDBPyConnection

from klaviyo_assets.catalog import CATALOG, PROFILES
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.errors import SyncError
from klaviyo_assets.load.reapply_rules import StoredRules
from klaviyo_assets.load.tables import Tables
from klaviyo_assets.privacy.apply import AppliedRule, FieldRuleSet
from klaviyo_assets.privacy.hashing import SALT_VARIABLE, Kind, Salt, normalised
from klaviyo_assets.privacy.rules import EXTRA, Action
from klaviyo_assets.warehouse.base import Warehouse
from klaviyo_assets.warehouse.sql import literal

NAMED_BY = {"email": Kind.EMAIL, "phone_number": Kind.PHONE}
"""Columns that name a person."""

_WORDS = {Kind.EMAIL: "e-mail address", Kind.PHONE: "phone number"}

TableColumns = Mapping[str, Mapping[str, str]]
"""Types of the columns that may hold text, by table and column."""


@dataclass(frozen=True)
class SubjectResolver:
    """Finds a person's rows, in a transaction.

    Args:
        connection: The database.
        warehouse: The same.
        schema: DuckDB schema.
        salt: Of the field rules, where addresses and numbers are stored as hashes.
        person: As the user names them; :meth:`look_up` adds what else they are called.
        columns: The schema's tables.

    Attributes:
        notes: What could not be identified, and what was left on purpose.
    """

    connection: DuckDBPyConnection
    warehouse: Warehouse
    schema: str
    salt: Salt | None
    person: DataSubject
    columns: TableColumns
    notes: list[str] = field(default_factory=list)

    def look_up(self) -> set[str]:
        """Find the profile, and what else it is called.

        Returns:
            Ids of the person that are in the tables; one that is not may be any word.

        Raises:
            SyncError: If the person cannot be identified: addresses and numbers are not stored, or several profiles share a number.
        """
        named = set(self.person.ids)
        self._refuse_what_is_not_stored()
        self._refuse_without_salt([] if named else [PROFILES.name])
        found = self._found_by_id(named) if named else self._found_by_name()
        known = self._learn(found)
        self.person.ids |= found
        self._leave_what_others_share()
        others = [table for table in self.columns if table in CATALOG and self._subject_column(table) is None]
        self._refuse_without_salt(others)
        self._add_hashes()
        self._tell_what_is_not_found(others, known=known)
        return found

    def is_about_subject(self, table: str) -> str:
        """SQL that says whether a row of a table is about the person."""
        column = self._subject_column(table)
        if column is not None:
            return f"{column} IN ({_listed(self.person.ids)})"
        return self._is_called(column for column in NAMED_BY if column in self.columns[table])

    def _subject_column(self, table: str) -> str | None:
        """Return the column with the id of the profile that a row is about; None where rows are identified by address or number."""
        for entry in CATALOG.values():
            if table in (entry.name, Tables(self.warehouse, self.schema, entry).rebuilt_name):
                return entry.subject_column if entry.subject_column in self.columns[table] else None
        return None

    @property
    def _profile_tables(self) -> list[str]:
        rebuilt = Tables(self.warehouse, self.schema, PROFILES).rebuilt_name
        return [table for table in (PROFILES.name, rebuilt) if table in self.columns]

    def _is_called(self, columns: Iterable[str]) -> str:
        """SQL that says whether a row has one of the person's addresses or numbers, plain or hashed."""
        conditions = ["false"]
        for column in columns:
            kind = NAMED_BY[column]
            values = self.person.values(kind)
            hashes = self.person.hashes[kind] | {self.salt.hash(value, kind) for value in values if self.salt}
            conditions.append(f"{_as_hashed(column, kind)} IN ({_listed(values)}) OR {column} IN ({_listed(hashes | values)})")
        return f"({' OR '.join(conditions)})"

    def _found_by_id(self, named: set[str]) -> set[str]:
        owners = [(table, column) for table in self.columns if (column := self._subject_column(table)) is not None]
        return {
            str(id_)
            for table, column in owners
            for (id_,) in self._query(f"SELECT DISTINCT {column} FROM {self._qualified(table)} WHERE {column} IN ({_listed(named)})")
        }

    def _found_by_name(self) -> set[str]:
        by_email = set(self._profiles("id", self._is_called(["email"]), needs="email"))
        by_phone = set(self._profiles("id", self._is_called(["phone_number"]), needs="phone_number"))
        if len(by_phone) > 1 and by_phone - by_email:
            raise SyncError(
                f"{len(by_phone)} profiles have this phone number: {', '.join(sorted(by_phone))}.", "Name the id of the one that is to be erased."
            )
        return by_email | by_phone

    def _profiles(self, wanted: str, condition: str, *, needs: str) -> Iterator[str]:
        """Yield a column of the profiles that meet a condition, null values left out."""
        for table in self._profile_tables:
            if needs in self.columns[table]:
                for (value,) in self._query(f"SELECT {wanted} FROM {self._qualified(table)} WHERE {condition}"):
                    if value is not None:
                        yield str(value)

    def _learn(self, found: set[str]) -> bool:
        """Add what the profiles that were found are called; return whether any of them is there as it came."""
        for column, kind in NAMED_BY.items():
            for value in self._profiles(column, f"id IN ({_listed(found)})", needs=column):
                self.person.learn(value, kind)
        there = list(self._profiles("id", f"id IN ({_listed(found)})", needs="id"))
        return bool(there) and self._rule(PROFILES.name, "email") is None

    def _leave_what_others_share(self) -> None:
        for column, kind in NAMED_BY.items():
            of_others = f"id NOT IN ({_listed(self.person.ids)}) AND {self._is_called([column])}"
            shared = set(self._profiles(column, of_others, needs=column))
            if not shared:
                continue
            others = sorted(set(self._profiles("id", of_others, needs=column)))
            mine = self.person.values(kind)
            mine -= {normalised(value, kind) for value in shared} | {value for value in mine if self.salt and self.salt.hash(value, kind) in shared}
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

    def _refuse_what_is_not_stored(self) -> None:
        for column, kind in NAMED_BY.items():
            rule = self._rule(PROFILES.name, column)
            if rule is not None and rule.action is Action.DROP and self.person.values(kind) and not self.person.ids:
                raise SyncError(
                    f"Profiles are stored without their {_WORDS[kind]} (a field rule drops it), so the profile cannot be found by it.",
                    f"Name the id of the profile, and the {_WORDS[kind]} after it for texts that name it.",
                )

    def _refuse_without_salt(self, tables: Iterable[str]) -> None:
        """Refuse where a table has hashes only, and the salt that they were made with is not at hand."""
        mine = self.salt.fingerprint if self.salt else None
        for table in tables:
            for column, kind in NAMED_BY.items():
                rule = self._rule(table, column) if column in self.columns.get(table, {}) else None
                if rule is not None and rule.action is Action.HASH and rule.salt != mine and self.person.values(kind):
                    is_there = f"{SALT_VARIABLE} is {'not set' if mine is None else 'another one than they were made with'}"
                    by_id = " Or name the id of the profile." if table == PROFILES.name else ""
                    raise SyncError(
                        f"The {table} table holds hashes in place of each {_WORDS[kind]}, and {is_there}: the rows of the person cannot be "
                        "identified.",
                        f"Set it to the salt of the field rules.{by_id}",
                    )

    def _tell_what_is_not_found(self, tables: Iterable[str], *, known: bool) -> None:
        for table in tables:
            rule = self._rule(table, "email") if "email" in self.columns[table] else None
            if "email" not in self.columns[table] or not self._query(f"SELECT 1 FROM {self._qualified(table)} LIMIT 1"):
                continue
            if rule is not None and rule.action is Action.DROP:
                self.notes.append(f"The {table} table has neither ids of profiles nor e-mail addresses: the rows of the person cannot be identified.")
            elif not known and not self._is_findable(rule):
                self.notes.append(
                    f"The {table} table identifies people by e-mail address, and this person's is not known here: "
                    "name it after the id, or their rows stay there."
                )

    def _is_findable(self, rule: AppliedRule | None) -> bool:
        """Whether what is known of the person's address is what a table holds of addresses."""
        profiles = self._rule(PROFILES.name, "email")
        same_hash = rule is not None and profiles is not None and rule.salt == profiles.salt
        return bool(self.person.emails) or (same_hash and bool(self.person.hashes[Kind.EMAIL]))

    def _rule(self, table: str, column: str) -> AppliedRule | None:
        """Return the rule that a column was stored with."""
        recorded = StoredRules(self.connection, Tables(self.warehouse, self.schema, CATALOG[table]), FieldRuleSet()).recorded
        return next((one for one in recorded if one.field in (column, f"{EXTRA}.{column}")), None)

    def _query(self, sql: str) -> list[tuple[object, ...]]:
        return self.connection.execute(sql).fetchall()

    def _qualified(self, table: str) -> str:
        return self.warehouse.qualified(self.schema, table)


def _as_hashed(column: str, kind: Kind) -> str:
    """SQL that writes a column as it would be written before it is hashed."""
    if kind is Kind.EMAIL:
        return f"lower(trim({column}))"
    return f"'+' || regexp_replace(regexp_replace({column}, '[^0-9]', '', 'g'), '^00', '')"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(literal(value) for value in sorted(values)) or "NULL"
