"""Whatever a journal holds, the view draws it: no exception, no line too wide, nothing a terminal obeys."""

from __future__ import annotations

import json
from datetime import UTC
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from view_kit import ROOT, RUN, T0
from wcwidth import wcswidth

from gastown_tracing.journal.parse import ReadLog, ReadSpan
from gastown_tracing.view import console, html, model, shape, theme

IDS = [ROOT, *(f"{number:016x}" for number in range(1, 9))]
TEXT = st.text(max_size=40) | st.sampled_from(
    ["bd list", "\x1b[31m", "日本語" * 9, "👩‍👩‍👧", "</script>", "\u202e", "\ud800"]
)
TIME = st.integers(0, 10**9) | st.integers(0, 10**15) | st.sampled_from([-T0, 10**30, 10**400])
VALUES = st.one_of(
    TEXT,
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.binary(max_size=5),
    st.lists(TEXT, max_size=2),
)


@st.composite
def spans(draw: st.DrawFn) -> ReadSpan:
    """A span under any of nine ids, with any parent, any times, any names."""
    start = T0 + draw(TIME)
    name = draw(st.sampled_from(["bd.call", "exec", "mail", "gt.session", "done"]) | TEXT)
    facts = draw(
        st.dictionaries(
            st.sampled_from(["subcommand", "args", "work_bead", "process.pid", "error", "reason"]), VALUES
        )
    )
    links = (
        [(draw(st.sampled_from(["ab" * 16, RUN])), draw(st.sampled_from(IDS)), "", {})]
        if draw(st.booleans())
        else []
    )
    span = ReadSpan(
        RUN, draw(st.sampled_from(IDS)), draw(st.sampled_from(["", *IDS])), name,
        start_ns=start, end_ns=T0 + draw(TIME), attributes=facts,
        status_code=draw(st.sampled_from([0, 1, 2])), status_message=draw(TEXT), links=links,
        events=[(name, start, facts)],
    )  # fmt: skip
    span.resource, span.scope = {"service.name": draw(TEXT)}, ""
    return span


@st.composite
def logs(draw: st.DrawFn) -> ReadLog:
    """A log record of any of the spans, or of none."""
    log = ReadLog(
        T0 + draw(TIME),
        body=draw(VALUES),
        event_name=draw(TEXT),
        attributes={"x": draw(VALUES)},
        span_id=draw(st.sampled_from(IDS)),
    )
    log.resource, log.scope, log.observed_ns = {}, "", 0
    return log


@st.composite
def sources(draw: st.DrawFn) -> model.Source:
    """Everything a journal may have of one run."""
    many = st.lists(spans(), max_size=12)
    info = draw(st.dictionaries(st.sampled_from(["session", "role", "rig", "issue_id", "host"]), TEXT))
    repeated = draw(many) * draw(st.integers(1, 4))
    source = model.Source(RUN, repeated, draw(st.lists(logs(), max_size=4)), draw(many), info)
    source.root_id, source.start_ns = draw(st.sampled_from(["", ROOT])), max(T0 + draw(TIME), 0)
    source.state, source.skipped = (
        draw(st.sampled_from(["live", "ended", "dead", "unknown"])),
        draw(st.lists(TEXT, max_size=4)),
    )
    source.effects = {ROOT: [model.Link("cd" * 16, IDS[1], True, draw(TEXT), draw(TEXT))]}
    return source


CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "every": st.booleans(),
        "failed": st.booleans(),
        "slow": st.integers(1, 5),
        "levels": st.integers(0, 3),
    },
)


@settings(max_examples=80, deadline=None)
@given(source=sources(), choice=CHOICE, width=st.integers(20, 170), plain=st.booleans(), logged=st.booleans())
def test_any_tree_fits_and_is_inert(
    source: model.Source, choice: dict[str, int], width: int, plain: bool, logged: bool
) -> None:
    """Every line is within the width, printable, and in ASCII mode ASCII."""
    trace = shape.apply(model.build(source, T0 + 10**9), **choice)
    drawn = console.render(trace, console.Options(width, ascii=plain, logs=logged, zone=UTC))
    drawn.encode("ascii" if plain else "utf-8")
    for line in drawn.splitlines():
        assert line.isprintable()
        assert wcswidth(line) <= width


@settings(max_examples=30, deadline=None)
@given(source=sources(), width=st.integers(20, 170))
def test_colour_adds_nothing_but_colour(source: model.Source, width: int) -> None:
    """With its own SGR sequences taken out, the coloured text is the plain one."""
    trace = shape.apply(model.build(source, T0 + 10**9))
    plain = console.render(trace, console.Options(width, zone=UTC))
    coloured = console.render(trace, console.Options(width, colour=True, zone=UTC))
    for code in {"0", *theme.STYLES.values()}:
        coloured = coloured.replace(f"\x1b[{code}m", "")
    assert coloured == plain


@settings(max_examples=30, deadline=None)
@given(source=sources())
def test_no_span_is_lost(source: model.Source) -> None:
    """Without folding every span that was given has exactly one line."""
    trace = model.build(source, T0 + 10**9)
    ended = {span.span_id for span in source.spans}
    wanted = sorted(
        [span.span_id for span in source.spans]
        + [span.span_id for span in source.in_progress if span.span_id not in ended]
    )
    shown = sorted(node.span_id for node, _ in trace.walk() if node.span is not None)
    assert shown == wanted
    folded = shape.apply(trace)
    assert sum(len(node.members) or 1 for node, _ in folded.walk()) <= len(wanted) + 1


class _Blocks(HTMLParser):
    """Collects what an HTML parser takes for tags, and the JSON block."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.json = ""
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self._inside = dict(attrs).get("id") == "trace"

    def handle_data(self, data: str) -> None:
        self.json += data if self._inside else ""

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the parser's signature
        self._inside = False


@settings(max_examples=30, deadline=None)
@given(source=sources())
def test_nothing_recorded_becomes_markup(source: model.Source) -> None:
    """Whatever spans are called, the page has the same tags, and its data is one JSON block."""
    page = html.render(shape.apply(model.build(source, T0 + 10**9)), UTC)
    empty = html.render(model.build(model.Source(RUN), T0), UTC)
    found, bare = _Blocks(), _Blocks()
    found.feed(page)
    bare.feed(empty)
    assert found.tags == bare.tags
    assert "rows" in json.loads(found.json)
    page.encode("utf-8")


def test_a_deep_chain_is_no_deep_recursion() -> None:
    """Ten thousand spans, each under the one before, are drawn within the width and written as a page."""
    chain = []
    for number in range(10_000):
        span = ReadSpan(
            RUN,
            f"{number + 1:016x}",
            f"{number:016x}" if number else "",
            "call",
            start_ns=T0 + number,
            end_ns=T0 + 10**9,
        )
        span.resource, span.scope = {}, ""
        chain.append(span)
    trace = shape.apply(model.build(model.Source(RUN, chain), T0))
    lines = console.render(trace, console.Options(80, zone=UTC)).splitlines()
    assert len(lines) >= 10_000
    assert max(map(wcswidth, lines)) <= 80
    assert html.render(trace, UTC).count('"title":"call"') == 10_000
