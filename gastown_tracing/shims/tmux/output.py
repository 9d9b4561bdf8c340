"""What a pane shows, as pane.output: a small program behind tmux' pipe-pane, while the pane is there.

`python -I -S -E output.py JOURNAL RUN-ID` reads the pane's output. Once a second at most it writes a
record of what came, cut at its limit; where the journal is switched off it reads on and writes nothing.
"""

import posix
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.config import Config
    from gastown_tracing.journal.layout import Journal

#: Seconds of output that are one record.
INTERVAL = 1.0
#: Bytes that are kept of it at most; of more, the last ones, which are what the pane shows in the end.
KEPT = 1 << 19

#: The settings that the program needs, as its starter has them.
SETTINGS = ("GT_LOG_PANE_OUTPUT", "GT_LOG_PANE_CONTENT_LIMIT")


def command(journal: "Journal", run_id: str, config: "Config") -> str:
    """Return the shell command for pipe-pane, which expands formats and times in it."""
    from gastown_tracing.events.shell import quote  # the program itself needs none

    settings = [f"{name}={quote(value)}" for name in SETTINGS if (value := config.set(name))]
    program = __file__.removesuffix("c")
    words = [sys.executable, "-I", "-S", "-E", program, journal.root, run_id]
    text = " ".join([*settings, "exec", *map(quote, words)])
    return text.replace("#", "##").replace("%", "%%")


def record(root: str, run_id: str) -> None:
    """Read standard input to its end and record it. Never raises."""
    from gastown_tracing.config import Config
    from gastown_tracing.journal.layout import Journal

    journal = Journal(root)
    env = {
        name.decode("utf-8", "replace"): value.decode("utf-8", "replace")
        for name, value in posix.environ.items()
    }
    posix.chdir("/")
    waiting, since = b"", 0.0
    posix.set_blocking(0, False)
    while True:
        chunk = _read()
        if chunk:
            since = since or time.monotonic()
            waiting = (waiting + chunk)[-KEPT:]
        if waiting and (chunk == b"" or time.monotonic() - since >= INTERVAL):
            whole, waiting = _split(waiting) if chunk != b"" else (waiting, b"")
            since = time.monotonic() if waiting else 0.0
            try:
                _write(journal, run_id, whole, Config(env, journal.config_path))
            except OSError:  # a full disk: what comes next may fit
                continue
        if chunk == b"":
            return


def _read() -> bytes | None:
    """Return what has come, b"" at the end, None where nothing came for a while."""
    import select  # waits without looking again and again

    ready, _, _ = select.select((0,), (), (), INTERVAL)
    if not ready:
        return None
    try:
        return posix.read(0, 65536)
    except BlockingIOError:
        return None
    except OSError:  # the terminal is gone
        return b""


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return what can be shown now, and the beginning of a character or sequence that is cut off."""
    escape = data.rfind(b"\x1b")
    if (
        escape >= 0
        and len(data) - escape < 32
        and not any(64 <= byte < 127 and byte not in b"[]PX^_" for byte in data[escape:])
    ):
        return data[:escape], data[escape:]
    for back in range(1, min(4, len(data)) + 1):
        if data[-back] >= 0xC0:
            size = 2 + (data[-back] >= 0xE0) + (data[-back] >= 0xF0)
            return (data[:-back], data[-back:]) if back < size else (data, b"")
        if data[-back] < 0x80:
            break
    return data, b""


def _write(journal: "Journal", run_id: str, data: bytes, config: "Config") -> None:
    from gastown_tracing.events.panes import PANES
    from gastown_tracing.events.values import recordable
    from gastown_tracing.journal.layout import read_text
    from gastown_tracing.sessions.records import common_attributes, plain_log, write_records
    from gastown_tracing.shims.tmux.place import place_of
    from propagation.work import in_force

    place = place_of(journal, run_id) if data and journal.is_on() and journal.owned() else None
    if place is None:
        return
    given = {"session": place.session, "content": data.decode("utf-8", "replace")}
    own = recordable(PANES["pane.output"], given, config, lambda _: None)
    if not str(own.get("content", "")).strip():
        return  # nothing but sequences that move things about
    now = time.time_ns()
    work = in_force(read_text(f"{place.directory}/work.jsonl") or "", now)
    attributes = {**common_attributes(place.info), **(work.attributes() if work else {}), **own}
    write_records(place.directory, place.info, [], [plain_log("pane.output", place.info, now, attributes)])


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[0].rpartition("/gastown_tracing/")[0])
    record(*sys.argv[1:3])
