"""The order of a flow's actions and the messages that they send follow from the definitions of the actions."""

import json
from typing import Any

import pytest

from klaviyo_assets.catalog.flow_definitions import actions_of, messages_of
from klaviyo_assets.catalog.resource_type import HostRecord


def action(id_: Any, kind: str = "time-delay", data: Any = None, links: Any = None) -> dict[str, Any]:
    definition = {"id": id_, "type": kind, "data": data if data is not None else {}, "links": links}
    return {"type": "flow-action", "id": id_, "attributes": {"definition": definition}}


def flow(*actions: dict[str, Any]) -> HostRecord:
    return HostRecord("T6EyQF", [json.dumps(one).encode() for one in actions])


def positions(*actions: dict[str, Any]) -> dict[str, int]:
    return {str(one["id"]): one["derived"]["position"] for one in map(json.loads, actions_of(flow(*actions)))}


def messages(*actions: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["id"]: one["derived"] for one in map(json.loads, messages_of(flow(*actions)))}


def test_the_order_is_that_of_the_links_and_not_that_of_the_response() -> None:
    assert positions(action("3", links={"next": None}), action("2", links={"next": "3"}), action("1", links={"next": "2"})) == {
        "1": 1,
        "2": 2,
        "3": 3,
    }


def test_ids_can_be_numbers() -> None:
    assert positions(action(30, links={"next": None}), action(2, links={"next": 30})) == {"2": 1, "30": 2}


def test_the_first_branch_comes_first_and_what_follows_both_comes_last() -> None:
    actions = (
        action("9", links={"next": None}),
        action("1", "conditional-split", links={"next_if_true": "5", "next_if_false": "2"}),
        action("2", links={"next": "9"}),
        action("5", links={"next": "6"}),
        action("6", links={"next": "9"}),
    )

    assert positions(*actions) == {"1": 1, "5": 2, "6": 3, "2": 4, "9": 5}
    (split,) = (one for one in map(json.loads, actions_of(flow(*actions))) if one["id"] == "1")
    assert split["derived"]["next_action_ids"] == ["5", "2"]


def test_branches_of_several_ways_are_followed() -> None:
    branches = {"branches": [{"branch_id": "x", "links": {"next": "7"}}, {"branch_id": "y", "links": {"next": "4"}}]}

    assert positions(action("4"), action("7"), action("1", "multi-branch-split", branches)) == {"1": 1, "7": 2, "4": 3}


def test_loops_and_unknown_actions_do_not_matter() -> None:
    assert positions(action("1", links={"next": "2"}), action("2", links={"next": "1"}), action("3", links={"next": "gone"})) == {
        "3": 1,
        "1": 2,
        "2": 3,
    }


def test_a_long_flow_is_no_problem() -> None:
    found = positions(*(action(str(number), links={"next": str(number + 1)}) for number in range(3000, 0, -1)))

    assert found == {str(number): number for number in range(1, 3001)}


def test_definitions_of_an_unexpected_form_have_no_type_and_no_messages() -> None:
    odd = [{"type": "flow-action", "id": "1", "attributes": {"definition": value}} for value in (None, "text", [], {"data": [], "links": "x"})]
    for number, one in enumerate(odd):
        assert positions(one | {"id": str(number)}) == {str(number): 1}
        assert messages(one) == {}


@pytest.mark.parametrize("message", ["text", ["text"], 7, True, None, {}, {"id": None}, {"id": True}], ids=str)
def test_a_message_of_an_unexpected_form_is_left_out_and_the_others_are_found(message: Any) -> None:
    part = {"type": "send-sms", "data": {"message": message}}
    sound = {"type": "send-sms", "data": {"message": {"id": "b"}}}
    test = {"main_action": part, "current_experiment": {"id": 77, "variations": [part, 7, sound]}}
    odd, after = action("1", "send-email", {"message": message}, {"next": "2"}), action("2", "ab-test", test)

    assert positions(odd, after) == {"1": 1, "2": 2}
    found = messages(odd, after)
    assert {id_: (one["position"], one["experiment_id"]) for id_, one in found.items()} == {"b": (2, "77")}


@pytest.mark.parametrize("experiment", [None, "text", [], {"variations": None}, {"variations": "text"}, {"variations": {"1": "text"}}], ids=str)
def test_an_experiment_of_an_unexpected_form_leaves_the_message_of_the_action(experiment: Any) -> None:
    part = {"type": "send-email", "data": {"message": {"id": "m"}}}

    found = messages(action("1", "ab-test", {"main_action": part, "current_experiment": experiment}))

    assert {id_: (one["is_variation"], one["experiment_id"]) for id_, one in found.items()} == {"m": (False, None)}


def test_a_number_that_is_too_large_for_python_leaves_the_rest() -> None:
    """JSON has no largest number."""
    definition = b'{"id":"1","type":"send-sms","data":{"status":1e999,"message":{"id":"m","name":"Hi","template_id":1e999}},"links":{"next":1e999}}'
    of_flow = HostRecord("f", [b'{"type":"flow-action","id":"1","attributes":{"definition":' + definition + b"}}"])

    (found,) = (json.loads(one)["derived"] for one in actions_of(of_flow))
    assert found == {"position": 1, "action_type": "send-sms", "status": None, "next_action_ids": []}
    (message,) = (json.loads(one)["derived"] for one in messages_of(of_flow))
    assert (message["name"], message["template_id"], message["channel"]) == ("Hi", None, "sms")


def test_each_arm_of_a_test_is_a_message() -> None:
    def part(id_: Any, name: str) -> dict[str, Any]:
        return {"type": "send-sms", "data": {"message": {"id": id_, "name": name, "body": "x", "smart_sending_enabled": "odd"}, "status": "draft"}}

    experiment = {"id": 77, "name": "Subjects", "variations": [part("a", "A"), part(12, "B")]}
    test = action("1", "ab-test", {"status": "live", "main_action": part("a", "main"), "current_experiment": experiment}, {"next": "2"})
    mail = action(2, "send-email", {"message": {"id": "m", "subject_line": "Hi", "template_id": 5}, "status": "live"})

    found = messages(mail, test)

    assert set(found) == {"a", "12", "m"}
    assert {id_: (one["position"], one["flow_action_id"], one["is_variation"]) for id_, one in found.items()} == {
        "a": (1, "1", True),
        "12": (1, "1", True),
        "m": (2, "2", False),
    }
    assert (found["12"]["name"], found["12"]["channel"], found["12"]["status"]) == ("B", "sms", "live")
    assert (found["12"]["experiment_id"], found["12"]["experiment_name"], found["12"]["smart_sending_enabled"]) == ("77", "Subjects", None)
    assert (found["m"]["subject_line"], found["m"]["template_id"], found["m"]["flow_id"], found["m"]["experiment_id"]) == ("Hi", "5", "T6EyQF", None)


def test_a_message_is_kept_as_it_was_sent() -> None:
    raw = b'{"type":"flow-action","id":"1","attributes":{"definition":{"id":"1","type":"send-email","data":{"message":{"id":"m", "n":1.50,"n":2}}}}}'

    (message,) = messages_of(HostRecord("f", [raw]))

    assert b'"definition":{"id":"m", "n":1.50,"n":2}' in message
