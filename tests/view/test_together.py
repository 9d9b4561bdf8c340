"""`gt-trace view --follow-links`: what is in the picture, in which order, and what is said of the rest."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from story_kit import (
    MAYOR,
    OPERATOR,
    OTHER_POLECAT,
    POLECAT,
    REFINERY,
    a_merge,
    agent,
    made,
    mayor,
    operator,
    outside,
    polecat,
)
from test_golden import compare
from view_kit import Book, at

from gastown_tracing.journal import index
from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import Run
from gastown_tracing.view import blocks, console, linked, marks, named, neighbours, together
from propagation.work import WorkContext, format_line

Command = Callable[..., subprocess.CompletedProcess[str]]


def look(run: Run) -> str:
    """Say that every open run lives."""
    return "live" if run.info else "unknown"


def picture(journal: Journal, what: str, most: int = 8, now: float = 4200, **choice: Any) -> together.Picture:
    """Return the picture of what is asked for, `now` seconds after the story began."""
    return together.build(linked.Stories(journal, what, most).gather(look), at(now), **choice)


def draw(journal: Journal, what: str, width: int = 160, most: int = 8, **choice: Any) -> str:
    """Return the picture as text, in UTC."""
    options = console.Options(width, zone=UTC)
    return blocks.render(picture(journal, what, most, **choice), options)


def names(drawn: together.Picture) -> list[str]:
    """Return the labels and names of the blocks."""
    return [f"{block.label} {marks.name(block.trace) or 'outside'}" for block in drawn.blocks]


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("ascii", [False, True], ids=["utf8", "ascii"])
@pytest.mark.parametrize("width", [80, 160])
def test_a_bead_s_story_looks_as_it_should(tmp_path: Path, width: int, ascii: bool, colour: bool) -> None:  # noqa: A002
    """Sling, session, mail, nudge, done, merge request, merge, and who waited for whom, in order of time."""
    journal = a_merge(tmp_path)["polecat"].journal
    options = console.Options(width, ascii, colour, zone=UTC)
    drawn = blocks.render(picture(journal, "de-1tr"), options)
    compare(f"together/bead-{width}-{'ascii' if ascii else 'utf8'}{'-colour' if colour else ''}", drawn)


CHOICES: dict[str, dict[str, Any]] = {
    "all": {"every": True},
    "errors": {"failed": True},
    "slowest": {"slow": 2},
    "depth-0": {"levels": 0},
    "depth-1": {"levels": 1},
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_goes_over_all_blocks(tmp_path: Path, name: str) -> None:
    """--all, --errors, --slowest and --depth; both ends of a link keep their mark whatever is left out."""
    journal = a_merge(tmp_path)["polecat"].journal
    drawn = draw(journal, "de-1tr", 100, **CHOICES[name])
    compare(f"together/choice-{name}", drawn)
    assert set(re.findall(r"⇢ ([A-Z]\d+) ", drawn)) == set(re.findall(r"⇠ ([A-Z]\d+) ", drawn)) != set()


def test_the_golden_files_are_all_in_use() -> None:
    """No golden file outlives its test."""
    found = {path.stem for path in (Path(__file__).parent / "golden/together").glob("*.txt")}
    wanted = {f"bead-{w}-{c}{x}" for w in (80, 160) for c in ("utf8", "ascii") for x in ("", "-colour")}
    assert found == wanted | {f"choice-{name}" for name in CHOICES}


def test_what_was_asked_for_comes_first_then_the_nearest(tmp_path: Path) -> None:
    """A run is followed by what its links lead to; what another agent's other work leads to comes last."""
    books = a_merge(tmp_path)
    sling = books["mayor"].span("sling", 700, 702, bead="de-9xx", target="demo")
    other = agent(tmp_path, OTHER_POLECAT, 701, session="de-demo-nux", role="polecat")
    other.span("session.start", 701, 702, link=(MAYOR, sling))
    drawn = picture(books["polecat"].journal, POLECAT)
    assert names(drawn) == [
        "A de-demo-rust",
        "B outside",
        "C de-demo-refinery",
        "D hq-mayor",
        "E de-demo-nux",
    ]
    drawn = picture(books["polecat"].journal, REFINERY)
    assert names(drawn)[:2] == ["A de-demo-refinery", "B de-demo-rust"]


