"""A person to erase, with all identifiers."""

import re
from dataclasses import dataclass, field

from klaviyo_assets.erasure.mentions import Mentions
from klaviyo_assets.errors import SyncError
from klaviyo_assets.privacy.hashing import ValueKind, is_hash, is_phone, normalized

_EMAIL_PATTERN = re.compile(r"[^@\s]+@[^@\s]+")
_ID = re.compile(r"[A-Za-z0-9_-]+")
# Long enough to mean nothing but its profile in a text.
_LONG_ID = re.compile(r"01[0-9A-HJKMNP-TV-Z]{24}")

_SHORTEST_PHONE = 8  # the + included


@dataclass
class DataSubject:
    """The identifiers of a person.

    Attributes:
        ids: Ids of profiles.
        emails: E-mail addresses, in lower case.
        phones: Phone numbers, as + and digits.
        hashes: Hashes of addresses and numbers that field rules have stored, by kind.
    """

    ids: set[str] = field(default_factory=set)
    emails: set[str] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    hashes: dict[ValueKind, set[str]] = field(default_factory=lambda: {ValueKind.EMAIL: set(), ValueKind.PHONE: set()})

    @classmethod
    def named(cls, *names: str) -> "DataSubject":
        """Create a person from one or more e-mail addresses, phone numbers that begin with +, or profile ids.

        Example:
            >>> DataSubject.named("Ann@Example.com").emails
            {'ann@example.com'}

        Raises:
            SyncError: If a name is none of these.
        """
        person = cls()
        for name in names:
            person._add(name.strip())
        return person

    def values(self, kind: ValueKind) -> set[str]:
        """Return the e-mail addresses or phone numbers."""
        return self.emails if kind is ValueKind.EMAIL else self.phones

    def mentions(self, known: set[str]) -> Mentions:
        """Return the identifiers to search texts for.

        Args:
            known: Ids that are known to be profiles. Other ids are included only if they are long enough to be unmistakable.
        """
        ids = {id_ for id_ in self.ids if id_ in known or _LONG_ID.fullmatch(id_)}
        return Mentions(self.emails, self.phones, ids.union(*self.hashes.values()))

    def learn(self, value: str, kind: ValueKind) -> None:
        """Add a column's value if it is an address, a number, or a hash of one; anything else identifies no one."""
        if is_hash(value):
            self.hashes[kind].add(value)
        elif kind is ValueKind.EMAIL and _EMAIL_PATTERN.fullmatch(value.strip()):
            self.emails.add(normalized(value, kind))
        elif kind is ValueKind.PHONE and is_phone(value) and len(phone := normalized(value, kind)) >= _SHORTEST_PHONE:
            self.phones.add(phone)

    def _add(self, name: str) -> None:
        if _EMAIL_PATTERN.fullmatch(name):
            self.emails.add(normalized(name, ValueKind.EMAIL))
        elif name.startswith(("+", "00")) and is_phone(name) and len(phone := normalized(name, ValueKind.PHONE)) >= _SHORTEST_PHONE:
            self.phones.add(phone)
        elif _ID.fullmatch(name):
            self.ids.add(name)
        else:
            raise SyncError(
                f"{name!r} identifies no person.",
                "Give an e-mail address, a whole phone number that begins with +, or the id of a profile, such as 01H2….",
            )
