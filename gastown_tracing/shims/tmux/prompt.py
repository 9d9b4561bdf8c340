"""`tmux send-keys` as prompts: the text, what is pressed after it, and the Enter that sends it are one.

What is typed waits in the journal's panes/ until Enter comes: a file a pane, a line for each send. Where none
comes, the next text for that pane or a sweep records it. Its span's id is drawn with the first line, so who
records a second time sees that it is done.
"""

import posix
import time
from errno import EAGAIN

from gastown_tracing.journal.layout import (
    Journal,
    file_name,
    list_directory,
    load_json,
    mkdirs,
    open_regular,
    quote_json,
    read_text,
    write_all,
)
from gastown_tracing.journal.making import lock
from gastown_tracing.shims.tmux.keys import SENDING, TEXT
from gastown_tracing.shims.tmux.place import place_of
from propagation.run import new_span_id
from propagation.traceparent import is_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gastown_tracing.config import Config
    from gastown_tracing.shims.tmux.place import Call, Place

#: Seconds after which a text waits for no Enter any more; gt's own pauses are three at most.
PATIENCE = 60.0

#: What opts in to the keys themselves.
KEYS = "GT_LOG_PROMPT_KEYS"

#: What the names of the files of waiting texts begin with, in panes/.
PREFIX = "k-"

#: How often, and how many seconds apart, a file that somebody else holds is asked for.
_ATTEMPTS, _PAUSE = 25, 0.002


def sent(call: "Call", place: "Place", keys: "Sequence[tuple[str, str]]", error: str) -> None:
    """Note what a send-keys has sent to a run's pane, and record the prompts that it ends. Raises OSError.

    `error` is why tmux did not send it, "" for success: that is recorded at once.
    """
    path = f"{call.journal.panes_dir}/{PREFIX}{place.run_id}{file_name(place.pane)}"
    typed = any(what == TEXT for what, _ in keys)
    if not typed and read_text(path) is None:
        return  # keys alone are no prompt
    mkdirs(call.journal.panes_dir, levels=1)
    config, sender = call.plan.telemetry.config, _sender(call)
    with _Held(path) as held:
        for what, text in keys:
            pending = Pending(held.lines)
            if what == TEXT:
                if pending and not pending.goes_on(sender, call.start_ns):
                    held.record(place, config, call.note)
                held.add(_line(call, place, what, text))
            elif pending:
                held.add(_line(call, place, what, ""))
                if what == SENDING and not error:
                    held.record(place, config, call.note)
        if error and held.lines:
            held.record(place, config, call.note, error)


def sweep(journal: Journal, config: "Config", problems: "list[OSError]", patience: float = PATIENCE) -> int:
    """Record the texts that have waited for `patience` seconds; return how many. Never raises.

    For whoever tidies a journal of his own. What cannot be written is added to `problems`, and waits on.
    """
    swept = 0
    for name in list_directory(journal.panes_dir):
        path = f"{journal.panes_dir}/{name}"
        try:
            if name.startswith(PREFIX) and time.time() - posix.stat(path).st_mtime >= patience:
                swept += _swept(journal, name, config)
        except OSError as error:
            problems.append(error)
    return swept


def _swept(journal: Journal, name: str, config: "Config") -> bool:
    """Record one text that has waited; return whether there was one of a run that is known."""
    place = place_of(journal, name[len(PREFIX) : len(PREFIX) + 32])
    with _Held(f"{journal.panes_dir}/{name}") as held:
        waited = place is not None and bool(held.lines)
        if place is not None and waited:
            held.record(place, config, lambda _: None)
        held.gone = True
    return waited


def _sender(call: "Call") -> str:
    """Return what tells senders apart: the span that they send in, and the process."""
    span = f"{call.cause.trace_id}-{call.cause.span_id}" if call.cause else ""
    return f"{span}/{posix.getppid()}"