def test_a_bead_shows_all_its_runs_in_order_of_time(tmp_path: Path) -> None:
    """Who made the bead, a first try that failed, and the second try."""
    chief = mayor(tmp_path)
    made(chief, "de-1tr", chief.span("bd.call", -60, -59, subcommand="create", args="create --json"), -59)
    first = agent(tmp_path, OTHER_POLECAT, 0, session="de-demo-nux", role="polecat", issue_id="de-1tr")
    first.span("session.start", 0, 1)
    first.close(30, "crashed")
    polecat(tmp_path, 100).span("session.start", 100, 101)
    drawn = picture(chief.journal, "de-1tr")
    assert names(drawn) == ["A hq-mayor", "B de-demo-nux", "C de-demo-rust"]
    assert drawn.bead == "de-1tr"
    assert "bd create" in draw(chief.journal, "de-1tr")


def test_a_bead_s_story_does_not_go_on_by_other_work(tmp_path: Path) -> None:
    """The mayor slings other beads all day: those sessions are counted and named, not drawn."""
    books = a_merge(tmp_path)
    for number in range(5):
        sling = books["mayor"].span("sling", 700 + number, 702 + number, bead=f"de-{number}zz", target="demo")
        run = f"{number + 16:02x}" + "ab" * 15
        agent(tmp_path, run, 701, session=f"s{number}").span("session.start", 701, 702, link=(MAYOR, sling))
    text = draw(books["polecat"].journal, "de-1tr", 200)
    assert text.startswith("bead de-1tr · 4 linked traces\n")
    assert (
        "These sessions' other work links to 5 more traces, not drawn: s0 (10ababab), s1 (11ababab), s2"
        in text
    )


def test_a_session_with_other_work_too_shows_what_it_did_for_the_bead(tmp_path: Path) -> None:
    """A crew member primed on two beads: the calls for the other one are counted, not drawn."""
    crew = agent(tmp_path, OTHER_POLECAT, 0, session="de-crew-max", role="crew")
    lines = [
        format_line(at(moment), WorkContext("demo", bead), "prime")
        for moment, bead in ((1, "de-1tr"), (100, "de-2zz"))
    ]
    (crew.directory / "work.jsonl").write_text("".join(lines))
    crew.span("exec", 2, 50, attributes={"name": "make", "work_bead": "de-1tr"})
    crew.span("exec", 102, 150, attributes={"name": "cargo", "work_bead": "de-2zz"})
    text = draw(crew.journal, "de-1tr")
    assert "make" in text
    assert "cargo" not in text
    assert "1 span not shown" in text


@pytest.mark.parametrize(
    ("what", "other"), [("de-wisp-r9p", "de-demo-refinery"), ("hq-wisp-xq0", "hq-mayor")]
)
def test_a_merge_request_or_message_means_the_trace_that_made_it(
    tmp_path: Path, what: str, other: str
) -> None:
    """By the index: neither is a bead that a session works on."""
    books = a_merge(tmp_path)
    drawn = picture(books["polecat"].journal, what)
    assert names(drawn) == ["A de-demo-rust", f"B {other}"]
    assert drawn.bead == what


def test_what_has_no_room_is_counted_and_named(tmp_path: Path) -> None:
    """With room for two the nearest are drawn, and the footer says which are not and how to see them."""
    books = a_merge(tmp_path)
    text = draw(books["polecat"].journal, POLECAT, 200, most=2)
    assert "\nB outside any session" in text
    assert "\nC " not in text
    assert (
        "2 linked traces are not drawn: de-demo-refinery (6fa459ea), hq-mayor (1b4e28ba); "
        "--follow-links=4 draws them." in text
    )
    assert "⇢ caused bd update de-wisp-r9p in run 6fa459ea · de-demo-refinery" in text


