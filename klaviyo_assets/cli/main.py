"""The command ``klaviyo-assets``: ``check`` the key, ``erase`` a person, run the ``demo``, start the ``sandbox``."""

import argparse
import contextlib
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from klaviyo_assets._version import __version__
from klaviyo_assets.catalog import CATALOG, Catalog
from klaviyo_assets.catalog.groups import ALL, DEFAULT
from klaviyo_assets.catalog.named import catalog_named
from klaviyo_assets.cli.env_file import load_env_file
from klaviyo_assets.cli.output import OutputFailed, accept_every_character, say
from klaviyo_assets.errors import KlaviyoAssetsError
from klaviyo_assets.warehouse.default_name import DEFAULT_SCHEMA

_INTERRUPTED = 130
"""Exit status of a command that Ctrl+C ended, as in shells."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    accept_every_character()
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        load_env_file()
        status: int = options.run(options)
        say()
    except KlaviyoAssetsError as error:
        with contextlib.suppress(OutputFailed):
            say(str(error), error=True)
        return int(options.failed)
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


class _Parser(argparse.ArgumentParser):
    """Exits with status 1 instead of argparse's 2, which means here that a result is unclear."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and the error, and exit."""
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="klaviyo-assets", description="Klaviyo as Dagster assets.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="{check,demo,erase,sandbox}")

    check = commands.add_parser(
        "check",
        help="check what the API key may read",
        description="Check what the API key may read, and print a table: asset, scope, verdict, what to do. "
        "Exit status 0: all usable; 1: something must be changed about the key, its scopes or the plan; 2: unclear.",
    )
    check.add_argument("--select", nargs="+", metavar="TYPE", default=(), help="resource types and groups to check; all by default")
    _add_catalog(check)
    check.set_defaults(run=_check, failed=2, refuse=check.error)

    demo = commands.add_parser("demo", help="sync everything once and print what landed, from the sandbox unless KLAVIYO_API_KEY is set")
    demo.add_argument("--folder", default="data", help="where the sandbox's database and Dagster's home go (default: %(default)s)")
    demo.set_defaults(run=_demo, failed=1)

    erase = commands.add_parser(
        "erase",
        help="erase a person from the database",
        description="Erase a person from all tables, from what is staged and from the free blocks of the DuckDB file, and keep later syncs from "
        "storing them again. Exit status 0: done; 1: not.",
    )
    erase.add_argument(
        "person", nargs="+", help="e-mail address, phone number that begins with +, or id of the profile; or several of one person, the id first"
    )
    erase.add_argument("--database", metavar="PATH", help="the DuckDB file (default: KLAVIYO_DUCKDB_PATH)")
    erase.add_argument("--schema", default=DEFAULT_SCHEMA, help="schema of the tables (default: %(default)s)")
    _add_catalog(erase)
    erase.add_argument("--dry-run", action="store_true", help="print what would be done, and change nothing")
    erase.set_defaults(run=_erase, failed=1)

    sandbox = commands.add_parser("sandbox", help="start a local Klaviyo with a made-up account")
    sandbox.set_defaults(run=_sandbox, failed=1)
    try:
        from klaviyo_assets.sandbox.command import add_arguments
    except ModuleNotFoundError as error:
        sandbox.set_defaults(missing=error.name)
    else:
        add_arguments(sandbox)
    return parser


def _add_catalog(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--catalog", metavar="MODULE:VARIABLE", help="catalog with your own resource types, such as my_project.klaviyo:CATALOG, if syncs use one"
    )


def _catalog(options: argparse.Namespace) -> Catalog:
    if not options.catalog:
        return CATALOG
    sys.path.insert(0, "")  # modules in the working folder can be imported, as with dagster dev -m
    return catalog_named(options.catalog)


def _check(options: argparse.Namespace) -> int:
    from klaviyo_assets.cli.check import check

    try:
        catalog = _catalog(options)
    except KlaviyoAssetsError as error:
        options.refuse(f"argument --catalog: {error}")
    names = [*catalog, *catalog.groups, ALL, DEFAULT]
    for name in options.select:
        if name not in names:
            options.refuse(f"argument --select: invalid choice: {name!r} (choose from {', '.join(names)})")
    return check(options.select, catalog)


def _demo(options: argparse.Namespace) -> int:
    from klaviyo_assets.cli.demo import demo

    return demo(options.folder)


def _erase(options: argparse.Namespace) -> int:
    from klaviyo_assets.cli.erase_command import erase

    return erase(*options.person, database=options.database, schema=options.schema, dry_run=options.dry_run, catalog=_catalog(options))


def _sandbox(options: argparse.Namespace) -> int:
    if missing := getattr(options, "missing", None):
        say(f"The sandbox needs {missing}. What to do: pip install 'klaviyo-assets[sandbox]'.", error=True)
        return 1
    from klaviyo_assets.sandbox.command import run

    return run(options)
