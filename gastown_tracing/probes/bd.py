"""Asking bd something, bounded in time and size, and reading what it answers.

bd's words may be anybody's content, so no error repeats them.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING

from gastown_tracing import context
from gastown_tracing.beads import MISLEADING, listed, parse
from gastown_tracing.probes.probe import ProbeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Seconds that bd may take.
TIMEOUT = 10.0
#: Bytes that bd may print; of what it says on stderr only whether there is anything matters.
OUTPUT_LIMIT = 32 << 20

#: Seconds between two looks at whether bd has ended; its output is read as it comes.
_LOOK = 0.05
_CHUNK = 1 << 16


class Bd:
    """bd as it is on the PATH of `env`, in one directory after the other.

    `env` is the environment it runs in, but for the trace context, which is the current span's, so that what
    bd or a shim in front of it records hangs there. `timeout` is in seconds, `limit` in bytes.
    """

    def __init__(
        self, env: Mapping[str, str], *, timeout: float = TIMEOUT, limit: int = OUTPUT_LIMIT
    ) -> None:
        self._env = {name: value for name, value in env.items() if name not in MISLEADING}
        self._timeout = timeout
        self._limit = limit

    def items(self, directory: str, *arguments: str) -> list[dict[str, object]]:
        """Return the array of objects, each with an `id`, that `bd ARGUMENTS` prints in a directory.

        It may come bare or in an envelope, `{"schema_version": …, "data": …}`. Raises ProbeError.
        """
        said = self.run(directory, *arguments)
        try:
            found = listed(parse(said))
        except ValueError:
            raise _unclear("bd printed no JSON", directory) from None
        if found is None:
            raise _unclear("bd's JSON is not a list of beads", directory)
        return found

    def run(self, directory: str, *arguments: str) -> str:
        """Return what `bd ARGUMENTS` prints in a directory. Raises ProbeError where it fails."""
        process = self._start(directory, arguments)
        try:
            output, complaint = self._output(process, directory)
        finally:
            _end(process)
        code = process.returncode
        if code:
            how = f"exit code {code}" if code > 0 else f"killed by {_signal_name(-code)}"
            raise _unclear(f"bd: {how}", directory)
        if not output.strip() and complaint:
            raise _unclear("bd printed an error and no answer", directory)
        return output.decode("utf-8", "replace")

    def _start(self, directory: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        if not os.path.isdir(directory):
            raise ProbeError(
                "its directory is missing", f"there is no {directory}; --rig-dir DIR names another"
            )
        try:
            return subprocess.Popen(
                ["bd", *arguments],
                cwd=directory,
                env=context.child_env(self._env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # a group of its own, so that all of it can be killed
            )
        except OSError as error:
            if shutil.which("bd", path=self._env.get("PATH", "")) is None:
                raise ProbeError("bd is not on PATH", "put it there") from None
            raise _unclear(f"bd cannot be run: {error.strerror}", directory) from None

    def _output(self, process: subprocess.Popen[bytes], directory: str) -> tuple[bytes, bytes]:
        """Return bd's output and the beginning of what it says on stderr, when it has ended.

        Not at the end of the pipes: a server that bd has started may keep those open for ever.
        """
        ends = time.monotonic() + self._timeout
        with _Reader(process, self._limit) as reader:
            while True:
                ended = process.poll() is not None  # asked first: what it wrote before is in the pipes then
                heard = reader.read(0 if ended else _LOOK)
                if reader.overflowed:
                    raise _unclear(f"bd printed more than {self._limit >> 20} MiB", directory)
                if ended and not heard:
                    return reader.output, reader.complaint
                if reader.at_end and not ended:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(max(0.0, ends - time.monotonic()))
                if time.monotonic() >= ends:
                    raise _unclear(f"bd timed out after {self._timeout:g} s", directory)


class _Reader:
    """Reads both of a process's pipes without waiting for either."""

    def __init__(self, process: subprocess.Popen[bytes], limit: int) -> None:
        self._selector = selectors.DefaultSelector()
        self._pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe is not None]
        self._heard = [bytearray() for _ in self._pipes]
        self._limit = limit

    def __enter__(self) -> _Reader:
        for number, pipe in enumerate(self._pipes):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, number)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    @property
    def at_end(self) -> bool:
        """Whether both pipes have been closed by everybody who could write."""
        return not self._selector.get_map()

    def read(self, seconds: float) -> bool:
        """Take what is there, or comes within these seconds; return whether there was anything."""
        if self.at_end:
            return False
        ready = self._selector.select(seconds)
        for key, _ in ready:
            self._take(key.fileobj, self._heard[key.data])  # type: ignore[arg-type] # what we registered
        return bool(ready)

    def _take(self, pipe: IO[bytes], heard: bytearray) -> None:
        with contextlib.suppress(BlockingIOError):
            chunk = os.read(pipe.fileno(), _CHUNK)
            if not chunk:
                self._selector.unregister(pipe)
            elif len(heard) <= self._limit:
                heard += chunk

    @property
    def overflowed(self) -> bool:
        """Whether more was printed than is read."""
        return len(self._heard[0]) > self._limit

    @property
    def output(self) -> bytes:
        """Return what the process has printed."""
        return bytes(self._heard[0])

    @property
    def complaint(self) -> bytes:
        """Return what it has said on stderr."""
        return bytes(self._heard[1])


def _unclear(reason: str, directory: str) -> ProbeError:
    return ProbeError(reason, f"see what `bd list` says in {directory}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its children if it has not ended. What an ended one has left running stays."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
