"""The waterfall as one self-contained page: a pure function from a trace to HTML.

The page asks no network for anything and its content-security policy would not let it: its one style and its
one script are allowed by their hashes. Everything recorded is data in a JSON block that nothing executes, and
the script puts it on the page as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping
from datetime import tzinfo
from importlib import resources
from typing import TYPE_CHECKING, Any

from gastown_tracing.view import links, text, titles
from gastown_tracing.view.header import FOUND, MINIMUM, OUTSIDE, STATES, UNDESCRIBED, lasted, started
from gastown_tracing.view.logs import COMMON, own
from gastown_tracing.view.model import Link, Node, Trace

if TYPE_CHECKING:
    from gastown_tracing.journal.parse import ReadLog

#: What JSON may hold and a script block must not: beginnings of tags, comments and entities. What is not
#: ASCII, U+2028 included, json.dumps has escaped already.
_INERT = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})

#: What holds values just as they were recorded; the script shows what cannot be printed in them as its code.
_RECORDED = frozenset({"attributes", "common", "body", "resources"})


def render(trace: Trace, zone: tzinfo | None = None) -> str:
    """Return the page for `trace`; `zone` is that of the start time in its header (None: local)."""
    return fill(Page(trace, zone).data())


def fill(data: dict[str, Any]) -> str:
    """Return the page that shows `data`."""
    style, script = _asset("view.css"), _asset("view.js")
    data = _clean(data)
    parts = {
        "title": html.escape(text.clean(f"{data['name']} · gt-trace")),
        "style": style,
        "style-hash": _hash(style),
        "script": script,
        "script-hash": _hash(script),
        "data": json.dumps(data, separators=(",", ":")).translate(_INERT),
    }
    page = _asset("view.html")
    pieces = page.split("{{")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        filled += (parts[name], rest)
    return "".join(filled)


def _asset(name: str) -> str:
    return resources.files("gastown_tracing.view").joinpath("assets", name).read_text(encoding="utf-8")


def _hash(content: str) -> str:
    """Return a content-security policy's source for inline content (CSP Level 3, section 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()


