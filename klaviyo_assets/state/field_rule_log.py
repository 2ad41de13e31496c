"""The table ``_field_rules``: the field rules that the rows of each table were stored with."""

from collections.abc import Sequence
from typing import ClassVar

from klaviyo_assets.privacy.apply import AppliedRule
from klaviyo_assets.privacy.rules import Action
from klaviyo_assets.state.bookkeeping_store import BookkeepingStore
from klaviyo_assets.warehouse.ddl import Columns


class FieldRuleLog(BookkeepingStore):
    """The stored rules of a schema. The table is created with the first rule."""

    NAME: ClassVar[str] = "_field_rules"
    DESCRIPTION: ClassVar[str] = "The field rules that the rows of each table were stored with."
    COLUMNS: ClassVar[Columns] = {
        "resource_type": ("VARCHAR", "Table."),
        "field": ("VARCHAR", "Field, as the rule names it."),
        "action": ("VARCHAR", "drop or hash."),
        "salt_fingerprint": ("VARCHAR", "Distinguishes salts and reveals nothing else of them; null where nothing is hashed."),
    }

    def rules(self, resource_type: str) -> tuple[AppliedRule, ...]:
        """Return the rules that the rows of a resource type were stored with."""
        if not self.exists:
            return ()
        rows = self._rows(f"SELECT field, action, salt_fingerprint FROM {self.table} WHERE resource_type = ? ORDER BY field", [resource_type])
        return tuple(AppliedRule(field, Action(action), salt) for field, action, salt in rows)

    def fields(self, resource_type: str) -> list[str]:
        """Return the fields with rules, as written there. Also works in a schema of an older layout that no sync has migrated yet."""
        return [field for (field,) in self._rows(f"SELECT field FROM {self.table} WHERE resource_type = ?", [resource_type])] if self.exists else []

    def replace(self, resource_type: str, rules: Sequence[AppliedRule]) -> None:
        """Record the rules that the rows of a resource type are stored with from now on."""
        self.prepare()
        self.connection.execute(f"DELETE FROM {self.table} WHERE resource_type = ?", [resource_type])
        for rule in rules:
            self.connection.execute(
                f"INSERT INTO {self.table} (resource_type, field, action, salt_fingerprint) VALUES (?, ?, ?, ?)",
                [resource_type, rule.field, rule.action.value, rule.salt],
            )
