"""What other traces of the journal have to do with one: the far ends of its links, and what links to it.

A link points from effect to cause. Causes are looked for by the span's id where the link says that they are;
effects by this trace's id, in what other runs and commands outside any wrote after it began. Files are
searched as bytes, and only the lines that hold an id are parsed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gastown_tracing.journal import closed
from gastown_tracing.journal.layout import Journal, list_directory, load_json, open_regular, read_text
from gastown_tracing.journal.parse import ReadSpan, parse_spans
from gastown_tracing.view import titles
from gastown_tracing.view.model import OUTSIDE, Link, Source
from propagation.traceparent import is_id

#: Bytes that are searched in one look for causes, and again for effects.
SEARCHED = 256 << 20

#: Bytes that are read at a time: more than a record may have.
BLOCK = 4 << 20

#: Why of a cause no more is known than its ids.
GONE = "nothing of that is in this journal"
UNRECORDED = "it has not ended or was not recorded"
UNSEARCHED = "not looked for everywhere"

#: How many runs that were not searched are named; the rest are counted.
_NAMED = 3

#: (trace id, span id)
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    """Spans of one directory: of a run, or of commands outside any (then `trace_id` is empty)."""

    directory: str
    trace_id: str
    size: int
    changed_ns: int

    @property
    def path(self) -> str:
        return f"{self.directory}/traces.jsonl"


class Neighbours:
    """The other traces of a journal as one trace sees them.

    `complete` says that the last look for effects left nothing out. Whoever follows a trace keeps one: every
    look reads only what has grown, from where the last one stopped.
    """

    def __init__(self, journal: Journal, trace_id: str) -> None:
        self._journal = journal
        self._trace_id = trace_id
        self._effects = _Search(trace_id)
        self._causes: dict[_Key, _Search] = {}
        self._names: dict[_Key, tuple[str, str]] = {}
        self._homes: dict[str, list[_File]] = {}
        self._runs: dict[str, str] = {}
        self._lost: dict[_Key, str] = {}
        self.complete = False

    def add(self, source: Source) -> None:
        """Fill in `source.names`, `effects`, `lost` and `notes`. What cannot be read stays unknown."""
        began = source.start_ns or min((span.start_ns for span in source.spans), default=0)
        files = [file for file in _files(self._journal, began) if file.trace_id != self._trace_id]
        self._homes = {"": [file for file in files if not file.trace_id]}
        spans = (*source.spans, *source.in_progress)
        wanted = {(link[0], link[1]) for span in spans for link in span.links}
        wanted.update(key for keys in source.causes.values() for key in keys)
        left = self._look_for_causes(key for key in sorted(wanted) if all(key) and key[0] != self._trace_id)
        missed = self._effects.look([file for file in files if file.changed_ns >= began], SEARCHED)[1]
        self.complete = not missed
        source.names = self._names
        source.lost = self._lost
        source.effects = self._found_effects()
        source.notes = list(_notes(left | missed))

    def _look_for_causes(self, wanted: Iterable[_Key]) -> dict[_File, int]:
        """Look for the causes that have no title yet; return how much of which files was left out."""
        unsearched: dict[_File, int] = {}
        budget = SEARCHED
        for key in wanted:
            if self._names.get(key, ("", ""))[0]:
                continue
            search = self._causes.setdefault(key, _Search(key[1]))
            home = self._home(key[0])
            budget, left = search.look(home or self._homes[""], budget)
            searched = [*search.spans(), *_in_progress(home or self._homes[""], key[1])]
            found = [span for span in searched if (span.trace_id, span.span_id) == key]
            if found:
                title = titles.far(found[0].name, found[0].attributes)
                self._names[key] = (title, self._run_name(key[0]) if home else OUTSIDE)
                self._lost.pop(key, None)
                continue
            unsearched |= left
            self._lost[key] = UNSEARCHED if left else UNRECORDED if home else GONE
            if home:
                self._names[key] = ("", self._run_name(key[0]))
        return unsearched

    def _home(self, trace_id: str) -> list[_File]:
        """Return the files of a run, wherever it lies; none of a trace that is no run, or is this one."""
        if trace_id not in self._homes:
            places = self._journal.find_run(trace_id) if is_id(trace_id, 32) else []
            found = [_file(place, trace_id) for place in places if trace_id != self._trace_id]
            self._homes[trace_id] = found
        return self._homes[trace_id]

    def _found_effects(self) -> dict[str, list[Link]]:
        """Return, by the span of this trace, the spans elsewhere that name it as their cause."""
        effects: dict[str, dict[_Key, Link]] = {}
        for span in sorted(self._effects.spans(), key=lambda span: (span.start_ns, span.span_id)):
            for link in span.links:
                if link[0] == self._trace_id != span.trace_id:
                    title = titles.far(span.name, span.attributes)
                    run = self._run_name(span.trace_id) if self._home(span.trace_id) else OUTSIDE
                    effect = Link(span.trace_id, span.span_id, True, title, run)
                    effect.name, effect.start_ns = span.name, span.start_ns
                    effects.setdefault(link[1], {})[span.trace_id, span.span_id] = effect
        return {span_id: list(found.values()) for span_id, found in effects.items()}

    def _run_name(self, trace_id: str) -> str:
        """Return what a run is called: its session, else its agent or role; empty where nothing tells."""
        if trace_id and trace_id not in self._runs:
            places = [file.directory for file in self._home(trace_id)]
            infos = [load_json(read_text(f"{place}/run.json") or "") for place in places]
            info = next((info for info in infos if isinstance(info, dict)), {})
            names = (titles.text(info.get(key)) for key in ("session", "agent_name", "role"))
            self._runs[trace_id] = next(filter(None, names), "")
        return self._runs.get(trace_id, "")


@dataclass(slots=True)
class _Progress:
    """How far one file has been searched, the size it then had (-1: not to its end), and what was found."""

    offset: int = 0
    size: int = -1
    spans: list[ReadSpan] = field(default_factory=list)


class _Search:
    """Looks for an id in files that grow; what has been searched is not read again."""

    def __init__(self, needle: str) -> None:
        self._mark = needle.encode("utf-8", "replace")
        self._known: dict[str, _Progress] = {}

    def spans(self) -> Iterator[ReadSpan]:
        """Yield the spans on all lines that hold the id."""
        for known in self._known.values():
            yield from known.spans

    def look(self, files: Iterable[_File], budget: int) -> tuple[int, dict[_File, int]]:
        """Search files, the least to read first, so that a big one hides no other, for `budget` bytes.

        Returns what is left of the budget, and how many bytes of which files are.
        """
        self._known = {file.path: self._known.get(file.path, _Progress()) for file in files}
        unsearched = {}
        for file in sorted(files, key=lambda file: file.size - self._known[file.path].offset):
            known = self._known[file.path]
            if file.size < known.offset:
                known = self._known[file.path] = _Progress()
            if file.size != known.size:
                budget -= self._read_on(file, known, budget)
            if file.size != known.size:
                unsearched[file] = file.size - known.offset
        return budget, unsearched

    def _read_on(self, file: _File, known: _Progress, budget: int) -> int:
        """Search what was added to a file, about `budget` bytes at most; return how many were read."""
        first = known.offset
        try:
            with open(file.path, "rb", buffering=0, opener=open_regular) as opened:
                while known.offset < file.size and known.offset - first < budget:
                    opened.seek(known.offset)
                    block = opened.read(BLOCK)
                    whole = block.rfind(b"\n") + 1 or (len(block) if len(block) == BLOCK else 0)
                    if not whole:
                        known.size = file.size  # all that is left is a line without an end
                        break
                    self._take(block[:whole], file.path, known)
                    known.offset += whole
        except OSError:
            known.size = file.size
        if known.offset >= file.size:
            known.size = file.size
        return known.offset - first

    def _take(self, block: bytes, path: str, known: _Progress) -> None:
        if self._mark in block:
            lines = b"\n".join(line for line in block.split(b"\n") if self._mark in line) + b"\n"
            known.spans += parse_spans(lines.decode("utf-8", "replace"), path, [])


def _files(journal: Journal, began_ns: int) -> Iterator[_File]:
    """Yield the files of spans in a journal; costs a stat a run.

    Closed runs of dates on which nothing has changed since `began_ns` are left out.
    """
    for name in list_directory(f"{journal.root}/runs"):
        yield _file(f"{journal.root}/runs/{name}", name)
    for date in closed.dates(journal):
        if closed.changed_since(journal, date, began_ns):
            for trace_id, names in closed.parts(journal, date).items():
                yield from (_file(f"{journal.root}/closed/{date}/{name}", trace_id) for name in names)
    for name in list_directory(f"{journal.root}/loose"):
        yield _file(f"{journal.root}/loose/{name}", "")


def _in_progress(files: Iterable[_File], span_id: str) -> Iterator[ReadSpan]:
    """Yield what the markers of calls in progress say of a span."""
    if is_id(span_id, 16):
        for file in files:
            path = f"{file.directory}/open/{span_id}"
            line = (read_text(path) or "").partition("\n")[0]
            yield from parse_spans(f"{line}\n", path, [])


def _file(directory: str, trace_id: str) -> _File:
    try:
        status = os.stat(f"{directory}/traces.jsonl")
    except OSError:
        return _File(directory, trace_id, 0, 0)
    return _File(directory, trace_id, status.st_size, status.st_mtime_ns)


def _notes(unsearched: dict[_File, int]) -> Iterator[str]:
    """Yield what was left out, for the reader."""
    if not unsearched:
        return
    names = [
        f"run {file.trace_id[:8]}" if file.trace_id else f"hour {os.path.basename(file.directory)}"
        for file in unsearched
    ]
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    size = sum(unsearched.values()) / 1e6
    yield f"Causes and effects were not looked for in {size:.1f} MB of {', '.join(names[:_NAMED] + more)}."
