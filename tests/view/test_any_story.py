"""Whatever traces and links a journal holds, they are drawn together, each mark at both of its ends."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_any_tree import CHOICE, TEXT, VALUES
from view_kit import T0
from wcwidth import wcswidth

from gastown_tracing.journal.parse import ReadSpan
from gastown_tracing.view import blocks, console, linked, model, pages, together
from propagation.run import root_span_id

TRACES = [f"{number:x}" * 32 for number in range(8, 13)]
SPANS = [f"{number:016x}" for number in range(1, 7)]

#: A span's link: trace id, span id, tracestate, attributes.
SpanLink = tuple[str, str, str, dict[str, Any]]


def span(
    trace_id: str, span_id: str, parent_id: str, times: tuple[int, int], links: list[SpanLink]
) -> ReadSpan:
    """Return a span as the journal's reader does."""
    made = ReadSpan(trace_id, span_id, parent_id, "exec", start_ns=T0 + times[0], end_ns=T0 + times[1])
    made.links = links
    made.resource, made.scope, made.scope_version = {}, "", ""
    return made


TIMES = st.tuples(*[st.integers(0, 10**10) | st.integers(0, 10**14) | st.sampled_from([-T0, 10**30])] * 2)
LINKS = st.lists(
    st.tuples(
        st.sampled_from([*TRACES, "ab" * 16, ""]), st.sampled_from([*SPANS, *map(root_span_id, TRACES), ""]),
        st.just(""), st.just({}),
    ),
    max_size=4,
)  # fmt: skip


@st.composite
def sources(draw: st.DrawFn, trace_id: str) -> model.Source:
    """Everything a journal may have of one trace, links to any trace, itself and missing ones included."""
    root = draw(st.sampled_from(["", root_span_id(trace_id)]))
    above = st.sampled_from(["", root, *SPANS])
    some = st.lists(
        st.tuples(st.sampled_from([*SPANS, root_span_id(trace_id)]), above, TIMES, LINKS), max_size=6
    )
    found = [span(trace_id, *facts) for facts in draw(some)]
    for one in found:
        one.name = draw(st.sampled_from(["bd.call", "mail", "exec", "done"]) | TEXT)
        one.attributes = draw(
            st.dictionaries(
                st.sampled_from(["subcommand", "operation", "work_bead", "args"]), VALUES, max_size=2
            )
        )
    info = draw(st.dictionaries(st.sampled_from(["session", "role", "issue_id"]), TEXT))
    source = model.Source(trace_id, found, [], [], info)
    if draw(st.booleans()):
        source.in_progress = [span(trace_id, *facts) for facts in draw(some)]
    source.root_id, source.start_ns = root, max(T0 + draw(TIMES)[0], 0)
    source.state = draw(st.sampled_from(["live", "ended", "dead", "unknown"]))
    effect = model.Link(
        draw(st.sampled_from(TRACES)), draw(st.sampled_from(SPANS)), True, draw(TEXT), draw(TEXT)
    )
    source.effects = {draw(st.sampled_from(SPANS)): [effect]}
    source.waits = {draw(st.sampled_from(SPANS)): draw(TEXT)}
    return source


@st.composite
def stories(draw: st.DrawFn) -> linked.Story:
    """Any traces, any of them asked for, for a bead or not."""
    ids = draw(st.lists(st.sampled_from(TRACES), unique=True, max_size=5))
    found = [draw(sources(trace_id)) for trace_id in ids]
    story = linked.Story(found, draw(st.just("") | TEXT), draw(st.integers(0, len(found))))
    story.made = draw(st.sampled_from([("", ""), (TRACES[0], SPANS[0])]))
    story.left_out = draw(st.lists(st.tuples(st.sampled_from(TRACES), TEXT), max_size=5))
    story.aside = story.left_out[:2]
    story.gone = draw(st.lists(st.sampled_from(TRACES), max_size=5))
    return story


@settings(max_examples=60)
@given(story=stories(), choice=CHOICE, width=st.integers(20, 170), plain=st.booleans(), logged=st.booleans())
def test_any_story_fits_and_is_inert(
    *, story: linked.Story, choice: dict[str, int], width: int, plain: bool, logged: bool
) -> None:
    """Every line is within the width, printable, and in ASCII mode ASCII."""
    picture = together.build(story, T0 + 10**11, **choice)
    drawn = blocks.render(picture, console.Options(width, ascii=plain, logs=logged, zone=UTC))
    drawn.encode("ascii" if plain else "utf-8")
    for line in drawn.splitlines():
        assert line.isprintable()
        assert wcswidth(line) <= width


@settings(max_examples=40)
@given(story=stories(), choice=CHOICE)
def test_a_mark_stands_at_both_ends_or_nowhere(story: linked.Story, choice: dict[str, int]) -> None:
    """Whatever is left out, folded or hidden: who reads one end finds the other."""
    picture = together.build(story, T0 + 10**11, **choice)
    ends: dict[bool, set[str]] = {True: set(), False: set()}
    for node, _ in picture.all.walk():
        for link in node.links:
            if link.mark:
                ends[link.effect].add(link.mark)
    assert ends[True] == ends[False]


@settings(max_examples=30)
@given(story=stories(), choice=CHOICE)
def test_the_page_s_links_lead_to_their_other_end(story: linked.Story, choice: dict[str, int]) -> None:
    """Each link that has a mark names a row that has the same mark, the other way round."""
    page = pages.render(together.build(story, T0 + 10**11, **choice), UTC)
    data = json.loads(page.split('<script type="application/json" id="trace">')[1].split("</script>")[0])
    for row in data["rows"]:
        for link in row.get("links", ()):
            if "mark" in link:
                other = data["rows"][link["to"]]
                found = {(one.get("mark"), one["effect"]) for one in other.get("links", ())}
                assert (link["mark"], not link["effect"]) in found


def test_thousands_of_links_in_all_directions_are_drawn() -> None:
    """Five agents whose every span links to one of another, in circles: all of it in one picture."""
    count = 1_000
    found = []
    for place, trace_id in enumerate(TRACES):
        mine = []
        for number in range(count):
            times = (number * 10**9, number * 10**9 + 10**8)
            other = (TRACES[(place + 1 + number % 4) % 5], f"{(number * 7) % count + 1:016x}", "", {})
            mine.append(span(trace_id, f"{number + 1:016x}", root_span_id(trace_id), times, [other]))
        source = model.Source(trace_id, mine, info={"session": f"s{place}"})
        source.root_id, source.start_ns = root_span_id(trace_id), T0
        found.append(source)
    for choice in ({}, {"every": True}, {"levels": 0}, {"failed": True}, {"slow": 5}):
        picture = together.build(linked.Story(found), T0 + count * 10**9, **choice)  # type: ignore[arg-type]
        lines = blocks.render(picture, console.Options(100, zone=UTC)).splitlines()
        assert max(map(wcswidth, lines)) <= 100
    assert pages.render(picture, UTC).endswith("</html>\n")