def test_the_merge_has_room_before_mail_and_mail_before_nudges(tmp_path: Path) -> None:
    """Of a bead's story: however many nudged its session, and however early."""
    books = a_merge(tmp_path)
    for number in range(12):
        chief = agent(tmp_path, f"{number + 16:02x}" + "ab" * 15, 20, session=f"s{number}")
        nudge = chief.span("nudge", 20 + number, 20.5 + number, target="demo/rust")
        books["polecat"].span(
            "prompt.send", 20.2 + number, 20.4 + number, link=(chief.run, nudge), session="de-demo-rust"
        )
    drawn = picture(books["polecat"].journal, "de-1tr", 3)
    assert {block.trace.trace_id for block in drawn.blocks} == {POLECAT, OPERATOR, REFINERY}
    drawn = picture(books["polecat"].journal, "de-1tr", 4)
    assert {block.trace.trace_id for block in drawn.blocks} == {POLECAT, OPERATOR, REFINERY, MAYOR}
    (note,) = (note for note in drawn.all.notes if "not drawn" in note)
    assert note.endswith("9 more; --follow-links=16 draws them.")
    drawn = picture(books["polecat"].journal, "de-1tr", 15)
    assert any(note.startswith("1 linked trace is not drawn: s11") for note in drawn.all.notes)
    assert any(note.endswith("; --follow-links=16 draws it.") for note in drawn.all.notes)


def test_who_read_a_message_outside_any_session_is_in_the_picture(tmp_path: Path) -> None:
    """The id leads there and back; who read it again later did not make it wait, and a failed try is none."""
    books = a_merge(tmp_path)
    read = {"operation": "read", "msg.from": "demo/rust", "msg.id": "hq-wisp-xq0"}
    text = draw(books["polecat"].journal, POLECAT)
    assert re.search(r"⇠ A1 mail send → mayor/ · de-demo-rust .* 1m 11s waited", text)
    reader = Book(tmp_path, "")
    reader.directory = books["operator"].directory
    reader.number_from("beef")
    for trace_id, start, error in (("b" * 32, 433, "exit 1"), ("c" * 32, 435, None)):
        reader.append(
            "traces.jsonl",
            reader.line("mail", start, start + 1, "", error=error, attributes=read, trace_id=trace_id),
        )
    assert "⇢ caused mail read from demo/rust in trace cccccccc · outside any" in books["polecat"].draw(160)
    assert "bbbbbbbb" not in books["polecat"].draw(160)
    text = draw(books["polecat"].journal, "de-1tr")
    assert re.search(r"⇢ [A-Z]1 mail read from demo/rust in [A-Z], 4.8 s later", text)
    assert "1m 11s" not in text
    assert names(picture(books["polecat"].journal, "c" * 32))[:2] == ["A outside", "B de-demo-rust"]
    without = draw(books["polecat"].journal, "de-1tr", most=1)
    assert "1m 11s" not in without


def test_a_merge_request_is_called_by_its_id(tmp_path: Path) -> None:
    """At the sending end, where it is known."""
    work, line = polecat(tmp_path), agent(tmp_path, REFINERY, session="de-demo-refinery", role="refinery")
    args = "create --json --labels=gt:merge-request"
    asked = work.span("bd.call", 20, 21, subcommand="create", args=args, bead_id="de-wisp-r9p")
    line.span("bd.call", 30, 31, subcommand="close", args="close de-wisp-r9p", link=(POLECAT, asked))
    assert "bd create de-wisp-r9p --json" in work.draw(160)
    assert "⇠ caused by bd create of merge request de-wisp-r9p in run" in line.draw(160)


