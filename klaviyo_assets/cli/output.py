"""Output of the command line: any encoding, pipes that close early, tables."""

import contextlib
import errno
import io
import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from tabulate import tabulate

from klaviyo_assets.errors import KlaviyoAssetsError


class OutputFailed(KlaviyoAssetsError):
    """The output cannot be written, for example to a full disk."""


def accept_every_character() -> None:
    """Write characters that the encoding of the output does not have as escape sequences, rather than failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(*lines: str, error: bool = False) -> None:
    """Print lines; if the reader has closed the pipe (``| head``), drop them and keep the exit status of the command.

    Args:
        lines: Each without its line break.
        error: Print to the standard error output.

    Raises:
        OutputFailed: If they cannot be written for another reason.
    """
    stream = sys.stderr if error else sys.stdout
    try:
        for line in lines:
            print(line, file=stream)
        if stream is not None:
            stream.flush()
    except OSError as problem:
        _drop(stream)
        if problem.errno not in (errno.EPIPE, errno.ECONNRESET, errno.EINVAL):  # Windows reports EINVAL for a closed pipe
            raise OutputFailed(f"The output could not be written ({problem.strerror}).") from problem


def _drop(stream: TextIO) -> None:
    """Redirect the buffered and all further output to the null device; otherwise Python reports an error when it exits."""
    with contextlib.suppress(OSError, ValueError):
        null_device = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null_device, stream.fileno())
        os.close(null_device)


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: range = range(0)) -> str:
    """Return rows as columns of text under a header.

    Args:
        header: The first line.
        rows: The others.
        numbers: Indexes of the columns that are aligned to the right.
    """
    align = ["right" if index in numbers else "left" for index in range(len(header))]
    return str(tabulate([header, *rows], tablefmt="plain", disable_numparse=True, colalign=align))
