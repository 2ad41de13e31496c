"""A PostgreSQL server for the tests that need one, on a socket in a folder of its own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy

_USER = "nobody"
"""Who runs the server if the tests run as root, which PostgreSQL refuses."""

_OPTIONS = "-c listen_addresses= -c fsync=off -c unix_socket_directories={folder}"


class PostgresServer:
    """A server that runs.

    Args:
        folder: Where its socket is.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new_database(self, name: str) -> str:
        """Make an empty database, and return its address.

        Args:
            name: Of the database.
        """
        engine = sqlalchemy.create_engine(self._url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql+psycopg2://postgres@/{database}?host={self._folder}"


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a server, and stop it in the end; skip the test if PostgreSQL is not installed."""
    if (programs := _programs()) is None:
        pytest.skip("PostgreSQL's initdb is not installed (the Debian package postgresql has it)")
    # The path of a socket may have about 100 characters, so pytest's folders are too long.
    with tempfile.TemporaryDirectory(prefix="postgres", dir="/tmp", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        data = str(folder / "data")
        _run_as_user(programs / "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D", data)
        _run_as_user(programs / "pg_ctl", "-w", "-D", data, "-l", str(folder / "log"), "-o", _OPTIONS.format(folder=folder), "start")
        try:
            yield PostgresServer(folder)
        finally:
            _run_as_user(programs / "pg_ctl", "-w", "-D", data, "-m", "immediate", "stop")


def _programs() -> Path | None:
    """Return the folder of PostgreSQL's programs. Debian has one for each version, outside of the path."""
    folders = [Path(found).parent for found in [shutil.which("initdb")] if found]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "pg_ctl").exists()), None)


def _run_as_user(*command: str | Path) -> None:
    user = _USER if os.geteuid() == 0 else None
    # The server keeps the output of pg_ctl open, so a pipe would never end.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(command, user=user, cwd="/", stdout=output, stderr=subprocess.STDOUT, check=False)
        output.seek(0)
        assert done.returncode == 0, output.read()
