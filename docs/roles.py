"""For the API reference: the references in docstrings (``:func:`~klaviyo_assets.build_klaviyo_marts```) as links.

A public name that the page of the reference does not have fails the build. What is internal is shown as code, without a link.
"""

import re
from collections.abc import Container
from typing import Any

import griffe

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(?P<short>~?)(?P<target>[^`]+)`")
_CODE = re.compile(r"``([^`]+)``")


class Roles(griffe.Extension):
    """Rewrites the docstrings of all objects before they are parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one object's docstring."""
        if obj.docstring is not None:
            public = {str(name) for name in obj.package.exports or ()}
            obj.docstring.value = with_links(obj.docstring.value, {f"{obj.package.name}.{name}" for name in public})


def with_links(text: str, public: Container[str]) -> str:
    """Return a docstring with Markdown in place of reStructuredText.

    Args:
        text: The docstring.
        public: The names that the reference has.

    Example:
        >>> with_links("see :func:`~package.build`, or ``None``", {"package.build"})
        'see [`build`][package.build], or `None`'
    """
    return _CODE.sub(r"`\1`", _ROLE.sub(lambda role: _link(role, public), text))


def _link(role: re.Match[str], public: Container[str]) -> str:
    target = role["target"]
    name = target.rpartition(".")[2] if role["short"] else target
    return f"[`{name}`][{target}]" if target in public else f"`{name}`"
