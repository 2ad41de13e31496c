"""Dagster's UI without a browser: reads the launchpad's initial run config over GraphQL, and launches a run with it."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

import dagster as dg
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._utils.hosted_user_process import recon_job_from_origin
from dagster_graphql.schema import create_schema

LOCATION = "tests"

_schema = cache(create_schema)

_SETTINGS = """
telemetry: {enabled: false}
run_coordinator: {module: dagster._core.run_coordinator, class: DefaultRunCoordinator}
run_launcher: {module: dagster._core.test_utils, class: MockedRunLauncher}
"""
_JOBS = """query {
  repositoriesOrError { ... on RepositoryConnection { nodes { name jobs { name } } } }
}"""
_LAUNCHPAD = """query ($selector: PipelineSelector!) {
  pipelineOrError(params: $selector) { ... on Pipeline { presets { runConfigYaml } } }
  runConfigSchemaOrError(selector: $selector) {
    __typename
    ... on RunConfigSchema { rootDefaultYaml }
    ... on PythonError { message }
  }
}"""
_LAUNCH = """mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message stack }
  }
}"""


@dataclass(frozen=True)
class _File(WorkspaceLoadTarget):
    """A Python file, loaded in this process, as ``dagster dev -f`` loads it in another."""

    path: Path

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        target = LoadableTargetOrigin(python_file=str(self.path), working_directory=str(self.path.parent))
        return [InProcessCodeLocationOrigin(target, location_name=LOCATION)]


@dataclass(frozen=True)
class Launchpad:
    """The launchpad of a code location.

    Args:
        context: Dagster's workspace.
    """

    context: WorkspaceRequestContext

    @property
    def jobs(self) -> list[str]:
        """Names of all jobs, with the hidden one of the button *Materialize all*."""
        (repository,) = self._ask(_JOBS)["repositoriesOrError"]["nodes"]
        return [job["name"] for job in repository["jobs"]]

    def shown(self, job: str, assets: Sequence[dg.AssetKey] = ()) -> str:
        """Return the run config that the launchpad of a job shows at first: that of the job's definition, or GraphQL's ``rootDefaultYaml``.

        Args:
            job: Its name.
            assets: Keys of the selected assets, if it is for a part of its assets.
        """
        answer = self._ask(_LAUNCHPAD, selector=_selector(job, assets))
        if presets := answer["pipelineOrError"]["presets"]:
            (preset,) = presets
            return cast("str", preset["runConfigYaml"])
        found = answer["runConfigSchemaOrError"]
        assert found["__typename"] == "RunConfigSchema", found
        return cast("str", found["rootDefaultYaml"])

    def launch(self, job: str, run_config: str, assets: Sequence[dg.AssetKey] = ()) -> dg.DagsterRun:
        """Launch a run with this run config (YAML), execute it in this process, and return it."""
        params = {"selector": _selector(job, assets), "runConfigData": run_config, "mode": "default"}
        found = self._ask(_LAUNCH, params=params)["launchRun"]
        assert found["__typename"] == "LaunchRunSuccess", found
        # Not executed by the launcher: that would be inside the event loop of the mutation.
        launched = self._run(found["run"]["runId"])
        assert launched.job_code_origin is not None
        execute_run(recon_job_from_origin(launched.job_code_origin), launched, self.context.instance)
        return self._run(launched.run_id)

    def _run(self, run_id: str) -> dg.DagsterRun:
        run = self.context.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def _ask(self, query: str, **variables: Any) -> Mapping[str, Any]:
        result = asyncio.run(_schema().execute_async(query, context_value=self.context, variable_values=variables))
        self.context.loaders.clear()
        assert not result.errors, result.errors
        assert result.data is not None
        return cast("Mapping[str, Any]", result.data)


def _selector(job: str, assets: Sequence[dg.AssetKey]) -> dict[str, Any]:
    selection = {"assetSelection": [{"path": key.path} for key in assets], "assetCheckSelection": None} if assets else {}
    return {"repositoryLocationName": LOCATION, "repositoryName": "__repository__", "pipelineName": job, **selection}


@contextmanager
def launchpad_of_file(path: Path, home: Path) -> Iterator[Launchpad]:
    """Open the launchpad of a code location's Python file.

    Args:
        path: The file.
        home: Folder of the Dagster instance; created.
    """
    home.mkdir()
    (home / "dagster.yaml").write_text(_SETTINGS)
    with dg.DagsterInstance.from_config(str(home)) as instance, WorkspaceProcessContext(instance, _File(path), version="") as workspace:
        yield Launchpad(workspace.create_request_context())
