"""The blocks of Python and YAML that no test here runs, each with the reason. For shell commands, ``test_commands.py`` has a list.

A test fails if one of them does not exist any more, or could be left out."""

from typing import NamedTuple


class NotRun(NamedTuple):
    """A block that is not run.

    Args:
        page: The page's path in the repository.
        text: A text that only this block of the page has.
        reason: Why.
    """

    page: str
    text: str
    reason: str


DBT = "test_docs_dbt.py runs it where dbt-duckdb and dagster-dbt are installed"
DBT_PACKAGE = "test_dbt_klaviyo.py runs it where DBT names a dbt, as make dbt-klaviyo does"

NOT_RUN = [
    NotRun("docs/deployment.md", "dagster-daemon", "needs Docker; test_deployment.py runs its commands and compares its paths"),
    NotRun("docs/deployment.md", "K8sRunLauncher", "needs a cluster"),
    NotRun("docs/dbt.md", "read_only: true", DBT),
    NotRun("docs/dbt.md", "package: fivetran/klaviyo", DBT_PACKAGE),
    NotRun("docs/dbt.md", "profile: shop", DBT),
    NotRun("docs/dbt.md", "klaviyo__event_pass_through_columns", DBT_PACKAGE),
    NotRun("docs/dbt.md", "asset_key", DBT),
    NotRun("docs/dbt.md", "@dbt_assets", DBT),
]
