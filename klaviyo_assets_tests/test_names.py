"""Each module, class, type, constant and public function of the package has a name of its own, so that a name says which one is meant.

Private constants may share a name if they have the same value.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import klaviyo_assets

PACKAGE = Path(klaviyo_assets.__file__).parent
SANDBOX = PACKAGE / "sandbox"
"""A program of its own, with names of its own: it imports the catalog only, and only the command line imports it."""

MODULES = sorted(path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(SANDBOX))

NAMED_BY_PYTHON = {"__init__", "__main__"}
"""Python prescribes these names: a folder's own module, and what ``python -m`` runs."""

PARTS_OF_DOCUMENTS = {"_Accounts", "_Attributes", "_Data", "_Document"}
"""Private structs, each with the members of Klaviyo's documents that its module decodes; they are named after JSON:API's members."""

PARTS_OF_RESOURCE_TYPES = {"_PATH"}
"""Private constants that mean the same in each module of a resource type: the path at which Klaviyo has it."""


def test_no_two_modules_share_a_name() -> None:
    named = [(path.stem, path) for path in MODULES if path.stem not in NAMED_BY_PYTHON]
    assert len(named) > 200
    assert shared(named) == {}


def test_no_two_classes_types_or_constants_share_a_name() -> None:
    defined = [(name, path) for path in MODULES for name in definitions(path.read_text())]
    assert len(defined) > 400
    assert shared(defined) == {}


def test_no_two_public_functions_share_a_name() -> None:
    public = [(name, path) for path in MODULES for name in functions(path.read_text()) if not name.startswith("_")]
    assert len(public) > 400
    assert shared(public) == {}


def test_no_private_class_has_two_meanings() -> None:
    private = [(name, path) for path in MODULES for name in classes(path.read_text()) if name.startswith("_")]
    assert len(private) > 50
    assert shared(private).keys() == PARTS_OF_DOCUMENTS


def test_no_private_constant_or_type_has_two_meanings() -> None:
    private = [(name, value, path) for path in MODULES for name, value in private_constants(path.read_text())]
    assert len(private) > 400
    values: dict[str, set[str]] = defaultdict(set)
    for name, value, _ in private:
        values[name].add(value)
    different = {name: files for name, files in shared((name, path) for name, _, path in private).items() if len(values[name]) > 1}
    of_types = {name for name, files in different.items() if all(file.startswith("catalog/types/") for file in files)}
    assert of_types == PARTS_OF_RESOURCE_TYPES
    assert {name: files for name, files in different.items() if name not in of_types} == {}


def test_the_names_that_a_module_defines_are_found() -> None:
    text = """
from somewhere import Other
class Found: inner: int = 1
class _Private: ...
LIMIT: int = 3
_LEAST, _MOST = 1, 2
_BOTH = _SAME = (1,  2)
_Alias: TypeAlias = "list[int]"
_P = ParamSpec("_P")
_log = None
Alias = dict[str, int]
P = TypeVar("P")
__all__ = ["Found"]
def function(): LOCAL = 1
async def _waits():
    def inner(): ...
"""
    assert list(definitions(text)) == ["Found", "LIMIT", "Alias"]
    assert list(classes(text)) == ["Found", "_Private"]
    assert list(private_constants(text)) == [
        ("_LEAST", "1"),
        ("_MOST", "2"),
        ("_BOTH", "(1, 2)"),
        ("_SAME", "(1, 2)"),
        ("_Alias", "'list[int]'"),
    ]
    assert functions(text) == ["function", "_waits"]


def definitions(text: str) -> Iterator[str]:
    """Yield the public classes, types and constants that a module defines at its top level."""
    for statement in ast.parse(text).body:
        match statement:
            case ast.ClassDef(name=name):
                names = [name]
            case ast.AnnAssign(target=ast.Name(id=name)):
                names = [name]
            case ast.Assign(targets=targets, value=value) if not is_type_variable(value):
                names = [target.id for target in targets if isinstance(target, ast.Name)]
            case _:
                names = []
        yield from (name for name in names if name[0].isupper())


def classes(text: str) -> list[str]:
    """Return the classes that a module defines at its top level."""
    return [statement.name for statement in ast.parse(text).body if isinstance(statement, ast.ClassDef)]


def private_constants(text: str) -> Iterator[tuple[str, str]]:
    """Yield the private constants and types that a module defines at its top level, with the source of their values."""
    for statement in ast.parse(text).body:
        match statement:
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                assigned = [(target, value)]
            case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)):
                assigned = list(zip(targets, values, strict=True))
            case ast.Assign(targets=targets, value=value) if not is_type_variable(value):
                assigned = [(target, value) for target in targets]
            case _:
                assigned = []
        names = ((target.id, ast.unparse(value)) for target, value in assigned if isinstance(target, ast.Name))
        yield from ((name, value) for name, value in names if name[0] == "_" and name[1:2].isupper())


def functions(text: str) -> list[str]:
    """Return the functions that a module defines at its top level."""
    return [statement.name for statement in ast.parse(text).body if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)]


def is_type_variable(value: ast.expr) -> bool:
    """Return whether an expression declares a type variable, which means something in its module only."""
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in {"ParamSpec", "TypeVar"}


def shared(named: Iterable[tuple[str, Path]]) -> dict[str, list[str]]:
    """Return the files by each name that several of them have."""
    files: dict[str, list[str]] = defaultdict(list)
    for name, path in named:
        files[name].append(str(path.relative_to(PACKAGE)))
    return {name: found for name, found in files.items() if len(found) > 1}
