"""Reading of an input as its run shows it: waiting is in the run's log, and an error is a failure that says what to do."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg
import duckdb
from duckdb import DuckDBPyConnection

from klaviyo_assets.errors import FolderFailed, KlaviyoAssetsError
from klaviyo_assets.frames.lazy import Opened
from klaviyo_assets.reporting.run_log import in_the_log_of
from klaviyo_assets.warehouse.error_text import error_text


@dataclass(frozen=True)
class InputReading:
    """How the reading of one input is reported; a lazy frame is read later, and in another thread, than its input is loaded.

    Attributes:
        log: The run's log.
        with_configured_names: Replaces the names of settings in a message by the user's own.
        table: The table.
        asset: The asset that writes the table.
    """

    log: logging.Logger
    with_configured_names: Callable[[str], str]
    table: str
    asset: str

    @contextmanager
    def connection(self, opened: Opened) -> Iterator[DuckDBPyConnection]:
        """Open the database, and report what happens until it is closed, as :meth:`reported` does."""
        with self.reported(), opened() as connection:
            yield connection

    @contextmanager
    def reported(self) -> Iterator[None]:
        """Log waiting within the block in the run's log, and convert its errors.

        Raises:
            dagster.Failure: If the table cannot be read; it may be retried only if a retry may help.
        """
        try:
            with in_the_log_of(self.log, self.with_configured_names):
                yield
        except KlaviyoAssetsError as error:
            raise self._failure(error) from None
        except OSError as error:
            raise self._failure(FolderFailed(error)) from error
        except duckdb.CatalogException as error:
            raise dg.Failure(f"There is no table {self.table} yet. What to do: materialize {self.asset} first.", allow_retries=False) from error
        except (duckdb.ProgrammingError, duckdb.DataError, duckdb.NotSupportedError) as error:
            # DuckDB's error itself may quote values of the table, and Dagster would show it as the cause.
            raise dg.Failure(
                f"{self.table}: {error_text(error)} What to do: correct columns, where and partition_expr in AssetIn's metadata.",
                allow_retries=False,
            ) from None

    def _failure(self, error: KlaviyoAssetsError) -> dg.Failure:
        from klaviyo_assets.reporting.failures import failure  # a code location is loaded without it

        return failure(error, self.with_configured_names)
