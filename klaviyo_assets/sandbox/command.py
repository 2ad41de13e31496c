"""``klaviyo-assets sandbox``: run the sandbox until it is stopped."""

import argparse
import contextlib
import gc
import ipaddress
import json
import os
import socket
import sys
import threading
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from klaviyo_assets.sandbox.keys import Keys
from klaviyo_assets.sandbox.options import SandboxOptions

DEFAULT_PORT = 8020


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments to a parser: where to listen, and each of the sandbox's options."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: %(default)s); any other than a loopback address opens it to the network"
    )
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port to listen on, 0 for any free one (default: %(default)s)")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    for one in fields(SandboxOptions):
        _add_option(parser, "--" + one.name.replace("_", "-"), one.default, one.metadata["help"])


def _add_option(parser: argparse.ArgumentParser, name: str, default: Any, help: str) -> None:
    match default:
        case bool():
            parser.add_argument(name, action=argparse.BooleanOptionalAction, default=default, help=help)
        case tuple():
            parser.add_argument(name, action="append", type=_instant, default=[], metavar="INSTANT", help=help)
        case None:
            parser.add_argument(name, type=_instant, default=None, metavar="INSTANT", help=help)
        case _:
            parser.add_argument(name, type=type(default), default=default, help=f"{help} (default: %(default)s)")


def _instant(text: str) -> datetime:
    instant = datetime.now(UTC) if text == "now" else datetime.fromisoformat(text)
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def options_from(args: argparse.Namespace) -> SandboxOptions:
    """Return the options from parsed arguments."""
    given: dict[str, Any] = {one.name: getattr(args, one.name) for one in fields(SandboxOptions)}
    return SandboxOptions(**given | {"change_at": tuple(args.change_at)})


def run(args: argparse.Namespace) -> int:
    """Serve until stopped; return the exit status."""
    try:
        options = options_from(args)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        import uvicorn

        from klaviyo_assets.sandbox.app import build_app
        from klaviyo_assets.sandbox.state import begin
    except ModuleNotFoundError as error:
        print(f"error: the sandbox needs {error.name}; install it with: pip install 'klaviyo-assets[sandbox]'", file=sys.stderr)
        return 1
    try:
        listener = _listen(args.host, args.port)
    except OSError as error:
        print(f"error: cannot listen on {args.host}:{args.port}: {error.strerror}; choose another --port", file=sys.stderr)
        return 1
    if not ipaddress.ip_address(listener.getsockname()[0]).is_loopback:
        print(
            f"Warning: anyone who can reach {args.host} can read and change this sandbox. What to do: omit --host unless this is intended.",
            file=sys.stderr,
            flush=True,
        )
    if args.child:
        _end_with_parent()
    state = begin(options)
    gc.freeze()  # The account lives as long as the process, so garbage collection can skip it.
    _announce(args, listener)
    config = uvicorn.Config(
        build_app(state),
        # Faults break connections on purpose; do not log that.
        log_level="critical",
        access_log=False,
        # The sandbox's own clock makes the Date header.
        date_header=False,
        proxy_headers=False,
        lifespan="off",
        # A client that pauses between two requests should find its connection open.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=1,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    if os.name == "posix":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(256)
    return listener


def _announce(args: argparse.Namespace, listener: socket.socket) -> None:
    host = f"[{args.host}]" if ":" in args.host else args.host
    base_url = f"http://{host}:{listener.getsockname()[1]}"
    if args.child:
        print(json.dumps({"base_url": base_url}), flush=True)
        return
    keys = Keys(args.seed)
    print(
        f"A local Klaviyo runs at {base_url} (stop it with Ctrl+C). Its private API keys:\n\n"
        f"  all scopes               {keys.all_scopes}\n"
        f"  the recommended ones     {keys.recommended_scopes}\n"
        f"  all but reviews:read     {keys.lacking('reviews:read')}\n"
        f"  a plan without reviews   {keys.plan_gated}\n\n"
        f"Try it:\n\n"
        f"  KLAVIYO_BASE_URL={base_url} KLAVIYO_API_KEY={keys.all_scopes} klaviyo-assets check\n",
        flush=True,
    )


def _end_with_parent() -> None:
    """End when the parent process ends, which closes the pipe to this process's standard input."""

    def watch() -> None:
        sys.stdin.buffer.read()
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
