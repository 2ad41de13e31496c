import pytest

from klaviyo_assets.marts.mart_errors import ModelSkipped
from klaviyo_assets.marts.results import CheckResult, ModelResult, Outcome


def result(*checks: CheckResult) -> ModelResult:
    return ModelResult("orders", Outcome.REBUILT, checks=checks)


def test_a_result_with_an_error_raises_it() -> None:
    error = ModelSkipped("orders", ["events"])

    with pytest.raises(ModelSkipped, match="orders was not built: it needs events"):
        ModelResult("orders", Outcome.SKIPPED, error=error).raise_if_failed()


def test_a_result_whose_checks_passed_or_warn_raises_nothing() -> None:
    result(CheckResult("unique_key", 0), CheckResult("late", 3, warns=True)).raise_if_failed()


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (CheckResult("unique_key", 2, examples=({"id": "1"},)), r"orders, check unique_key: 2 rows \[{'id': '1'}\]"),
        (CheckResult("late", None, warns=True, error="line 3: Binder Error"), "orders, check late: line 3: Binder Error"),
    ],
)
def test_a_result_with_a_failed_check_says_which_and_why(check: CheckResult, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        result(CheckResult("first", 0), check).raise_if_failed()