def test_many_traces_without_room_are_named_in_part(tmp_path: Path) -> None:
    """A nudge to thirty: three of the rest are named."""
    chief = mayor(tmp_path)
    nudge = chief.span("nudge", 1, 2, target="all")
    for number in range(30):
        run = f"{number + 16:02x}" + "ab" * 15
        agent(tmp_path, run, 1, session=f"s{number}").span("prompt.send", 1.5, 1.6, link=(MAYOR, nudge))
    text = draw(chief.journal, MAYOR, 300)
    assert len(re.findall(r"^[A-H] ", text, re.MULTILINE)) == 8
    assert re.search(
        r"23 linked traces are not drawn: s\d+ \(\w{8}\), s\d+ \(\w{8}\), s\d+ \(\w{8}\), 20 more;", text
    )


def test_a_cause_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    """Both in the picture of one trace and with its links: nothing of that trace is in the journal."""
    book = polecat(tmp_path)
    book.span("session.start", 15, 16, link=("dead" * 8, "beef" * 4))
    said = "⇠ caused by span beefbeef in run deaddead: nothing of that is in this journal"
    assert said in book.draw(160)
    text = draw(book.journal, POLECAT)
    assert said in text
    assert text.startswith("no linked trace\n")
    assert "Of 1 linked trace nothing is in this journal: deaddead." in text


def test_a_cause_that_was_not_recorded_is_said_to_be(tmp_path: Path) -> None:
    """The trace is there, the span is not: it has not ended, or never came."""
    mayor(tmp_path)
    book = polecat(tmp_path)
    book.span("session.start", 15, 16, link=(MAYOR, "beef" * 4))
    said = "⇠ caused by span beefbeef in run 1b4e28ba · hq-mayor: it has not ended or was not recorded"
    assert said in book.draw(160)
    assert said in draw(book.journal, POLECAT)


def test_a_cause_in_progress_is_known(tmp_path: Path) -> None:
    """A sling that still runs, outside any session or within one, has an end in the picture already."""
    books = {"operator": operator(tmp_path), "mayor": mayor(tmp_path), "polecat": polecat(tmp_path)}
    work = books["polecat"]
    for name in ("operator", "mayor"):
        book = books[name]
        line = book.line("sling", 14, 14, "", attributes={"bead": name}, trace_id=book.run or OPERATOR)
        (book.directory / "open").mkdir()
        (book.directory / "open" / book.last).write_text(
            line.replace(f'"endTimeUnixNano":"{at(14)}",', "") + "\n"
        )
        work.span("session.start", 15, 16, link=(book.run or OPERATOR, book.last))
    assert "⇠ caused by sling operator in trace c0ffee11 · outside any session" in work.draw(160)
    assert "⇠ caused by sling mayor in run 1b4e28ba · hq-mayor" in work.draw(160)
    text = draw(work.journal, POLECAT)
    assert len(re.findall("⇢ [BC]1 session.start in A", text)) == 2


def test_a_link_within_one_trace_is_not_called_gone(tmp_path: Path) -> None:
    """Other programs may link so."""
    work = polecat(tmp_path)
    work.span("exec", 2, 3, link=(POLECAT, work.span("exec", 1, 2)))
    assert "caused by span" in work.draw(160)
    assert "nothing of that" not in work.draw(160) + draw(work.journal, POLECAT)


