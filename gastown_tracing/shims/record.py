"""The record of one command: its span and its log records, written to the journal when the command has ended.

Loaded only once the command runs. While it runs, a marker holds the span so far.
"""

import posix

from gastown_tracing.events.commands import COMMANDS
from gastown_tracing.events.outcomes import by_code
from gastown_tracing.events.schema import NO_SPAN
from gastown_tracing.events.semconv import span_name
from gastown_tracing.events.values import plain, recordable
from gastown_tracing.journal import writer
from gastown_tracing.shims.entry import Entry
from gastown_tracing.shims.plan import debug, describe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from gastown_tracing.events.schema import Event, Value
    from gastown_tracing.shims.exec import Request
    from gastown_tracing.shims.outputs import Found
    from gastown_tracing.shims.plan import Plan
    from gastown_tracing.shims.priming import Prime
    from gastown_tracing.shims.tee import Reading

BD_CALL = "bd.call"
#: What every command of a program is.
_COMMON = {"bd": BD_CALL, "gt": "gt.command"}
#: What is recorded of a command that ended with 0 and failed all the same: bd said so on stderr.
SILENT_FAILURE = ("exit code 0, with text on stderr alone", "no_output")


class Record:
    """One command on its way into the journal."""

    __slots__ = ("_entry", "_marker", "_note", "_plan", "_prime", "_request", "_start_ns")

    def __init__(self, request: "Request", plan: "Plan", span_id: str, start_ns: int, pid: int) -> None:
        telemetry = plan.telemetry

        def note(text: str) -> None:
            debug("gt-trace exec", text, telemetry)

        self._request, self._start_ns, self._plan, self._note = request, start_ns, plan, note
        event, *others = _events(request)
        own = self._recordable(event, given(request, event.name))
        self._prime = _prime(request, own, plan, note) if event.name == "prime" else None
        own = {name: value for name, value in own.items() if value != ""}
        if request.name and event.name == "exec" and "name" not in request.attributes:
            own["name"] = plain(request.name)  # the user's own title may have blanks
        name = request.name or span_name(event, own)
        self._entry = Entry(
            event, own, plan, start_ns=start_ns, span_id=span_id, name=name, only=_process(request, pid)
        )
        for other in others:
            self._entry.add(other, self._recordable(other, given(request, other.name)))
        if request.seen is not None and self._entry.span is not None and request.seen.causes:
            from gastown_tracing.shims.linking import links  # few commands have a cause in another trace

            self._entry.span.links[:] = links(plan, request.seen.causes)
        self._marker: writer.Marker | None = None
        missing = [name for name in event.required if name not in self._entry.own]
        if missing:
            note(f"{event.name}: {', '.join(missing)} is missing")

    def open(self) -> None:
        """Leave the mark of a call in progress: its span and log records so far. Raises OSError."""
        entry = self._entry
        entry.make_journal()
        lines = entry.lines(underway=True)
        self._marker = writer.Marker.open(entry.directory, entry.log.span_id, b"".join(lines))
        seen = self._request.seen
        if seen is not None and (seen.reads or seen.makes or seen.hook):
            _load_for_the_end()

    def close(self, end_ns: int, status: int, reading: "Reading | None" = None) -> None:
        """Write the span and the log records of a command that ended with this wait status.

        `reading` knows what it printed. Where there is no room for them they stay in the mark, if there is
        one, until somebody sweeps. Raises OSError.
        """
        code, failure, error_type = outcome(status)
        entry, said = self._entry, None
        if reading is not None:
            said = self._read(reading)
            if not failure and self._failed_silently(reading):
                failure, error_type = SILENT_FAILURE
        entry.finish(end_ns, failure, error_type, **self._results(code, end_ns))
        if entry.span is not None:
            entry.span.attributes["process.exit.code"] = code
        try:
            if self._prime is not None and not failure:
                self._prime.record(entry, wait=False)
            else:
                entry.write(*entry.lines())
        except OSError:
            if self._marker is not None:
                self._marker.leave(b"".join(entry.lines()))
            raise
        finally:
            if self._prime is not None:
                self._prime.drop()
        if not failure:
            self._keep(said)
        if self._marker is not None:
            self._marker.close()

    def _recordable(self, event: "Event", known: "Mapping[str, object]") -> "dict[str, Value]":
        return recordable(event, known, self._plan.telemetry.config, self._note)

    def _results(self, code: int, end_ns: int) -> "dict[str, Value]":
        """Return what the events themselves say about how their command ended."""
        results: dict[str, Value] = {}
        for event, own, _ in self._entry.records:
            if "exit_code" in event.by_key:
                results["exit_code"] = code
            if event.elapsed and event.elapsed not in own:
                results[event.elapsed] = (end_ns - self._start_ns) / 1e6
        return results

    def _read(self, reading: "Reading") -> "Found | None":
        """Record what the output says, and the output itself where that is asked for."""
        from gastown_tracing.shims.outputs import read  # only where there is any

        seen, entry = self._request.seen, self._entry
        stdout, stderr = reading.said(1), reading.said(2)
        if seen is None:
            return None
        found = read(seen, stdout)
        for event, _, _ in entry.records:
            more: dict[str, object] = dict(found.attributes.get(event.name, {}))
            if event.name == BD_CALL:
                more |= {"stdout": stdout, "stderr": stderr}
            entry.tell(event, self._recordable(event, more))
        return found

    def _failed_silently(self, reading: "Reading") -> bool:
        from gastown_tracing.shims.outputs import failed_silently  # the same

        return self._request.program == "bd" and failed_silently(
            _words(self._request)[1:], reading.said(1), reading.said(2)
        )

    def _keep(self, said: "Found | None") -> None:
        """Note what the command made, for others to link to. Never raises."""
        seen, entry = self._request.seen, self._entry
        if seen is None or not (seen.makes or seen.hook):
            return
        try:
            from gastown_tracing.shims.linking import keep  # few commands make anything

            span = (entry.log.trace_id, entry.log.span_id)
            keep(self._plan.telemetry.journal, seen, said.made if said is not None else (), span)
        except Exception as error:  # its record is written
            self._note(f"not noted: {describe(error)}")