def _line(call: "Call", place: "Place", what: str, text: str) -> str:
    pairs = {"what": what, "time": str(call.start_ns), "sender": _sender(call), "session": place.session}
    if what == TEXT:
        pairs["length"] = str(len(text))
        if call.plan.telemetry.config.flag(KEYS):
            pairs["keys"] = text
    return "{" + ",".join([f"{quote_json(name)}:{quote_json(value)}" for name, value in pairs.items()]) + "}"


class Pending:
    """A text that waits for Enter, as the lines of its file tell."""

    __slots__ = ("lines", "span_id", "texts")

    def __init__(self, lines: "Sequence[dict[str, str]]") -> None:
        self.lines = lines
        self.span_id = lines[0].get("span_id", "") if lines else ""
        self.texts = [line for line in lines if line.get("what") == TEXT]

    def __bool__(self) -> bool:
        return bool(self.texts)

    def goes_on(self, sender: str, now: int) -> bool:
        """Return whether more text of this sender is more of the same: nothing else was pressed since."""
        last = self.lines[-1]
        fresh = now - number(last, "time") < PATIENCE * 1e9
        return last.get("what") == TEXT and last.get("sender") == sender and fresh


class _Held:
    """The file of a pane's waiting text, open and locked: `lines` is what it holds. Raises OSError.

    It is gone once it is left with nothing in it.
    """

    __slots__ = ("_descriptor", "_path", "gone", "lines")

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor = -1
        self.gone = False
        self.lines: list[dict[str, str]] = []

    def __enter__(self) -> "_Held":
        flags = posix.O_RDWR | posix.O_CREAT | posix.O_APPEND | posix.O_NOFOLLOW
        while True:
            self._descriptor = open_regular(self._path, flags)
            if not lock(self._descriptor, _ATTEMPTS, _PAUSE):
                posix.close(self._descriptor)
                raise OSError(EAGAIN, "somebody else sends keys to this pane", self._path)
            if self._is_there():
                break
            posix.close(self._descriptor)  # it was recorded, and removed, while we waited for it
        loaded = [load_json(line) for line in (read_text(self._path) or "").splitlines()]
        self.lines = [line for line in loaded if isinstance(line, dict)]
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if self.gone or not self.lines:
                posix.unlink(self._path)
        finally:
            posix.close(self._descriptor)

    def _is_there(self) -> bool:
        try:
            there = posix.stat(self._path)
        except FileNotFoundError:
            return False
        return there.st_ino == posix.fstat(self._descriptor).st_ino

    def add(self, line: str) -> None:
        """Add a line; the first is followed by the id that the prompt's span will have."""
        text = line
        if not self.lines:
            text = f'{line[:-1]},"span_id":"{new_span_id()}"}}'
        write_all(self._descriptor, f"{text}\n".encode("utf-8", "replace"))
        loaded = load_json(text)
        if isinstance(loaded, dict):
            self.lines.append(loaded)

    def record(
        self,
        place: "Place",
        config: "Config",
        note: "Callable[[str], None]",
        error: str = "",
    ) -> None:
        """Record what waits as one prompt, unless somebody did who then died, and forget it."""
        prompt = Pending(self.lines)
        if prompt and is_id(prompt.span_id, 16):
            before = read_text(f"{place.directory}/traces.jsonl") or "" if self._was_begun() else ""
            if f'"spanId":"{prompt.span_id}"' not in before:
                write_all(self._descriptor, b'{"what":"recorded"}\n')
                from gastown_tracing.shims.tmux.prompt_span import record  # most keys are no prompt's end

                record(place, prompt, config, note, error)
        posix.ftruncate(self._descriptor, 0)
        self.lines = []

    def _was_begun(self) -> bool:
        return any(line.get("what") == "recorded" for line in self.lines)


def number(line: "dict[str, str]", key: str) -> int:
    """Return a number of a waiting line, 0 where it is none."""
    text = str(line.get(key, ""))
    return int(text) if text.isascii() and text.isdigit() else 0
