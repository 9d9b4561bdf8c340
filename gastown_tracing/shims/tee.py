"""Reading what a command prints, without changing it.

A regular file is read back once the command has ended. A pipe or a stream socket is teed: a process of ours,
the pump, stands between it and the command, and hands on every byte as it comes. Another process, because it
stays where we do not: a child of the command that keeps the pipe is heard to its end, and what a killed
command had said still arrives. A terminal, and anything else, is left alone.
"""

import posix
import sys
import time
from errno import EBADF

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn
else:
    import _signal  # the C half of signal

#: Bytes of a stream that are kept; the rest is handed on.
KEPT = 2 << 20

_STDOUT, _STDERR = 1, 2
_REGULAR, _PIPE, _SOCKET = 0o100000, 0o010000, 0o140000
_CHUNK = 1 << 16
#: What lseek(2) takes an offset from: the present place.
_HERE = 1
#: What the pump says last: that it is at the end of what it reads, or that somebody goes on writing.
_END, _MORE = b".", b"+"
#: Seconds between two looks at what the pump has to say.
_PAUSE = 0.002
#: Signals that say nothing to who waits for the last bytes.
_IDLE = (
    *(_signal.SIGCHLD, _signal.SIGWINCH, _signal.SIGCONT, _signal.SIGURG),
    *(_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU),
)


class Reading:
    """The streams of one command that are read; a stream that is not is absent."""

    __slots__ = ("_said", "_streams")

    def __init__(self, streams: "dict[int, File | Pump]") -> None:
        self._streams = streams
        self._said: dict[int, bytes | None] = {}

    @property
    def descriptors(self) -> dict[int, int]:
        """Return what the command gets in place of its own descriptors, by their numbers."""
        return {number: stream.writer for number, stream in self._streams.items() if isinstance(stream, Pump)}

    @property
    def held(self) -> list[int]:
        """Return the descriptors that must stay open until the end."""
        return [descriptor for stream in self._streams.values() for descriptor in stream.held]

    def started(self) -> None:
        """Let go of the command's ends: it has started, or it never will."""
        for stream in self._streams.values():
            stream.started()

    def said(self, number: int) -> bytes | None:
        """Return the first KEPT bytes that the command, which has ended, printed; None where nobody knows.

        1 is stdout, 2 is stderr.
        """
        if number not in self._said:
            stream = self._streams.get(number)
            self._said[number] = stream.said() if stream is not None else None
        return self._said[number]

    def close(self) -> None:
        """Let nothing of ours be left behind, but a pump that somebody still needs."""
        for stream in self._streams.values():
            stream.close()


def prepare(*, alone: bool, errors: bool, pipes: bool) -> Reading | None:
    """Return how to read what a command prints that is about to start; None where it cannot be read.

    `errors`: stderr as well as stdout, `alone`: even where stdout cannot be read. Where both are one file
    that is read as stdout, and a pipe then not at all: what says which byte came first is lost in a tee.
    `pipes`: whether pipes are teed.
    """
    if sys.platform != "linux":
        return None  # what is open elsewhere cannot be asked
    out, err = _stat(_STDOUT), _stat(_STDERR)
    same = out is not None and err is not None and (out.st_dev, out.st_ino) == (err.st_dev, err.st_ino)
    streams: dict[int, File | Pump] = {}
    try:
        if stream := _stream(_STDOUT, out, pipes and not same):
            streams[_STDOUT] = stream
        if errors and not same and (streams or alone) and (stream := _stream(_STDERR, err, pipes)):
            streams[_STDERR] = stream
    except OSError:  # no descriptor or process to spare: read is what can be
        return Reading(streams) if streams else None
    return Reading(streams) if streams else None


def adopt(stdout: int, stderr: int, told: int) -> Reading:
    """Return how to read a command that runs already, and writes into these two pipes.

    `told` is where to say how many of them are handed on from now on: whoever waits there does the rest.
    """
    streams: dict[int, File | Pump] = {}
    try:
        for number, source in ((_STDOUT, stdout), (_STDERR, stderr)):
            streams[number] = Pump(number, source)
    except OSError:  # no descriptor or process to spare: read is what can be
        if not streams:
            posix.close(stdout)
        posix.close(stderr)
    try:
        posix.write(told, b"%d" % len(streams))
    except OSError:
        return Reading(streams)  # it was killed
    finally:
        posix.close(told)
    return Reading(streams)


