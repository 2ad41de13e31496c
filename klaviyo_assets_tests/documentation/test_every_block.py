"""Every block of Python, shell commands or YAML in the docs is run by a test, or is in a list that says why not."""

import re

import pytest

from klaviyo_assets_tests.documentation.blocks import PAGES, RUN, SHOWN, Block, blocks
from klaviyo_assets_tests.documentation.not_run import NOT_RUN, NotRun
from klaviyo_assets_tests.documentation.test_commands import COMMANDS, commands_of
from klaviyo_assets_tests.documentation.test_commands import NOT_RUN as COMMANDS_NOT_RUN
from klaviyo_assets_tests.documentation.test_python_blocks import pages_with_python
from klaviyo_assets_tests.documentation.test_yaml_blocks import checker

_FENCED = re.compile(r"^( *)```.*?^\1```$", re.MULTILINE | re.DOTALL)


def excuses(block: Block) -> list[NotRun]:
    return [one for one in NOT_RUN if one.page == block.page and one.text in block.code]


def is_run(block: Block) -> bool:
    match block.language:
        case "python":
            return block.page in pages_with_python()
        case "bash":
            return all(command in {*COMMANDS, *COMMANDS_NOT_RUN} for command in commands_of(block))
        case _:
            return checker(block) is not None


@pytest.mark.parametrize("block", [block for block in blocks() if block.language in RUN], ids=lambda block: block.place)
def test_a_block_is_run_or_says_why_not(block: Block) -> None:
    if not excuses(block):
        assert is_run(block), f"{block.place}: no test runs it. Add it to a test in this folder, or to not_run.py with the reason."


@pytest.mark.parametrize("one", NOT_RUN, ids=lambda one: f"{one.page}: {one.text}")
def test_the_list_of_blocks_that_are_not_run_is_minimal(one: NotRun) -> None:
    found = [block for block in blocks() if block.language in RUN and block.page == one.page and one.text in block.code]

    assert len(found) == 1
    assert excuses(found[0]) == [one]
    assert len(one.reason) > 10
    assert found[0].language == "python" or not is_run(found[0])


def test_the_lists_of_commands_are_minimal() -> None:
    """Each command that a test runs, or that has a reason why none does, is in the docs."""
    assert {command for block in blocks("bash") for command in commands_of(block)} == {*COMMANDS, *COMMANDS_NOT_RUN}
    assert not {*COMMANDS} & {*COMMANDS_NOT_RUN}


def test_every_block_names_its_language() -> None:
    """Otherwise a command could hide in a block that no test looks at."""
    found = blocks()

    assert {block.language for block in found} >= {*RUN, *SHOWN}
    assert [block.place for block in found if block.language not in {*RUN, *SHOWN}] == []


def test_no_code_hides_in_indented_blocks() -> None:
    indented = re.compile(r"\n\n {4}(?:make|dg|dagster|klaviyo-assets|pip|python|import|from|docker|kubectl|mv|cd) ")

    assert [page.name for page in PAGES if indented.search(_FENCED.sub("", page.read_text()))] == []
