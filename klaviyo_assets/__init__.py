"""Klaviyo as Dagster assets.

These names are the public API. Each is loaded when it is first used, so importing the package stays fast.

Three submodules are public too, for code that extends the package:

- ``klaviyo_assets.catalog``: resource types of your own, their endpoints, columns, replications and parents;
- ``klaviyo_assets.extract.strategies``: strategies of your own, which decide what a sync reads;
- ``klaviyo_assets.warehouse``: a database of your own.

All else is internal and may change. A sync goes through ``sync`` (runs it), ``catalog`` (describes the type), ``extract`` (plans and reads, through
``api``), ``decode``, ``staging``, ``load`` and ``state``. ``assets`` defines the assets, and ``ops`` has what their ops do.
"""

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from klaviyo_assets._version import __version__

if TYPE_CHECKING:
    from klaviyo_assets.api.klaviyo_errors import KlaviyoError
    from klaviyo_assets.assets.mart_assets import build_klaviyo_marts
    from klaviyo_assets.assets.published_asset import build_klaviyo_published
    from klaviyo_assets.assets.resource_type_assets import build_klaviyo_assets
    from klaviyo_assets.build import build_klaviyo_checks, build_klaviyo_definitions
    from klaviyo_assets.catalog import CATALOG, Catalog
    from klaviyo_assets.component.component import KlaviyoComponent
    from klaviyo_assets.errors import KlaviyoAssetsError
    from klaviyo_assets.io_manager import KlaviyoFrameIOManager
    from klaviyo_assets.jobs import build_klaviyo_automation
    from klaviyo_assets.partitions import EventPartitions
    from klaviyo_assets.publish.target import PublishTarget
    from klaviyo_assets.resources import KlaviyoResource
    from klaviyo_assets.run_config import KlaviyoSyncConfig, SyncMode
    from klaviyo_assets.schedules import KlaviyoSchedules
    from klaviyo_assets.translator import KlaviyoTranslator
    from klaviyo_assets.validation import InvalidDefinition

__all__ = [
    "CATALOG",
    "Catalog",
    "EventPartitions",
    "InvalidDefinition",
    "KlaviyoAssetsError",
    "KlaviyoComponent",
    "KlaviyoError",
    "KlaviyoFrameIOManager",
    "KlaviyoResource",
    "KlaviyoSchedules",
    "KlaviyoSyncConfig",
    "KlaviyoTranslator",
    "PublishTarget",
    "SyncMode",
    "__version__",
    "build_klaviyo_assets",
    "build_klaviyo_automation",
    "build_klaviyo_checks",
    "build_klaviyo_definitions",
    "build_klaviyo_marts",
    "build_klaviyo_published",
]

_MODULES = {
    "CATALOG": "catalog",
    "Catalog": "catalog",
    "EventPartitions": "partitions",
    "InvalidDefinition": "validation",
    "KlaviyoAssetsError": "errors",
    "KlaviyoComponent": "component.component",
    "KlaviyoError": "api.klaviyo_errors",
    "KlaviyoFrameIOManager": "io_manager",
    "KlaviyoResource": "resources",
    "KlaviyoSchedules": "schedules",
    "KlaviyoSyncConfig": "run_config",
    "KlaviyoTranslator": "translator",
    "PublishTarget": "publish.target",
    "SyncMode": "run_config",
    "build_klaviyo_assets": "assets.resource_type_assets",
    "build_klaviyo_automation": "jobs",
    "build_klaviyo_checks": "build",
    "build_klaviyo_definitions": "build",
    "build_klaviyo_marts": "assets.mart_assets",
    "build_klaviyo_published": "assets.published_asset",
}

_DG_REGISTRY = "dagster.components.core.package_entry"


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """Return the public names, to all but the registry of ``dg``: it loads every name that it gets, in each command of each project.

    It looks for components only, so it gets the only one, and a project that does not use this package does not wait for the rest.
    """
    if sys._getframe(1).f_globals.get("__name__") == _DG_REGISTRY:
        return ["KlaviyoComponent"]
    return sorted({*globals(), *__all__})