def _stat(number: int) -> posix.stat_result | None:
    try:
        return posix.fstat(number)
    except OSError:
        return None  # closed


def _stream(number: int, found: posix.stat_result | None, pipes: bool) -> "File | Pump | None":
    kind = found.st_mode & 0o170000 if found is not None else 0
    if kind == _REGULAR:
        return File(number)
    if pipes and (kind == _PIPE or (kind == _SOCKET and _is_stream(number))):
        return Pump(number)
    return None


def _is_stream(number: int) -> bool:
    """Return whether a socket has no messages of its own, whose borders would be lost."""
    try:
        from _socket import SOCK_STREAM, socket

        copy = socket(fileno=posix.dup(number))
    except (ImportError, OSError):
        return False
    kind = copy.type
    copy.close()
    return kind == SOCK_STREAM


class File:
    """A stream that is a regular file: what stands behind the place where the command begins to write."""

    __slots__ = ("_position", "_reader", "_shared", "_start", "held")

    def __init__(self, number: int) -> None:
        """Remember where the file of this descriptor is. Raises OSError, also where it may not be read."""
        self._position, appends = _place(number)
        # Our own descriptor: the command's own may be for writing alone, and has one place with everybody.
        flags = posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY
        self._reader = posix.open(f"/proc/self/fd/{number}", flags)
        self._start = posix.fstat(self._reader).st_size if appends else self._position
        self._shared = posix.dup(number)
        self.held = [self._reader, self._shared]

    def started(self) -> None:
        """Do nothing: the command writes to the file itself."""

    def said(self) -> bytes | None:
        """Return what the command wrote; None where it went back in the file, or somebody cut that."""
        try:
            end = posix.lseek(self._shared, 0, _HERE)
            if end == self._position:
                return b""
            if not self._start <= end <= posix.fstat(self._reader).st_size:
                return None
            return posix.pread(self._reader, min(end - self._start, KEPT), self._start)
        except OSError:
            return None

    def close(self) -> None:
        """Let go of the file."""
        for descriptor in self.held:
            posix.close(descriptor)
        self.held = []


