"""A sandbox that is forked from a process with the program already loaded. It starts in a tenth of the time.

It runs the same program with the same arguments in its own process. ``sandbox/test_process.py`` tests how the program itself starts.

Run as ``python -m klaviyo_assets_tests.forked_sandbox``, this module is the process that forks. It reads one JSON command per line and responds
with one line: a list of arguments starts a sandbox, a number (a process id) stops one.
"""

import atexit
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
from functools import cache
from typing import Any, NoReturn

from klaviyo_assets.sandbox.process import SandboxProcess


class ForkedSandbox(SandboxProcess):
    """A forked :class:`~klaviyo_assets.sandbox.process.SandboxProcess`; without ``fork`` it starts the usual process."""

    _pid = 0

    def _start(self) -> str:
        if not hasattr(os, "fork"):
            return super()._start()
        response = _parent().send(self._arguments())
        self._pid = response["pid"]
        line: str = response["line"]
        return line

    def _stop(self) -> None:
        if self._pid:
            _parent().send(self._pid)
            self._pid = 0
        super()._stop()


class _Parent:
    """The process that forks sandboxes; it and its sandboxes end with this process."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "klaviyo_assets_tests.forked_sandbox"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self._lock = threading.Lock()
        atexit.register(self._end)

    def send(self, command: Any) -> Any:
        """Send a command and return the response."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(f"{json.dumps(command)}\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process that starts sandboxes ended with status {self._process.wait()}")
        return json.loads(line)

    def _end(self) -> None:
        with contextlib.suppress(BrokenPipeError), self._process:
            pass  # closes its input and waits


@cache
def _parent() -> _Parent:
    return _Parent()


class _Forking:
    """Starts and stops sandboxes, each a child of this process."""

    def __init__(self) -> None:
        self._inputs: dict[int, int] = {}

    def start(self, arguments: list[str]) -> dict[str, Any]:
        """Fork a sandbox and return its process id and its first line; the line is empty if the sandbox ended first."""
        (child_input, our_input), (our_output, child_output) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            # An inherited end of another sandbox's input would keep that sandbox alive.
            for descriptor in (our_input, our_output, *self._inputs.values()):
                os.close(descriptor)
            _become_a_sandbox(arguments, child_input, child_output)
        os.close(child_input)
        os.close(child_output)
        self._inputs[pid] = our_input
        with os.fdopen(our_output) as output:
            return {"pid": pid, "line": output.readline()}

    def stop(self, pid: int) -> dict[str, Any]:
        """End a sandbox and wait until it has ended."""
        os.kill(pid, signal.SIGKILL)  # its state is no longer needed
        os.waitpid(pid, 0)
        os.close(self._inputs.pop(pid))
        return {}


def _become_a_sandbox(arguments: list[str], input_: int, output: int) -> NoReturn:
    from klaviyo_assets.sandbox.__main__ import main

    os.dup2(input_, 0)
    os.dup2(output, 1)
    os.close(input_)
    os.close(output)
    sys.stdin, sys.stdout = open(0), open(1, "w")  # noqa: SIM115  (standard input and output of the process)
    sys.argv = ["sandbox", *arguments]
    status = 1
    try:
        status = main()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    finally:
        os._exit(status)


def _fork_on_command() -> None:
    import uvicorn.lifespan.off
    import uvicorn.loops.auto
    import uvicorn.protocols.http.auto
    import uvicorn.protocols.websockets.auto  # noqa: F401

    import klaviyo_assets.sandbox.app
    import klaviyo_assets.sandbox.state  # noqa: F401

    gc.freeze()
    forking = _Forking()
    # Unbuffered, so a fork inherits no buffered commands.
    for line in iter(sys.stdin.readline, ""):
        command = json.loads(line)
        response = forking.stop(command) if isinstance(command, int) else forking.start(command)
        print(json.dumps(response), flush=True)


if __name__ == "__main__":
    _fork_on_command()
