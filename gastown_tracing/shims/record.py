"""The record of one command: its span and its log record, written to the journal when the command has ended.

Loaded only once the command runs. While it runs, a marker holds the span so far.
"""

import posix

from gastown_tracing.events.commands import COMMANDS
from gastown_tracing.events.outcomes import by_code
from gastown_tracing.events.semconv import span_name
from gastown_tracing.events.values import plain, recordable
from gastown_tracing.journal import writer
from gastown_tracing.shims.entry import Entry
from gastown_tracing.shims.plan import debug

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gastown_tracing.events.schema import Event, Value
    from gastown_tracing.shims.exec import Request
    from gastown_tracing.shims.plan import Plan
    from propagation.work import WorkContext


class Record:
    """One command on its way into the journal."""

    __slots__ = ("_entry", "_marker", "_note", "_plan", "_start_ns", "_work")

    def __init__(self, request: "Request", plan: "Plan", span_id: str, start_ns: int, pid: int) -> None:
        telemetry = plan.telemetry
        event = COMMANDS.get(request.event) or _registered(request.event)

        def note(text: str) -> None:
            debug("gt-trace exec", text, telemetry)

        own = recordable(event, given(request), telemetry.config, note)
        self._work = _work_given(request.attributes, own) if event.name == "prime" else None
        own = {name: value for name, value in own.items() if value != ""}
        if request.name and event.name == "exec" and "name" not in request.attributes:
            own["name"] = plain(request.name)  # the user's own title may have blanks
        name = request.name or span_name(event, own)
        self._start_ns, self._plan, self._note = start_ns, plan, note
        self._entry = Entry(
            event, own, plan, start_ns=start_ns, span_id=span_id, name=name, only=_process(request, pid)
        )
        self._marker: writer.Marker | None = None
        missing = [name for name in event.required if name not in self._entry.own]
        if missing:
            note(f"{event.name}: {', '.join(missing)} is missing")

    def open(self) -> None:
        """Leave the mark of a call in progress: its span and log record so far. Raises OSError."""
        entry = self._entry
        entry.make_journal()
        self._marker = writer.Marker.open(entry.directory, entry.log.span_id, b"".join(entry.lines()))

    def close(self, end_ns: int, status: int) -> None:
        """Write the span and the log record of a command that ended with this wait status.

        Where there is no room for them they stay in the mark, if there is one, until somebody sweeps. Raises
        OSError.
        """
        code, failure, error_type = outcome(status)
        entry = self._entry
        entry.finish(end_ns, failure, error_type, **self._results(code, end_ns))
        if entry.span is not None:
            entry.span.attributes["process.exit.code"] = code
        try:
            if entry.event.name == "prime" and not failure:
                self._prime()
            else:
                entry.write(*entry.lines())
        except OSError:
            if self._marker is not None:
                self._marker.leave(b"".join(entry.lines()))
            raise
        if self._marker is not None:
            self._marker.close()

    def _results(self, code: int, end_ns: int) -> "dict[str, Value]":
        """Return what the event itself says about how its command ended."""
        event = self._entry.event
        results: dict[str, Value] = {}
        if "exit_code" in event.by_key:
            results["exit_code"] = code
        if event.elapsed and event.elapsed not in self._entry.own:
            results[event.elapsed] = (end_ns - self._start_ns) / 1e6
        return results

    def _prime(self) -> None:
        from gastown_tracing.shims.priming import record  # what no other event needs

        record(self._entry, self._work, self._plan, self._note)


def outcome(status: int) -> tuple[int, str, str]:
    """Return (exit code, error, error.type) of a wait status; both texts are empty for success."""
    return by_code(posix.waitstatus_to_exitcode(status))


def _work_given(said: "dict[str, Value]", own: "dict[str, Value]") -> "WorkContext | None":
    from gastown_tracing.shims.priming import work_given  # what no other event needs

    return work_given(said, own)


def _registered(name: str) -> "Event":
    from gastown_tracing.events.registry import EVENTS  # most commands are no event of their own

    return EVENTS[name]


def given(request: "Request") -> "dict[str, object]":
    """Return what is known of the event before its command ends: from the command line, then as given."""
    words = [argument.decode("utf-8", "replace") for argument in request.argv]
    found: dict[str, object] = {}
    if request.event == "exec":
        found["name"] = request.name or words[0].rpartition("/")[2]
    elif request.event in ("bd.call", "git.operation", "gt.command"):
        found.update(_from_command_line(request.event, words[1:]))
    return {**found, **request.attributes}


def _from_command_line(event: str, arguments: list[str]) -> "dict[str, object]":
    from gastown_tracing.masking import command_words, subcommand  # a long list of words

    if event == "git.operation":
        return {"operation": subcommand("git", arguments)[1]}
    if event == "gt.command":
        return {"command": command_words("gt", arguments)}
    return {"subcommand": subcommand("bd", arguments)[1], "args": arguments}


def _process(request: "Request", pid: int) -> "dict[str, Value]":
    name = request.argv[0].rpartition(b"/")[2].decode("utf-8", "replace")
    # A command that could not be run has no process id: absent, never 0.
    return {"process.executable.name": name, **({"process.pid": pid} if pid else {})}
