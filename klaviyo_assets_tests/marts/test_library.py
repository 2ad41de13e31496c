from pathlib import Path

import pytest

from klaviyo_assets.marts.library import PACKAGED, read_models
from klaviyo_assets.marts.mart_errors import FolderMissing, MartError
from klaviyo_assets_tests.marts.folders import own_models, write_model


def test_each_model_comes_after_those_that_it_reads(tmp_path: Path) -> None:
    write_model(tmp_path, "a", "FROM b JOIN live_events ON true")
    write_model(tmp_path, "b", "WITH a AS (FROM c) FROM a")
    write_model(tmp_path, "c", "FROM profiles")
    models = own_models(tmp_path)

    assert [*models] == ["c", "b", "a"]
    assert models.with_needed(["b"]) == ["c", "b"]
    assert models["a"].sources == {"b", "live_events"}
    with pytest.raises(MartError, match="There is no model z"):
        models.with_needed(["z"])


def test_models_in_a_circle_have_a_problem_and_others_do_not(tmp_path: Path) -> None:
    for name, reads in {"a": "b", "b": "a", "c": "profiles", "d": "a"}.items():
        write_model(tmp_path, name, f"FROM {reads}")
    models = own_models(tmp_path)

    assert {name for name in models if models[name].problem} == {"a", "b"}
    assert "a and b read each other" in str(models["a"].problem)


def test_a_users_file_replaces_or_adds_a_model(tmp_path: Path) -> None:
    write_model(tmp_path / "first", "dim_metric", "SELECT 1 AS id")
    replaced = write_model(tmp_path / "second", "dim_metric", "SELECT 2 AS id")
    added = write_model(tmp_path / "second", "mine", "FROM dim_metric")
    models = read_models([tmp_path / "first", tmp_path / "second"])

    assert (models["dim_metric"].path, models["dim_metric"].is_packaged) == (replaced, False)
    assert models["mine"].path == added
    assert models["metric_roles"].is_packaged


@pytest.mark.parametrize(
    ("name", "sql", "problem"),
    [
        ("events", "SELECT 1 AS id", "events.sql: events is already the name of a table or view"),
        ("live_events", "SELECT 1 AS id", "live_events.sql: live_events is already the name"),
        ("With-Dash", "SELECT 1 AS id", "'With-Dash' cannot be the name of a model"),
        ("selfish", "FROM selfish", "selfish.sql: The model reads itself."),
        ("broken", "SELECT 1 AS id\nFORM x", "broken.sql, line 5: DuckDB cannot parse it: syntax error"),
    ],
)
def test_a_mistake_is_the_problem_of_its_model(tmp_path: Path, name: str, sql: str, problem: str) -> None:
    write_model(tmp_path, name, sql)
    write_model(tmp_path, "other", "SELECT 1 AS id")
    models = own_models(tmp_path)

    assert problem in str(models[name.lower()].problem)
    assert models["other"].problem is None


def test_a_mistake_in_a_query_of_the_header_is_a_problem(tmp_path: Path) -> None:
    write_model(tmp_path, "a", "SELECT 1 AS id", header="-- metadata rows: count(*\n")

    assert "a.sql, line 3: DuckDB cannot parse it" in str(own_models(tmp_path)["a"].problem)


def test_an_incremental_model_reads_events_as_the_engine_shows_them(tmp_path: Path) -> None:
    write_model(tmp_path, "a", "FROM events", header="-- incremental: day\n-- column day: Day.\n")
    write_model(tmp_path, "b", "FROM live_events", header="-- incremental: profile_id\n")
    models = own_models(tmp_path)

    assert "reads live_events" in str(models["a"].problem)
    assert "incremental by profile_id, but has no such column" in str(models["b"].problem)


def test_a_file_that_cannot_be_read_is_the_problem_of_its_model(tmp_path: Path) -> None:
    latin = write_model(tmp_path, "latin", "SELECT 1 AS id")
    latin.write_bytes(latin.read_bytes() + "-- Größe".encode("latin-1"))
    (tmp_path / "folder.sql").mkdir()
    write_model(tmp_path, "other", "SELECT 1 AS id")
    models = own_models(tmp_path)

    for name in ("latin", "folder"):
        problem = models[name].problem
        assert problem is not None
        assert problem.summary.startswith(f"{tmp_path / name}.sql: The file cannot be read (")
        assert problem.advice == "Write it as UTF-8, readable for this process."
    assert models["other"].problem is None


def test_a_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(FolderMissing, match="does not exist"):
        read_models([tmp_path / "missing"])


def test_packaged_models_have_no_problem() -> None:
    models = read_models()

    assert {*models} == {path.stem for path in PACKAGED.glob("*.sql")}
    assert {name: str(model.problem) for name, model in models.items() if model.problem} == {}
