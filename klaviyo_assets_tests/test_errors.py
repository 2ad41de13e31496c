"""All errors that users see derive from one root; the module docstring shows the tree."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import pytest

import klaviyo_assets
from klaviyo_assets import KlaviyoAssetsError, errors
from klaviyo_assets.api import klaviyo_errors as api_errors
from klaviyo_assets.api.klaviyo_errors import KlaviyoError
from klaviyo_assets.errors import SyncError
from klaviyo_assets.settings.options import InvalidSetting
from klaviyo_assets.validation import InvalidDefinition

INTERNAL = {
    "klaviyo_assets._internal.cancellation.Interrupted": "ends a thread whose task was cancelled; the task itself raises CancelledError",
    "klaviyo_assets.api.base_url.InvalidBaseUrl": "the callers add the name of the setting and raise an error of the tree",
    "klaviyo_assets.api.base_url.PlainHttp": "as InvalidBaseUrl",
    "klaviyo_assets.extract.fetcher._Divided": "the fetcher puts the parts in the queue in place of the slice",
    "klaviyo_assets.extract.feed.HostNotRead": "the reader of the included records requests the host itself",
    "klaviyo_assets.marts.dependencies.SqlMistake": "the library of models raises InvalidModel from it, with the file",
    "klaviyo_assets.decode.malformed.UnreadablePage": "the client raises InvalidResponse from it",
}
"""Exceptions that no user sees, and what happens to them."""


def exceptions() -> Iterator[type[BaseException]]:
    """Yield each exception class that a module of the package defines; the sandbox is a separate server."""
    for module in pkgutil.walk_packages(klaviyo_assets.__path__, "klaviyo_assets."):
        if module.name.endswith(("__main__", "definitions")) or module.name.startswith("klaviyo_assets.sandbox"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            is_class = inspect.isclass(value) and issubclass(value, Exception) and not issubclass(value, Warning)
            if is_class and value.__module__ == module.name:
                yield value


def test_every_error_derives_from_the_root() -> None:
    found = {f"{one.__module__}.{one.__qualname__}": one for one in exceptions()}

    assert len(found) > 30
    outside = {name for name, one in found.items() if not issubclass(one, KlaviyoAssetsError)}
    assert outside == set(INTERNAL)


def drawn_parents(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield each class of a tree that a docstring draws by indentation, with the class above it."""
    above: list[tuple[int, str]] = []
    for line in docstring.partition("::\n\n")[2].splitlines():
        indent, name = len(line) - len(line.lstrip()), line.split()[0]
        above = [one for one in above if one[0] < indent]
        if above:
            yield name, above[-1][1]
        above.append((indent, name))


@pytest.mark.parametrize(
    ("tree", "root", "others"), [(errors, KlaviyoAssetsError, KlaviyoError), (api_errors, KlaviyoError, None)], ids=["all", "api"]
)
def test_the_tree_in_the_docstring_is_complete(tree: ModuleType, root: type, others: type | None) -> None:
    below = {one for one in exceptions() if issubclass(one, root) and one is not root}

    expected = {(one.__name__, one.__bases__[0].__name__) for one in below if one is others or others is None or not issubclass(one, others)}
    assert set(drawn_parents(tree.__doc__ or "")) == expected


def test_an_error_has_a_summary_and_an_advice() -> None:
    error = SyncError("It broke.", "Fix it.")

    assert (error.summary, error.advice, str(error)) == ("It broke.", "Fix it.", "It broke. What to do: Fix it.")


def test_texts_contain_neither_keys_nor_control_characters() -> None:
    error = KlaviyoAssetsError("The key is pk_0123456789abcdef.\x1b[2J", "Remove pk_0123456789abcdef\n.")

    assert str(error) == "The key is pk_***.\\x1b[2J What to do: Remove pk_***\\n."


@pytest.mark.parametrize("kind", [InvalidSetting, InvalidDefinition])
def test_errors_for_invalid_values_are_value_errors(kind: type[KlaviyoAssetsError]) -> None:
    assert issubclass(kind, ValueError)
    assert str(kind("KLAVIYO_TIMEOUT must be a number.")) == "KLAVIYO_TIMEOUT must be a number."
