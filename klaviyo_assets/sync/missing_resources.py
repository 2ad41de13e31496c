"""Fetches included resources that the responses of a sync named but did not contain, so a truncated ``included`` costs no values."""

from collections.abc import Awaitable, Callable

from klaviyo_assets._internal.threads import in_thread
from klaviyo_assets.api.klaviyo_errors import ConnectionFailed, KlaviyoError
from klaviyo_assets.extract.fetch_state import FetchState
from klaviyo_assets.extract.lookup import look_up_one_by_one
from klaviyo_assets.extract.strategies.strategy import Completion
from klaviyo_assets.load.access.incomplete_access import IncompleteAccess, IncompleteRows
from klaviyo_assets.load.access.incomplete_rows import MAX_INCOMPLETE
from klaviyo_assets.staging.staging import Staging
from klaviyo_assets.state.tombstones import id_hash
from klaviyo_assets.sync.context import SyncContext

MAX_FETCHED = MAX_INCOMPLETE
"""Records that one sync requests by their id: at the limit of events, 150 a minute, that takes seven minutes. Later syncs request the others."""

_IDS_AT_ONCE = 50
"""Records of one group: what has been fetched before an error is kept."""


async def rows_with_missing_resources(sync: SyncContext) -> IncompleteRows:
    """Return the rows of earlier syncs that lack resources; call it before this sync loads rows. A full read reads them anyway."""
    if not sync.entry.included_columns or sync.completion is Completion.SWAP:
        return IncompleteRows()
    return await in_thread(IncompleteAccess(sync.loader).rows, sync.row)


async def fetch_missing_resources(
    sync: SyncContext, staging: Staging, write: Callable[[], Awaitable[None]], state: FetchState, earlier: IncompleteRows
) -> list[str]:
    """Request the records whose resources are missing by their id, with the includes; rows of earlier syncs too.

    An error of Klaviyo ends it and is reported: the rows are stored without these values, and the next sync requests them.

    Args:
        sync: The sync.
        staging: Receives the records.
        write: Writes the received records to files. The last pages of the read may still be being written.
        state: Progress of the extraction: which records lack resources.
        earlier: Rows of earlier syncs that lack some.

    Returns:
        The ids of the records that came without these resources again, or do not exist.

    Raises:
        ConnectionFailed: If Klaviyo cannot be reached at all.
    """
    if not sync.entry.included_columns:
        return []
    ids = [id_ for id_ in dict.fromkeys([*state.incomplete, *earlier.ids]) if id_hash(id_) not in earlier.asked]
    fetched, unanswered = 0, list[str]()
    try:
        for first in range(0, min(len(ids), MAX_FETCHED), _IDS_AT_ONCE):
            group = ids[first : min(first + _IDS_AT_ONCE, MAX_FETCHED)]
            answered = set[str]()
            for page in await look_up_one_by_one(sync.client, sync.entry, group):
                staging.add_lookup(page)
                fetched += page.count
                answered |= {record.id for record in page.records} - {*page.incomplete}
            unanswered += [id_ for id_ in group if id_ not in answered]
            await write()
    except ConnectionFailed:
        raise
    except KlaviyoError as error:
        sync.note(
            f"{len(ids):,} {sync.entry.name} name included resources that Klaviyo's pages lacked, and requesting them by id failed after "
            f"{fetched:,}: {error.message} What to do: nothing, the next sync requests the others."
        )
    sync.row.fetched_by_id = fetched
    return unanswered


async def note_unanswered(sync: SyncContext, ids: list[str]) -> None:
    """Record the records that need not be requested at each sync; call it once what was received of them is loaded."""
    if ids:
        await in_thread(IncompleteAccess(sync.loader).note_unanswered, ids, sync.row)
