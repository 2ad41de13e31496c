"""Finds the resource types in the modules of ``catalog/types/``."""

import importlib
import pkgutil
from collections.abc import Iterator

from klaviyo_assets.catalog import types
from klaviyo_assets.catalog.resource_type import ResourceType


def discover() -> Iterator[ResourceType]:
    """Yield each resource type that a module of ``catalog/types/`` defines, module by module, without duplicates."""
    seen: set[int] = set()
    for module in sorted(one.name for one in pkgutil.iter_modules(types.__path__)):
        for value in vars(importlib.import_module(f"{types.__name__}.{module}")).values():
            if isinstance(value, ResourceType) and id(value) not in seen:
                seen.add(id(value))
                yield value