def _load_for_the_end() -> None:
    """Load what the end of a command needs while it still runs, when it costs nobody's time."""
    from gastown_tracing.shims import linking, outputs  # noqa: F401  # for the imports' own sake


def outcome(status: int) -> tuple[int, str, str]:
    """Return (exit code, error, error.type) of a wait status; both texts are empty for success."""
    return by_code(posix.waitstatus_to_exitcode(status))


def _events(request: "Request") -> "list[Event]":
    """Return the events that a command is: the one that its span is, then those that have only records.

    Every bd command is bd.call, too; of gt's a command is gt.command where its event is no span.
    """
    event = COMMANDS.get(request.event) or _registered(request.event)
    common = _COMMON.get(request.program)
    if common is None or event.name == common:
        return [event]
    if event.kind == NO_SPAN:
        return [COMMANDS[common], event]
    return [event, COMMANDS[common]] if common == BD_CALL else [event]


def _prime(
    request: "Request", own: "dict[str, Value]", plan: "Plan", note: "Callable[[str], None]"
) -> "Prime":
    from gastown_tracing.shims.priming import Prime, work_given  # what no other event needs

    return Prime(work_given(request.attributes, own), plan, note, ahead=True)


def _registered(name: str) -> "Event":
    from gastown_tracing.events.registry import EVENTS  # most commands are no event of their own

    return EVENTS[name]


def given(request: "Request", event: str = "") -> "dict[str, object]":
    """Return what is known of an event before its command ends: from the command line, then as given."""
    name = event or request.event
    words = _words(request)
    found: dict[str, object] = {}
    if name == "exec":
        found["name"] = request.name or words[0].rpartition("/")[2]
    elif name in (BD_CALL, "git.operation", "gt.command") and not (
        name == request.event and _says_command(request)
    ):
        found.update(_from_command_line(name, words[1:]))
    return {**found, **(request.attributes if name == request.event else {})}


def _says_command(request: "Request") -> bool:
    """Return whether the request says which command it is; what gt's shim does not know is none."""
    known = not request.attributes.keys().isdisjoint(("operation", "command"))
    return known or (request.program == "gt" and request.seen is not None)


def _words(request: "Request") -> list[str]:
    return [argument.decode("utf-8", "replace") for argument in request.argv]


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
