"""Reads what the definitions of a flow's actions say: the order of the actions, and the messages that they send. Pure.

An action's ``definition`` is ``{"id", "type", "data", "links"}``. ``links`` names the actions that follow it; the order in which Klaviyo includes
actions is another one. A message is in ``data.message``, or, in an A/B test, in ``data.main_action`` and ``data.current_experiment.variations[]``,
which are actions (schemas ``FlowActionEncodedResponseObjectResource``, ``AbTestAction`` and ``ContentExperimentAction`` of Klaviyo's OpenAPI
description). Ids can be numbers; they become text.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw

from klaviyo_assets.catalog.resource_type import HostRecord

_CHANNELS = {
    "send-email": "email",
    "send-sms": "sms",
    "send-mobile-push": "mobile_push",
    "send-whatsapp": "whatsapp",
    "send-webhook": "webhook",
    "send-internal-alert": "internal_alert",
}
"""Channel of a message by the type of its action."""

_TEXT_MEMBERS = ("name", "subject_line", "preview_text", "from_email", "from_label", "reply_to_email", "template_id", "image_id")
_FLAGS = ("smart_sending_enabled", "transactional")


@dataclass(frozen=True)
class FlowAction:
    """An action of a flow.

    Attributes:
        id: Its id.
        members: Members of its resource object.
        definition: Members of its definition; empty if it has none.
        data: Members of ``data`` of the definition.
    """

    id: str
    members: Mapping[str, Raw]
    definition: Mapping[str, Raw]
    data: Mapping[str, Raw]

    @property
    def type(self) -> str | None:
        """Type of the action: ``send-email``."""
        return _text(_loaded(self.definition.get("type")))

    @property
    def status(self) -> str | None:
        """Its status: ``live``; None for an action without one, such as a delay."""
        return _text(_loaded(self.data.get("status")))

    @property
    def following(self) -> list[str]:
        """Ids of the actions that may follow it, in the order of its branches."""
        branches = _loaded(self.data.get("branches"))
        of_branches = [one.get("links") for one in branches if isinstance(one, dict)] if isinstance(branches, list) else []
        parts = [_loaded(self.definition.get("links")), *of_branches]
        return list(dict.fromkeys(id_ for part in parts for id_ in _ids_in(part)))


@dataclass(frozen=True)
class _Message:
    """A message of an action, and where in the action it is."""

    raw: Raw
    action_type: str | None
    is_variation: bool = False
    experiment: Mapping[str, Raw] = field(default_factory=dict)


def actions_of(flow: HostRecord) -> Iterator[bytes]:
    """Yield the actions of a flow as resource objects, with their type, status and position."""
    for position, action in enumerate(_in_order(_read(flow.included)), 1):
        values = {"position": position, "action_type": action.type, "status": action.status, "next_action_ids": action.following}
        yield msgspec.json.encode({**action.members, "derived": values})


def messages_of(flow: HostRecord) -> Iterator[bytes]:
    """Yield the messages of a flow as resource objects, with their action and their position; each variation of an A/B test is one."""
    for position, action in enumerate(_in_order(_read(flow.included)), 1):
        found = {id_: message for message in _messages(action) if (id_ := _text(_loaded(_object(message.raw).get("id")))) is not None}
        for id_, message in found.items():
            where = {"flow_id": flow.id, "flow_action_id": action.id, "position": position, "status": action.status}
            values = where | _values(message)
            yield msgspec.json.encode({"type": "flow-message", "id": id_, "attributes": {"definition": message.raw}, "derived": values})


def _values(message: _Message) -> dict[str, Any]:
    """Return the values of a message that have a column of their own; one of an unexpected type is only in the definition."""
    content = _object(message.raw)
    flags = {name: value if isinstance(value := _loaded(content.get(name)), bool) else None for name in _FLAGS}
    return {
        **{name: _text(_loaded(content.get(name))) for name in _TEXT_MEMBERS},
        **flags,
        "channel": _CHANNELS.get(message.action_type or ""),
        "is_variation": message.is_variation,
        "experiment_id": _text(_loaded(message.experiment.get("id"))),
        "experiment_name": _text(_loaded(message.experiment.get("name"))),
    }


def _messages(action: FlowAction) -> Iterator[_Message]:
    """Yield the messages of an action: its own, or those of its A/B test. The last of two with the same id counts, which is the variation."""
    if "message" in action.data:
        yield _Message(action.data["message"], action.type)
    experiment = _object(action.data.get("current_experiment"))
    if "main_action" in action.data:
        yield from _messages_of_part(action.data["main_action"], experiment, is_variation=False)
    for variation in _parts(experiment.get("variations")):
        yield from _messages_of_part(variation, experiment, is_variation=True)


def _messages_of_part(raw: Raw, experiment: Mapping[str, Raw], *, is_variation: bool) -> Iterator[_Message]:
    part = _object(raw)
    data = _object(part.get("data"))
    if "message" in data:
        yield _Message(data["message"], _text(_loaded(part.get("type"))), is_variation, experiment)


def _read(included: Sequence[bytes]) -> list[FlowAction]:
    found = []
    for raw in included:
        members = _object(raw)
        definition = _object(_object(members.get("attributes")).get("definition"))
        found.append(FlowAction(_text(_loaded(members["id"])) or "", members, definition, _object(definition.get("data"))))
    return found


def _in_order(actions: Sequence[FlowAction]) -> list[FlowAction]:
    """Sort actions so that each comes after those that lead to it, and the first branch before the next ones; loops are cut.

    It is the reverse of the order in which a depth-first search leaves the actions, if it takes the branches from the last one on.
    """
    by_id = {action.id: action for action in actions}
    targets = {id_ for action in actions for id_ in action.following}
    # Actions that nothing leads to come first; ids grow with time. The others are here for loops that no action leads into.
    starts = sorted(by_id, key=lambda id_: (id_ in targets, len(id_), id_))
    left: list[FlowAction] = []
    entered: set[str] = set()
    for start in reversed([id_ for id_ in starts if id_ not in targets]):
        _leave(start, by_id, entered, left)
    loops: list[FlowAction] = []
    for start in [id_ for id_ in starts if id_ in targets]:
        part: list[FlowAction] = []
        _leave(start, by_id, entered, part)
        loops += reversed(part)
    return [*reversed(left), *loops]


def _leave(start: str, by_id: Mapping[str, FlowAction], entered: set[str], left: list[FlowAction]) -> None:
    """Append the actions that a depth-first search from ``start`` enters, in the order in which it leaves them."""
    stack = [(start, False)]
    while stack:
        id_, done = stack.pop()
        if done:
            left.append(by_id[id_])
        elif id_ in by_id and id_ not in entered:
            entered.add(id_)
            # The stack is last in, first out: the last branch is searched first, and left first.
            stack += [(id_, True), *((following, False) for following in by_id[id_].following)]


def _ids_in(value: Any) -> Iterator[str]:
    """Yield the texts and numbers in a value, at any depth."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _ids_in(one)
    elif isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        yield str(value)


def _parts(raw: Raw | None) -> list[Raw]:
    try:
        return msgspec.json.decode(raw, type=list[Raw] | None) or [] if raw is not None else []
    except msgspec.ValidationError:
        return []


def _object(raw: Raw | bytes | None) -> dict[str, Raw]:
    """Return the members of an object; none for any other value."""
    try:
        return msgspec.json.decode(raw, type=dict[str, Raw] | None) or {} if raw is not None else {}
    except msgspec.ValidationError:
        return {}


def _loaded(raw: Raw | None) -> Any:
    """Return a value; None if it has a number that Python's floats cannot hold."""
    try:
        return msgspec.json.decode(raw) if raw is not None else None
    except msgspec.ValidationError:
        return None


def _text(value: Any) -> str | None:
    """Return a text, a number as text, and None for any other value."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return value if isinstance(value, str) else str(value)
