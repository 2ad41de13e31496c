"""One test for a cheap fact of every resource type. One test per type would cost more time for collecting and reporting than for the facts."""

import inspect
from collections.abc import Callable, Iterable
from typing import Concatenate, ParamSpec, TypeVar

from klaviyo_assets.catalog.resource_type import ResourceType

C = TypeVar("C", bound=ResourceType | str)
P = ParamSpec("P")


def each(cases: Iterable[C]) -> Callable[[Callable[Concatenate[C, P], None]], Callable[P, None]]:
    """Return a decorator that makes a test of one resource type a test of all given ones.

    The test runs for every type even after a failure. It fails with all errors, each with a note that names its type.

    Args:
        cases: Resource types, or their names: the first argument of the decorated test. Further arguments are fixtures, which all types share.

    Example:
        >>> @each(CATALOG.values())
        ... def test_it_has_columns(entry: ResourceType) -> None:
        ...     assert entry.columns
    """
    chosen = list(cases)
    assert chosen, "a test of no type cannot fail"

    def decorate(test: Callable[Concatenate[C, P], None]) -> Callable[P, None]:
        def test_all(*args: P.args, **fixtures: P.kwargs) -> None:
            errors = {}
            for case in chosen:
                name = case if isinstance(case, str) else case.name
                try:
                    test(case, *args, **fixtures)
                except Exception as error:
                    error.add_note(f"Resource type: {name}")
                    errors[name] = error
            if errors:
                raise ExceptionGroup(f"{test.__name__} fails for {', '.join(errors)}", [*errors.values()])

        # Not functools.wraps: pytest would look for a fixture that provides the resource type.
        test_all.__name__, test_all.__qualname__, test_all.__doc__, test_all.__module__ = (
            test.__name__,
            test.__qualname__,
            test.__doc__,
            test.__module__,
        )
        signature = inspect.signature(test)
        _, *fixtures = signature.parameters.values()
        vars(test_all)["__signature__"] = signature.replace(parameters=fixtures)
        return test_all

    return decorate
