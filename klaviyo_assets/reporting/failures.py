"""Converts errors to Dagster failures, and decides whether Dagster may retry.

An error that is not one of :data:`EXPLAINED`, such as a ``KeyError``, is unexpected: a step with one resource type raises it as it is, with its
traceback. Nothing is known about its cause, so a retry policy applies to it, as in any op of Dagster.
"""

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from klaviyo_assets._internal.redaction import redact
from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.api.klaviyo_errors import Conflict, CursorRefused, RequestFailed
from klaviyo_assets.errors import KlaviyoAssetsError, StillLocked, SyncAlreadyRunning, TableChanged
from klaviyo_assets.warehouse.interface import WarehouseBusy

EXPLAINED = (KlaviyoAssetsError,)
"""Errors that say what happened and what to do: shown as a sentence, not as a traceback."""

_TEMPORARY_ERRORS = (WarehouseBusy, StillLocked, SyncAlreadyRunning, TableChanged, Conflict, CursorRefused)
"""Explained errors that may not recur on a retry, besides failed requests. The others need user action: a key, a scope, a setting, disk space."""


def failure(error: Exception, with_configured_names: Callable[[str], str]) -> dg.Failure:
    """Convert an error to a failure with metadata for the UI; allow retries only where one may help.

    Args:
        error: The error.
        with_configured_names: Replaces the names of settings in a message by the user's own.
    """
    metadata: dict[str, Any] = {"error": type(error).__name__}
    for attribute in ("endpoint", "status", "code", "detail", "scope"):
        if (value := getattr(error, attribute, None)) is not None:
            metadata[attribute] = value
    if advice := _advice(error):
        metadata["what_to_do"] = with_configured_names(advice)
    return dg.Failure(description=with_configured_names(str(error)), metadata=metadata, allow_retries=_retry_may_help(error))


def failure_of_types(
    errors: Mapping[str, Exception], syncs: int, with_configured_names: Callable[[str], str], *, what: str = "resource types"
) -> dg.Failure:
    """Convert the errors of a step's resource types (or other items) into one failure that names each of them.

    Types with the same error share a sentence. The step may be retried if a retry may help one of them: it does no harm to types that succeeded,
    or that fail again.

    Args:
        errors: Errors by the name that the failure shows for the resource type; at least one.
        syncs: How many types the step was to sync or to check.
        with_configured_names: Replaces the names of settings in a message by the user's own.
        what: Plural noun for the items, such as ``models``.
    """
    names_by_text: dict[str, list[str]] = {}
    for name, error in errors.items():
        names_by_text.setdefault(with_configured_names(_text(error)), []).append(name)
    parts = [f"{', '.join(names)}: {text}" for text, names in names_by_text.items()]
    metadata: dict[str, Any] = {"failed": ", ".join(errors)}
    if len(errors) == 1:
        (error,) = errors.values()
        metadata |= failure(error, with_configured_names).metadata
    else:
        records = [
            dg.TableRecord({what.removesuffix("s"): name, "error": type(error).__name__, "what to do": with_configured_names(_advice(error))})
            for name, error in errors.items()
        ]
        metadata["errors"] = dg.MetadataValue.table(records)
    description = "\n".join([f"{len(errors)} of {syncs} {what} failed.", *parts])
    return dg.Failure(description=description, metadata=metadata, allow_retries=any(_retry_may_help(error) for error in errors.values()))


def _advice(error: Exception) -> str:
    return getattr(error, "advice", "")


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, EXPLAINED) else one_line(redact(f"{type(error).__name__}: {error}"))


def _retry_may_help(error: Exception) -> bool:
    if isinstance(error, RequestFailed):
        return error.may_end_soon
    return isinstance(error, _TEMPORARY_ERRORS) or not isinstance(error, EXPLAINED)