class Page:
    """The data of one page.

    Times are microseconds since the axis begins: JavaScript has no 64-bit integers.
    """

    def __init__(self, trace: Trace, zone: tzinfo | None) -> None:
        self.trace = trace
        self.zone = zone
        self.resources: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}

    def data(self) -> dict[str, Any]:
        """Return everything the page's script needs."""
        trace = self.trace
        rows = list(self.rows(trace))
        state, _ = STATES.get(trace.state, (trace.state, ""))
        words = f"{state}: {trace.reason}" if trace.reason and trace.state == "ended" else state
        return {
            "name": self.name(rows),
            "state": {"kind": trace.state, "text": words},
            "facts": [list(fact) for fact in self.facts() if fact[1]],
            "notes": list(self.notes()),
            "epoch": trace.axis_start_ns / 1e6,
            "length": max((trace.axis_end_ns - trace.axis_start_ns) / 1e3, 1),
            "gaps": [[self.at(begin), self.at(until)] for begin, until in trace.gaps],
            "rows": rows,
            "nothing": "" if rows else self._nothing(),
            "resources": self.resources,
        }

    def name(self, rows: list[dict[str, Any]]) -> str:
        """Return what the page is called: its session, else its first span."""
        trace = self.trace
        if trace.run and not trace.info:
            return UNDESCRIBED
        return titles.text(trace.info.get("session")) or (rows[0]["title"] if rows else OUTSIDE)

    def _nothing(self) -> str:
        """Return why there is no row."""
        if self.trace.chosen:
            return f"Nothing to show: none of {text.counted(self.trace.spans, 'span')} is in this choice."
        return "Nothing to show: no span has been recorded."

    def at(self, time_ns: int) -> float:
        """Return a moment as the page has it."""
        return (text.within(time_ns) - self.trace.axis_start_ns) / 1e3

    def facts(self) -> Iterator[tuple[str, str, str]]:
        """Yield (name, value, style) of what stands in the header."""
        trace = self.trace
        for name, key in (("Role", "role"), ("Rig", "rig"), ("Agent", "agent_name")):
            yield name, titles.text(trace.info.get(key)), ""
        yield "Bead", titles.text(trace.info.get("issue_id")), "bead"
        yield "Started", started(trace, self.zone), ""
        yield "Took", lasted(trace), ""
        yield "Spans", str(trace.spans), ""
        yield "Errors", str(trace.errors), "bad" if trace.errors else ""
        yield "In progress", str(trace.live or ""), ""
        yield "Host", titles.text(trace.info.get("host")), ""
        yield "Run" if trace.run else "Trace", trace.trace_id, "mono"

    def notes(self) -> Iterator[str]:
        """Yield what a reader should know of what is and is not here."""
        trace = self.trace
        if trace.state == "live":
            yield "This page shows what was there when it was written; the session went on."
        if trace.evidence:
            yield f"{FOUND[:1].upper()}{FOUND[1:]}{trace.evidence}."
        if any(node.minimum and node.busy_ns for node, _ in trace.walk()):
            yield f"≥: {MINIMUM}."
        if trace.chosen:
            yield "Only a choice of its spans is on this page."
        yield from trace.notes
        if trace.skipped:
            yield f"{text.counted(len(trace.skipped), 'line')} skipped: {'; '.join(trace.skipped[:3])}"

    def rows(self, trace: Trace, top: int = 0) -> Iterator[dict[str, Any]]:
        """Yield every node of a trace, its roots at depth `top`: members under folds, parents first."""
        work = titles.text(trace.info.get("issue_id"))
        stack = [(root, top, work) for root in reversed(trace.roots)]
        while stack:
            node, depth, work = stack.pop()
            yield self._row(node, depth, work)
            under = node.work or work
            stack.extend((child, depth + 1, under) for child in reversed(node.members or node.children))

    def _row(self, node: Node, depth: int, work: str) -> dict[str, Any]:
        """Return one row; what is empty is left out."""
        row: dict[str, Any] = {
            "depth": depth,
            "title": node.title,
            "family": node.family,
            "state": node.state,
            "start": self.at(node.start_ns),
            "span": (node.end_ns - node.start_ns) / 1e3,
            "busy": node.busy_ns / 1e3,
        }
        more = {
            "detail": node.detail,
            "process": node.process,
            "work": node.work,
            "bead": node.work if node.work != work and node.work not in node.title else "",
            "error": node.error,
            "orphan": node.orphan,
            "twin": node.twin,
            "waits": node.waits,
            "parentId": node.parent_id,
            "hidden": node.hidden,
            "faded": node.faded,
            "bad": node.errors > 0,
            "minimum": node.minimum,
            "links": [_link(node_link) for node_link in node.links],
        }
        if node.members:
            more |= {"count": node.count, "failed": node.failed}
        else:
            more |= {"id": node.span_id, "name": node.name, **self._recorded(node)}
            more["logs"] = [self._log(log) for log in node.logs]
        return row | {name: value for name, value in more.items() if value}

    def _recorded(self, node: Node) -> dict[str, Any]:
        """Return what the span itself holds: its attributes, events and resource."""
        span = node.span
        if span is None:
            return {}
        events = [
            {"name": name, "at": self.at(time_ns), "attributes": _plain(attributes)}
            for name, time_ns, attributes in span.events
        ]
        return {
            "attributes": {
                name: _value(value) for name, value in span.attributes.items() if name not in COMMON
            },
            "common": {name: _value(value) for name, value in span.attributes.items() if name in COMMON},
            "events": events,
            "resource": self._resource(span.resource),
        }

    def _resource(self, resource: dict[str, Any]) -> str:
        """Return the number of a resource, as text so that the first one is not left out."""
        number = self._numbers.get(id(resource))
        if number is None:
            number = self._numbers[id(resource)] = len(self.resources)
            self.resources.append(_plain(resource))
        return str(number)

    def _log(self, log: ReadLog) -> dict[str, Any]:
        body = titles.text(log.body)
        name = log.event_name or body
        return {
            "name": name,
            "at": self.at(log.time_ns),
            "severity": log.severity_text,
            "bad": log.severity_number >= 17,
            "body": body if body != name else "",
            "attributes": {key: said for key, value in log.attributes.items() if (said := own(key, value))},
        }


def _clean(value: Any) -> Any:
    """Return data with all text as a terminal would show it, line by line, but what stands as recorded."""
    if isinstance(value, str):
        return "\n".join(map(text.clean, value.split("\n"))) if "\n" in value else text.clean(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {name: item if name in _RECORDED else _clean(item) for name, item in value.items()}
    return value


def _link(link: Link) -> dict[str, Any]:
    found: dict[str, Any] = {
        "trace": link.trace_id,
        "span": link.span_id,
        "effect": link.effect,
        "said": links.said(link),
    }
    if link.mark:
        found |= {"mark": link.mark, "block": link.block, "waited": links.waited(link)}
    return found


def _plain(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: _value(value) for name, value in values.items()}


def _value(value: object) -> Any:
    """Return an attribute's value as JSON has it; numbers as text, so that none is rounded."""
    if isinstance(value, (list, tuple)):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        return _plain(value)
    if isinstance(value, bool) or value is None:
        return value
    return titles.text(value)
