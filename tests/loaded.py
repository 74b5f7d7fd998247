"""Processes that have the program loaded from the start: forked off one that has, as workers of a server are.

Loading takes more than a second, and the tests run hundreds of command lines. `python -m tests.loaded FD` is
the process that has loaded everything; it has no threads, and nothing runs in it but `fork`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import types
from collections.abc import Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Loaded:
    """Runs Python code, each call in a process of its own."""

    def __init__(self) -> None:
        """Start the process that loads the program."""
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.loaded", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
            )

    def run(
        self,
        code: str,
        *arguments: str,
        given: str = "",
        environment: Mapping[str, str] | None = None,
        timeout: float = 300,
    ) -> subprocess.CompletedProcess[str]:
        """Do what `python -c code arguments` does in the root of the checkout.

        `given` is its standard input; without an environment it gets that of the tests.
        """
        call = {"code": code, "arguments": arguments, "environment": dict(environment or os.environ)}
        with contextlib.ExitStack() as stack:
            asked, standard_input, output, errors = (
                stack.enter_context(tempfile.TemporaryFile("w+")) for _ in range(4)
            )
            json.dump(call, asked)
            standard_input.write(given)
            for file in (asked, standard_input):
                file.seek(0)
            ended, told = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ended)
            with told:
                files = [file.fileno() for file in (asked, standard_input, output, errors, told)]
                socket.send_fds(self._line, [b"."], files)
            ended.settimeout(timeout)
            status = self._status(ended)
            for file in (output, errors):
                file.seek(0)
            return subprocess.CompletedProcess(arguments, status, output.read(), errors.read())

    def _status(self, ended: socket.socket) -> int:
        """Wait for the end of a call; one that takes too long is ended."""
        process = int(ended.recv(20))
        try:
            return int(ended.recv(20))
        except TimeoutError:
            os.kill(process, signal.SIGKILL)
            raise

    def close(self) -> None:
        """End the process that has loaded the program."""
        self._line.close()
        self._process.wait(30)


@cache
def loaded() -> Loaded:
    """Give the one that all tests share."""
    return Loaded()


def _serve(line: socket.socket) -> None:
    """Fork for each call until the tests have ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who tells the end of a call is waited for by nobody
    while True:
        message, files, *_ = socket.recv_fds(line, 1, 5)
        if not message:
            return
        if os.fork() == 0:
            line.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            with contextlib.suppress(BrokenPipeError):  # nobody waits any more
                _run_one(files)
            os._exit(0)
        for file in files:
            os.close(file)


def _run_one(files: list[int]) -> None:
    """Have a call done by a process of its own, and tell its number and how it ended."""
    *given, told = files
    # a whole end of the interpreter would touch, and so copy, all that is loaded: half a second
    worker = multiprocessing.get_context("fork").Process(target=_do_call, args=given)
    worker.start()
    os.write(told, str(worker.pid).encode())
    worker.join()
    os.write(told, str(worker.exitcode).encode())


def _do_call(asked: int, *standard: int) -> None:
    with os.fdopen(asked) as file:
        call = json.load(file)
    for place, given in enumerate(standard):
        os.dup2(given, place)
        os.close(given)
    sys.stdin = os.fdopen(0)
    os.environ.clear()
    os.environ.update(call["environment"])
    sys.argv[:] = ["-c", *call["arguments"]]
    sys.modules["__main__"] = types.ModuleType("__main__")
    exec(compile(call["code"], "<string>", "exec"), vars(sys.modules["__main__"]))


if __name__ == "__main__":
    from server.cli.main import COMMANDS

    places = {f"server.cli.{place.partition(':')[0]}" for place in COMMANDS.values()}
    for module in ("typer.testing", "server.cli.bank_work", "server.pgstac", *sorted(places)):
        importlib.import_module(module)
    gc.freeze()  # a collection in a call would copy all that is loaded
    with socket.socket(fileno=int(sys.argv[1])) as calls:
        _serve(calls)
