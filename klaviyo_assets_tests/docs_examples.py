"""The examples of code in docs/extending.md, as modules. The sandbox can serve the resource types of one: ``--catalog``."""

import re
from pathlib import Path
from types import ModuleType

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
OWN_TYPES = "Resource types of your own"


def example(heading: str) -> ModuleType:
    """Return the code below a heading as a module."""
    _, _, below = PAGE.read_text().partition(f"# {heading}\n")
    (code,) = re.findall(r"```python\n(.*?)```", re.split(r"\n##+ ", below)[0], re.DOTALL)
    module = ModuleType("example")
    exec(compile(code, f"{PAGE}: {heading}", "exec"), module.__dict__)
    return module


def __getattr__(name: str) -> object:
    """Return a constant of the example with resource types, such as ``MINE``. Other names, which pytest looks for in every object, do not run it."""
    if not name.isupper():
        raise AttributeError(name)
    return getattr(example(OWN_TYPES), name)
