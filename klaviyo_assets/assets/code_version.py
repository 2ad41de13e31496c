"""The code version of an asset: it changes when its columns, or the options that decide which values are stored, change."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import dagster as dg

from klaviyo_assets.catalog import REVISION
from klaviyo_assets.catalog.resource_type import ResourceType
from klaviyo_assets.extract.sync_options import read_fingerprint
from klaviyo_assets.resources import KlaviyoResource

_CODE_VERSION_LENGTH = 12


def code_version(entry: ResourceType) -> str:
    """Return the code version of a resource type's asset, without options: from the fields that are requested and all columns.

    Args:
        entry: The resource type.
    """
    columns = [(column.name, str(column.type), column.path) for column in entry.columns]
    return _hash([read_fingerprint(entry, REVISION), columns])


def with_options(version: str, entry: ResourceType, klaviyo: KlaviyoResource) -> str:
    """Return a code version that also depends on the options by which rows of a type are chosen and changed.

    An ``EnvVar`` counts by its name, since its value is not read when code is loaded. None of these options is a secret: the salt of field rules is
    none of them.

    Args:
        version: The code version without options.
        entry: The resource type.
        klaviyo: The Klaviyo resource.
    """
    options: dict[str, Any] = {"rules": (klaviyo.field_rules or {}).get(entry.name)} if isinstance(klaviyo.field_rules, Mapping) else {}
    if klaviyo.revision != REVISION:
        options["revision"] = klaviyo.revision
    if entry.replication.start_date_field:
        options["start_date"] = klaviyo.start_date
    if entry.metric_filter is not None:
        options |= {"metrics": klaviyo.event_metrics, "excluded": klaviyo.exclude_event_metrics}
    if entry.replication.report is not None:
        options["conversion_metrics"] = klaviyo.conversion_metric_ids
    if entry.replication.count_check is not None:
        options["groups"] = klaviyo.member_groups
    options = {name: _plain(value) for name, value in options.items() if value}
    return _hash([version, options]) if options else version


def _plain(value: Any) -> Any:
    return {"env": value.env_var_name} if isinstance(value, dg.EnvVar) else value


def _hash(facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:_CODE_VERSION_LENGTH]
