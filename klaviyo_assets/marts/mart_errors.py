"""Errors of the marts. Each names the file and, where it is known, the line."""

from pathlib import Path

from klaviyo_assets.errors import KlaviyoAssetsError

SOURCE_ADVICE = "Check the source that the model reads, then materialize the model again. Until then, its table stays as the last run built it."
"""What to do if a file or a server that a model reads fails, or an extension for it is missing."""


class MartError(KlaviyoAssetsError):
    """A model of the marts cannot be built."""


class InvalidModel(MartError):
    """A file is not a model: its header or its SQL has a mistake.

    Args:
        path: The file.
        line: Line of the mistake, from 1 on; None if it is not known.
        what: What is wrong, as a sentence.
        advice: What to do.
    """

    def __init__(self, path: Path, line: int | None, what: str, advice: str = "") -> None:
        self.path, self.line = path, line
        super().__init__(f"{place(path, line)}: {what}", advice or "Correct the file, then materialize the model again.")


class ModelFailed(MartError):
    """DuckDB could not build a model, although its SQL can be parsed.

    Args:
        path: The file.
        line: Line of the mistake; None if DuckDB names none.
        what: DuckDB's message.
        advice: What to do, if the SQL is not to blame.
    """

    advice = "Correct the SQL, then materialize the model again. Until then, its table stays as the last run built it."

    def __init__(self, path: Path, line: int | None, what: str, advice: str = "") -> None:
        self.path, self.line = path, line
        super().__init__(f"{place(path, line)}: {what}", advice)


class ModelSkipped(MartError):
    """A model was not built, because one that it needs was not.

    Args:
        model: Its name.
        failed: Names of the models that it needs and that failed or do not exist.
    """

    def __init__(self, model: str, failed: list[str]) -> None:
        super().__init__(f"{model} was not built: it needs {', '.join(failed)}.", f"Materialize {', '.join(failed)} first.")


class FolderMissing(MartError):
    """A folder of models does not exist."""


def place(path: Path, line: int | None) -> str:
    """Return what messages call a place in a file.

    Example:
        >>> place(Path("marts/orders.sql"), 3)
        'marts/orders.sql, line 3'
    """
    return f"{path}, line {line}" if line is not None else str(path)
