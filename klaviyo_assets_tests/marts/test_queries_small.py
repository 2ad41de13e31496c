"""Every query of docs/queries.md runs, on every major version of DuckDB."""

import duckdb
import pytest

from klaviyo_assets_tests.marts.conftest import Rows
from klaviyo_assets_tests.marts.questions import QUESTIONS

pytestmark = pytest.mark.duckdb


def test_there_are_27_questions() -> None:
    assert {int(number.rstrip("b")) for number in QUESTIONS} == {*range(1, 28)}


@pytest.mark.long
def test_every_query_runs(rows: Rows) -> None:
    failed = {}
    for number, sql in QUESTIONS.items():
        try:
            rows(sql)
        except duckdb.Error as error:
            failed[number] = str(error)

    assert failed == {}
