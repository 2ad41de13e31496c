"""Records with the structure of recorded ones and made-up values."""

from typing import Any

from klaviyo_assets_tests.contract.digest import Facts

VALUES: Facts = {
    "null": None,
    "boolean": True,
    "integer": 7,
    "number": 7.25,
    "string": "text",
    "empty": [],
    "object": {"a member of the account": [1, "two", None, {"three": 3.5}]},
}


def example(type_name: str, structure: Facts | str, facts: Facts) -> Facts:
    """Return a resource object with a structure (see recorded.py); a string with an enum gets its first value.

    Args:
        type_name: JSON:API type.
        structure: The structure, without type and id; ``empty`` for a resource identifier, which has nothing else.
        facts: The digest's facts about the type's members.
    """
    return {"type": type_name, "id": facts["id"].get("values", ["AbC123"])[0], **(_members(structure, facts) if isinstance(structure, dict) else {})}


def _members(structure: Facts, facts: Facts) -> Facts:
    return {name: _value(member, facts.get(name, {})) for name, member in structure.items()}


def _value(structure: Any, facts: Facts) -> Any:
    match structure:
        case dict():
            return _members(structure, facts.get("members", {}))
        case list():
            return [_value(one, {}) for one in structure]
        case "string" | "integer" if facts.get("values"):
            return facts["values"][0]
        case str() if structure.startswith("{site}"):
            return structure.replace("{site}", "https://a.klaviyo.com").replace("{id}", "AbC123")
        case str() if structure.startswith("0000-00-00"):
            return "2026-09-04" + structure[10:].replace(".000000", ".123456")
        case _:
            return VALUES[structure]
