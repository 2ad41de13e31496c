"""``klaviyo-assets erase``: erase a person from the tables, staged files and the file's free blocks."""

from collections.abc import Sequence

from klaviyo_assets._internal.sanitize import one_line
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.cli.output import say, table
from klaviyo_assets.erasure.erase import Erased, Erasure, Found
from klaviyo_assets.erasure.subject import DataSubject
from klaviyo_assets.errors import FolderFailed, KlaviyoAssetsError
from klaviyo_assets.privacy.hashing import salt_of_environment
from klaviyo_assets.settings.options import from_environment
from klaviyo_assets.warehouse.database_path import checked_path
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA
from klaviyo_assets.warehouse.factory import warehouse_with
from klaviyo_assets.warehouse.interface import WarehouseError

_AFTERWARDS = (
    "Klaviyo still has its own data: delete the profile there too (a data privacy request). Syncs do not store these records again: the table "
    "_erased holds hashes of their ids.\n"
    "Copies elsewhere are not erased: backups, exports, other schemas and files, freed space of the disk."
)


_REMEMBERED = "The id is remembered: no sync will store that profile."
_NOT_REMEMBERED = "Nothing is remembered: to keep out a profile that is not stored yet, give its id."


def erase(*who: str, database: str | None = None, schema: str = DEFAULT_SCHEMA, dry_run: bool = False, catalog: Catalog = CATALOG) -> int:
    """Erase a person, print what was found, and return the exit status: 0 if it was done, 1 if not or if published copies could not be reached.

    Args:
        who: E-mail address, phone number with its +, or id of a profile; or several of these for one person.
        database: Path of the DuckDB file; the setting ``KLAVIYO_DUCKDB_PATH`` if None.
        schema: DuckDB schema.
        dry_run: Print what would be done, and change nothing.
        catalog: The catalog of your code location, if it has resource types from outside this package.

    Example:
        >>> erase("ann@example.com", database="data/warehouse.duckdb", catalog=CATALOG.with_(MY_TYPE))
        0
    """
    try:
        person = DataSubject.named(*who)
        settings = from_environment(database=database, catalog=catalog)
        warehouse = warehouse_with(settings, settings.duckdb_path)
        path = checked_path(settings.duckdb_path)
        if not path.is_file():
            raise WarehouseError(f"There is no file {path}.", "Set KLAVIYO_DUCKDB_PATH, or use --database.")
        erased = Erasure(warehouse, schema, salt_of_environment(), catalog).run(person, dry_run=dry_run)
    except KlaviyoAssetsError as error:
        say(str(error), error=True)
        return 1
    except OSError as error:
        say(str(FolderFailed(error)), error=True)
        return 1
    say(*_report(erased, dry_run=dry_run))
    return 0 if erased.copies_reached else 1


def _report(erased: Erased, *, dry_run: bool) -> list[str]:
    done = not dry_run
    lines = [_table(erased.found, dry_run=dry_run), *(one_line(note) for note in erased.notes)]
    if done and not erased.found:
        lines.append(_REMEMBERED if erased.remembered else _NOT_REMEMBERED)
    if done and (erased.found or erased.remembered):
        lines += ["", _AFTERWARDS]
    return lines


def _table(found: Sequence[Found], *, dry_run: bool) -> str:
    if not found:
        return "No table holds data of this person."
    header = ("TABLE", "ROWS TO DELETE" if dry_run else "ROWS DELETED", "ROWS OF OTHERS THAT NAME THE PERSON")
    return table(header, [(one.table, str(one.rows), str(one.mentions)) for one in found])