def test_a_cause_that_was_not_looked_for_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the other traces are too big to be searched whole."""
    monkeypatch.setattr(neighbours, "SEARCHED", 10)
    chief = mayor(tmp_path)
    sling = chief.span("sling", 0, 1)
    book = polecat(tmp_path)
    book.span("session.start", 15, 16, link=(MAYOR, sling))
    monkeypatch.setattr(neighbours, "BLOCK", 100)
    assert "in run 1b4e28ba · hq-mayor: not looked for everywhere" in book.draw(160)


KINDS: dict[str, tuple[str, dict[str, Any], str, dict[str, Any], str, str]] = {
    "mail": (
        "mail", {"operation": "send", "msg.to": "demo/rust", "msg.subject": "go"},
        "mail", {"operation": "read", "msg.from": "mayor/"}, "mail send → demo/rust", "mail read from mayor/",
    ),
    "sling": (
        "sling", {"bead": "de-1tr", "target": "demo"}, "session.start", {"role": "polecat"},
        "sling de-1tr → demo", "session.start",
    ),
    "nudge": (
        "nudge", {"target": "demo/rust"}, "prompt.send", {"session": "de-demo-rust"},
        "nudge → demo/rust", "prompt.send → de-demo-rust",
    ),
    "kill": (
        "gt.command", {"command": "polecat nuke"}, "session.stop", {"reason": "killed"},
        "gt polecat nuke", "session.stop killed",
    ),
    "merge": (
        "bd.call", {"subcommand": "create", "args": "create --json --labels=gt:merge-request --priority=1"},
        "bd.call", {"subcommand": "close", "args": "close de-wisp-r9p --reason ‹4 bytes›"},
        "bd create of a merge request", "bd close de-wisp-r9p",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_link_reads_well_both_ways(tmp_path: Path, kind: str) -> None:
    """From the cause and from the effect, alone and together."""
    cause_name, cause_facts, effect_name, effect_facts, cause, effect = KINDS[kind]
    chief, work = mayor(tmp_path), polecat(tmp_path)
    span = chief.span(cause_name, 20, 21, attributes=cause_facts)
    work.span(effect_name, 30, 31, attributes=effect_facts, link=(MAYOR, span))
    assert f"⇢ caused {effect} in run {POLECAT[:8]} · de-demo-rust" in chief.draw(160)
    assert f"⇠ caused by {cause} in run {MAYOR[:8]} · hq-mayor" in work.draw(160)
    text = draw(work.journal, POLECAT)
    assert f"⇢ B1 {effect} in A, 9.0 s later\n" in text
    assert re.search(rf"⇠ B1 {cause} · hq-mayor +┈+▸ +9.0 s waited\n", text)


def test_a_link_to_a_command_outside_any_session_says_so(tmp_path: Path) -> None:
    """However long ago it was; both ways."""
    books = a_merge(tmp_path)
    text = books["polecat"].draw(160)
    assert "⇠ caused by sling de-1tr → demo in trace c0ffee11 · outside any session" in text
    assert names(picture(books["polecat"].journal, OPERATOR[:8]))[:2] == ["A outside", "B de-demo-rust"]


def test_the_time_between_is_said_only_where_it_tells_something(tmp_path: Path) -> None:
    """An effect within its cause, or right behind it, waited for nothing."""
    chief, work = mayor(tmp_path), polecat(tmp_path)
    work.span("session.start", 5, 6, link=(MAYOR, chief.span("sling", 0, 18)))
    work.span("prompt.send", 30.5, 31, link=(MAYOR, chief.span("nudge", 29, 30)))
    text = draw(work.journal, POLECAT)
    assert "waited" not in text
    assert "later" not in text
    assert "longest wait" not in text


def test_what_a_session_did_meanwhile_is_one_row(tmp_path: Path) -> None:
    """A refinery that was busy with others while this merge waited: a row with each call on the axis."""
    books = a_merge(tmp_path)
    for number in range(40):
        failed = "exit 1" if number == 7 else None
        books["refinery"].span(
            "git.operation", 700 + 60 * number, 750 + 60 * number, error=failed, operation="push"
        )
    text = draw(books["polecat"].journal, "de-1tr")
    assert re.search(r"✗ meanwhile .41 .* 2 failed", text)
    assert "meanwhile: what else a session did while something waited for it; --all shows it." in text
    assert "idle" not in text
    assert "meanwhile" not in draw(books["polecat"].journal, "de-1tr", every=True)


def test_a_merge_that_was_taken_is_followed_till_it_is_closed(tmp_path: Path) -> None:
    """What the refinery does since it took the merge request is part of the story, in progress or not."""
    line = a_merge(tmp_path, merged=False)["refinery"]
    _, asked = index.bead_span(line.journal, "de-wisp-r9p") or ("", "")
    taken = {"subcommand": "update", "args": "update de-wisp-r9p --claim"}
    line.span("bd.call", 700, 701, attributes=taken, link=(POLECAT, asked))
    line.span("git.operation", 720, 725, operation="fetch")
    line.marker("gt.command", 730, live=True, command="refinery merge")
    text = draw(line.journal, "de-1tr")
    assert "git fetch" in text
    assert "● gt refinery merge" in text
    closed = {"subcommand": "close", "args": "close de-wisp-r9p"}
    line.span("bd.call", 726, 727, attributes=closed, link=(POLECAT, asked))
    text = draw(line.journal, "de-1tr")
    assert "git fetch" in text
    assert "gt refinery merge" not in text


def test_mail_nobody_has_read_and_a_merge_nobody_has_taken_are_marked(tmp_path: Path) -> None:
    """Where the index names the span; once something links to it the mark is gone."""
    books = a_merge(tmp_path, merged=False)
    work = books["polecat"]
    made(work, "hq-wisp-zz9", work.span("mail", 500, 501, operation="send", **{"msg.id": "hq-wisp-zz9"}), 501)
    text = work.draw(160)
    assert len(re.findall("⇢ not read yet, as far as is recorded", text)) == 1
    assert re.search(r"bd create .*\n.*⇢ not taken yet, as far as is recorded", text)
    linked_text = draw(work.journal, "de-1tr")
    assert re.search("bd create .*\n.*⇢ not taken yet, as far as is recorded", linked_text)
    assert "waiting 1h 01m · mail send in B: not read yet, as far as is recorded\n" in linked_text
    taken = a_merge(tmp_path / "taken")
    assert "not taken" not in taken["polecat"].draw(160)


def test_what_was_read_or_taken_outside_any_session_does_not_wait(tmp_path: Path) -> None:
    """Such a command begins a trace and has no link; what it names is not said to wait."""
    books = a_merge(tmp_path, merged=False)
    assert "not taken yet" in books["polecat"].draw(160)
    outside(books["operator"], "bd.call", 5000, 5001, subcommand="close", args="close de-wisp-r9p")
    assert "not taken yet" not in books["polecat"].draw(160)


def test_where_too_much_was_recorded_outside_nothing_is_said_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not looked at, so nobody knows."""
    books = a_merge(tmp_path, merged=False)
    monkeypatch.setattr(named, "SEARCHED", 100)
    assert "not taken yet" not in books["polecat"].draw(160)