def _place(number: int) -> tuple[int, bool]:
    """Return a descriptor's place in its file, and whether what is written is appended. Raises OSError."""
    descriptor = posix.open(f"/proc/self/fdinfo/{number}", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        lines = posix.read(descriptor, 512).split(b"\n")
    finally:
        posix.close(descriptor)
    found = {name: value.strip() for name, _, value in [line.partition(b":") for line in lines]}
    return int(found[b"pos"]), bool(int(found[b"flags"], 8) & posix.O_APPEND)


class Pump:
    """A stream that is teed: the process that hands it on, and what that has to say in the end."""

    __slots__ = ("_alive", "_done", "_pid", "_report", "held", "writer")

    def __init__(self, number: int, source: int = -1) -> None:
        """Start the pump in front of this descriptor; `source` is its pipe, by default a new one.

        Raises OSError.
        """
        opened: list[int] = []
        try:
            while len(opened) < (6 if source < 0 else 4):
                opened += _pipe()
            self._report, report, alive, self._alive, *new = opened
            source, self.writer = new or (source, -1)
            self._pid = posix.fork()
        except OSError:
            for descriptor in opened:
                posix.close(descriptor)
            raise
        if self._pid == 0:
            others = (self._report, self._alive, *new[1:])
            _pump(source, number, report, alive, others)
        for descriptor in (source, report, alive):
            posix.close(descriptor)
        posix.set_blocking(self._report, False)
        self.held, self._done = [self._report, self._alive], False

    def started(self) -> None:
        """Let go of the end that the command writes to."""
        if self.writer >= 0:
            posix.close(self.writer)

    def said(self) -> bytes | None:
        """Return what the command said, once all of it has been handed on.

        None where the pump was killed, or where somebody who cannot wait for its reader ends us.
        """
        posix.close(self._alive)
        self.held.remove(self._alive)
        said = b""
        while True:
            try:
                chunk = posix.read(self._report, 1 << 20)
            except BlockingIOError:
                # It ends, as a rule, and that is a signal.
                found = _signal.sigtimedwait(_signal.valid_signals(), _PAUSE)
                if found is not None and found.si_signo not in _IDLE:
                    return None
                continue
            posix.set_blocking(self._report, True)  # it says all of it at once
            said += chunk
            if not chunk:
                break
        self._done = said[-1:] == _END  # else it goes on without us
        return said[:-1] if said[-1:] in (_END, _MORE) else None

    def close(self) -> None:
        """Let go of the pump; where it is done it leaves no dead process behind."""
        for descriptor in self.held:
            posix.close(descriptor)
        self.held = []
        try:
            posix.waitpid(self._pid, 0 if self._done else posix.WNOHANG)
        except ChildProcessError:
            return  # our caller ignores SIGCHLD


def _pipe() -> tuple[int, int]:
    """Return the ends of a new pipe. Raises OSError, also where they take a closed stream's place."""
    ends = posix.pipe2(posix.O_CLOEXEC)
    if min(ends) <= _STDERR:
        for descriptor in ends:
            posix.close(descriptor)
        raise OSError(EBADF, "a standard stream is closed")
    return ends


def _pump(source: int, target: int, report: int, alive: int, others: "tuple[int, ...]") -> "NoReturn":
    """Be the pump: hand on to `target` what comes from `source`, and then end.

    When nobody has `alive` open any more the command has ended. `report` gets the first of what was handed
    on: then, or at the end of what comes. `others` are the other ends of these pipes.
    """
    try:
        for descriptor in others:
            posix.close(descriptor)
        try:
            _let_go_but(source, target, report, alive)
            pumping = _Pumping(source, target, report, alive)
        except Exception:  # in the middle of an upgrade, or no descriptor to spare: nothing is kept
            posix.close(report)
            _hand_on(source, target)
        else:
            pumping.run()
    finally:
        posix._exit(0)


def _let_go_but(*kept: int) -> None:
    """Close all descriptors but these: whoever waits for the end of others waits for the command alone."""
    posix.chdir("/")
    for name in posix.listdir("/proc/self/fd"):
        if int(name) not in kept:
            try:
                posix.close(int(name))
            except OSError:
                continue  # the listing's own


def _hand_on(source: int, target: int) -> None:
    while data := posix.read(source, _CHUNK):
        while data:
            try:
                data = data[posix.write(target, data) :]
            except BlockingIOError:
                time.sleep(_PAUSE)


class _Pumping:
    """The pump at work. Every signal is blocked in it: it lives as long as there is something to hand on."""

    def __init__(self, source: int, target: int, report: int, alive: int) -> None:
        from select import POLLIN, POLLOUT, poll  # no other process needs it

        self._source, self._target, self._report, self._alive = source, target, report, alive
        self._kept: list[bytes] | None = []
        self._size = 0
        self._out = POLLOUT
        self._poller = poll
        self._ready = poll()
        self._ready.register(source, POLLIN)
        self._ready.register(target, 0)  # that its reader has gone
        self._ready.register(alive, 0)

    def run(self) -> None:
        """Hand on until the end of what comes, or until nobody reads it."""
        settled = False
        while True:
            found = dict(self._ready.poll())
            if self._source in found:
                settled = False
                data = posix.read(self._source, _CHUNK)
                if not data:
                    posix.close(self._target)  # before the report: its reader waits for that
                    break
                self._keep(data)
                if not self._write(data):
                    posix.close(self._source)  # the command gets its SIGPIPE
                    break
            elif self._target in found:
                posix.close(self._source)
                break
            elif settled:
                self._ready.unregister(self._alive)
                self._tell(_MORE)
            else:
                settled = True  # it may have written its last word since the source was looked at
        self._tell(_END)

    def _keep(self, data: bytes) -> None:
        if self._kept is not None and self._size < KEPT:
            self._kept.append(data[: KEPT - self._size])
            self._size += len(data)

    def _write(self, data: bytes) -> bool:
        """Hand on all of it, as slowly as it is read; False where nobody reads it."""
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[posix.write(self._target, rest) :]
            except BlockingIOError:  # O_NONBLOCK is the file's, not ours to change
                room = self._poller()
                room.register(self._target, self._out)
                room.poll()
            except OSError:
                return False
        return True

    def _tell(self, last: bytes) -> None:
        if self._kept is None:
            return
        rest = memoryview(b"".join(self._kept) + last)
        self._kept = None
        try:
            while rest:
                rest = rest[posix.write(self._report, rest) :]
        except OSError:
            pass  # it was killed
        posix.close(self._report)