def test_what_is_not_known_to_wait_is_not_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No index entry, one of another span, a send that failed, a reader in the same trace, half a search."""
    work = polecat(tmp_path)
    send = {"operation": "send"}
    work.span("mail", 20, 21, attributes={**send, "msg.id": "hq-wisp-aa1"})
    work.span("mail", 22, 23, attributes={**send, "msg.id": "hq-wisp-bb2"})
    made(work, "hq-wisp-bb2", "f" * 16)
    made(
        work,
        "hq-wisp-cc3",
        work.span("mail", 24, 25, error="no", attributes={**send, "msg.id": "hq-wisp-cc3"}),
    )
    made(work, "hq-wisp-dd4", work.span("mail", 26, 27, attributes={**send, "msg.id": "hq-wisp-dd4"}))
    work.span("mail", 28, 29, attributes={"operation": "read", "msg.id": "hq-wisp-dd4"})
    assert "not read yet" not in work.draw(160)
    made(work, "hq-wisp-ee5", work.span("mail", 30, 31, attributes={**send, "msg.id": "hq-wisp-ee5"}))
    assert "not read yet" in work.draw(160)
    mayor(tmp_path).span("nudge", 0, 1)
    monkeypatch.setattr(neighbours, "SEARCHED", 0)
    assert "not read yet" not in work.draw(160)


def test_one_document_holds_all_traces(tmp_path: Path, gt_trace: Command) -> None:
    """--json prints every span of every trace in the picture, --logs their log records on the next line."""
    books = a_merge(tmp_path / "journal")
    done = gt_trace("view", "de-1tr", "--follow-links", "--json", "--logs")
    traces, logs = map(json.loads, done.stdout.splitlines())
    spans = [
        span for group in traces["resourceSpans"] for scope in group["scopeSpans"] for span in scope["spans"]
    ]
    assert {span["traceId"] for span in spans} == {MAYOR, OPERATOR, POLECAT, REFINERY}
    ids = {(span["traceId"], span["spanId"]) for span in spans}
    assert len(ids) == len(spans)
    ends = {(link["traceId"], link["spanId"]) for span in spans for link in span.get("links", ())}
    assert len(ends) == 4
    assert ends <= ids
    records = [
        record
        for group in logs["resourceLogs"]
        for scope in group["scopeLogs"]
        for record in scope["logRecords"]
    ]
    assert [record["eventName"] for record in records] == ["bead.create"] * 2
    assert books["polecat"].journal.exists()


@pytest.mark.parametrize(
    "words", [["--follow-links", "de-1tr"], ["de-1tr", "--follow-links"], ["--follow-links=8", "de-1tr"]]
)
def test_the_number_may_be_left_out_wherever_the_option_stands(
    tmp_path: Path, gt_trace: Command, words: list[str]
) -> None:
    """What comes next is no number, so a bead that follows is the bead."""
    a_merge(tmp_path / "journal")
    done = gt_trace("view", *words, "--width", "100")
    assert done.stdout.startswith("bead de-1tr · 4 linked traces\n"), done.stderr


def test_wrong_uses_are_one_line(tmp_path: Path, gt_trace: Command) -> None:
    """No room at all, no number, and what went with nothing before still does not."""
    a_merge(tmp_path / "journal")
    for words in (["--follow-links=0"], ["--follow-links=many"], ["--follow-links", "--json", "--follow"]):
        done = gt_trace("view", "de-1tr", *words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
    done = gt_trace("view", "nobody", "--follow-links")
    assert (done.returncode, done.stdout) == (1, "")


def test_log_records_stand_under_their_spans(tmp_path: Path, gt_trace: Command) -> None:
    """--logs, in each block."""
    a_merge(tmp_path / "journal")
    text = gt_trace("view", "de-1tr", "--follow-links", "--logs", "--width", "140").stdout
    assert re.search(r"· \+10m 03s INFO bead\.create bead_id=de-wisp-r9p", text)


def test_a_link_within_the_linked_textis_never_left_hanging(tmp_path: Path) -> None:
    """A hundred reads of one message are one row, with one line for their cause, and are counted there."""
    chief, work = mayor(tmp_path), polecat(tmp_path)
    send = chief.span("mail", 0, 1, attributes={"operation": "send"})
    for number in range(100):
        work.span("mail", 20 + number, 20.1 + number, link=(MAYOR, send), attributes={"operation": "read"})
    text = draw(work.journal, POLECAT)
    assert re.search("╴mail read .100 ", text)
    assert re.search("⇢ B1 mail read .100 in A, 19.0 s later", text)
    assert len(text.splitlines()) < 20


def test_a_span_with_very_many_effects_says_the_first_of_them(tmp_path: Path) -> None:
    """Twenty lines, then how many more."""
    chief = mayor(tmp_path)
    nudge = chief.span("nudge", 0, 1)
    work = agent(tmp_path, POLECAT, 1, session="de-demo-rust")
    for number in range(50):
        work.span(f"step {number}", 20, 21, link=(MAYOR, nudge))
    assert "⇢ and 30 links more" in chief.draw(160)
    assert "⇢ and 30 links more" in draw(chief.journal, MAYOR)


def test_loose_traces_are_read_line_by_line(tmp_path: Path) -> None:
    """A damaged line elsewhere in the hour is none of this trace's."""
    books = a_merge(tmp_path)
    books["operator"].append("traces.jsonl", '{"resourceSpans":[{"scopeSp')
    outside(books["operator"], "gt.command", 30, 31)
    assert "skipped" not in draw(books["polecat"].journal, "de-1tr")


def test_a_book_of_another_run_keeps_its_own_ids(tmp_path: Path) -> None:
    """The kit itself: no two books of one journal write the same span id."""
    books = a_merge(tmp_path)
    assert len({book.span("x", 0, 1) for book in books.values() if isinstance(book, Book)}) == 4
