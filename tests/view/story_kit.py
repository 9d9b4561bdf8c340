"""Stories of several agents as journals: who slung what to whom, what was mailed and merged, what waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from view_kit import Book

from gastown_tracing.journal import index

MAYOR, POLECAT, REFINERY, OTHER_POLECAT = (
    "1b4e28ba2fa14cd3883fd8ad1c5e5f10",
    "3f2504e04f8941d39a0c0305e82c3301",
    "6fa459eaee8a4ca4894edb77e160355e",
    "7d444840c0de41bb95dc64f4a1b2c3d4",
)
OPERATOR = "c0ffee" + "1" * 26
MINUTE = 60


def agent(root: Path, run: str, start: float = 0, **info: Any) -> Book:
    """Return the run of an agent; what is not said of it is empty."""
    facts = {"issue_id": "", "rig": "", "agent_name": "", "host": ""}
    book = Book(root, run, {**facts, **info}, start)
    book.number_from(run)
    return book


def mayor(root: Path, start: float = -3 * 3600) -> Book:
    """Return the mayor's run, which has been there for hours."""
    return agent(root, MAYOR, start, session="hq-mayor", role="mayor", agent_name="mayor")


def polecat(root: Path, start: float = 15) -> Book:
    """Return the run of the polecat that works on de-1tr."""
    facts = {"session": "de-demo-rust", "role": "polecat", "rig": "demo", "agent_name": "rust"}
    return agent(root, POLECAT, start, **facts, issue_id="de-1tr")


def refinery(root: Path, start: float = -5 * 3600) -> Book:
    """Return the refinery's run."""
    return agent(
        root, REFINERY, start, session="de-demo-refinery", role="refinery", rig="demo", agent_name="refinery"
    )


def operator(root: Path) -> Book:
    """Return the commands of somebody outside any session, all of one trace."""
    book = Book(root, "")
    book.number_from(OPERATOR)
    return book


def outside(book: Book, name: str, start: float, end: float, parent: str = "", **attributes: Any) -> str:
    """Write a span of the operator's trace and return its id."""
    line = book.line(name, start, end, parent, attributes=attributes, trace_id=OPERATOR)
    book.append("traces.jsonl", line)
    return book.last


def made(book: Book, bead: str, span_id: str, moment: float = 0) -> str:
    """Note in the index which span made a bead, and write its log record; return the span's id.

    A bead of a refinery's queue, `de-wisp-…`, is a merge request too.
    """
    span = {"trace_id": book.run or OPERATOR, "span_id": span_id}
    for kind in (index.BEADS, index.MERGES) if bead.startswith("de-wisp-") else (index.BEADS,):
        index.note(book.journal, kind, bead, span)
    if book.run:
        book.log("bead.create", moment, span_id, bead_id=bead)
    return span_id


def a_merge(root: Path, *, merged: bool = True) -> dict[str, Book]:
    """Return de-1tr's story: slung by an operator, worked on, its merge taken after 48 minutes."""
    books = {
        "operator": operator(root),
        "mayor": mayor(root),
        "polecat": polecat(root),
        "refinery": refinery(root),
    }
    sling = outside(books["operator"], "sling", 0, 18, bead="de-1tr", target="demo")
    outside(books["operator"], "mol.cook", 2, 3, sling, formula_name="mol-polecat-work")
    for number in range(5):
        outside(
            books["operator"],
            "bd.call",
            4 + number,
            4.5 + number,
            sling,
            subcommand="show",
            args="show de-1tr",
        )
    work = books["polecat"]
    work.span("session.start", 15, 15.4, link=(OPERATOR, sling), role="polecat")
    work.span("prime", 20, 22, work_bead="de-1tr")
    for number in range(6):
        work.span("bd.call", 30 + 40 * number, 30.2 + 40 * number, subcommand="list", args="list --json")
    tool = work.span("claude_code.tool", 300, 420)
    work.span("exec", 301, 419, tool, attributes={"name": "make", "process.executable.name": "make"})
    mail = work.span(
        "mail", 430, 430.2, attributes={"operation": "send", "msg.to": "mayor/", "msg.id": "hq-wisp-xq0",
                                        "msg.subject": "which branch?"}
    )  # fmt: skip
    made(work, "hq-wisp-xq0", mail, 430.2)
    chief = books["mayor"]
    chief.span("bd.call", -7000, -6999, subcommand="list", args="list --json")
    inbox = chief.span("claude_code.tool", 500, 504)
    read = {"operation": "read", "msg.from": "demo/rust", "msg.id": "hq-wisp-xq0"}
    chief.span("mail", 501, 501.3, inbox, link=(POLECAT, mail), attributes=read)
    reply = chief.span("claude_code.tool", 510, 530)
    nudge = chief.span("nudge", 520, 521, reply, target="demo/rust")
    chief.span("bd.call", 2000, 2001, subcommand="ready", args="ready --json")
    work.span("prompt.send", 520.2, 520.8, link=(MAYOR, nudge), session="de-demo-rust")
    done = work.span("done", 600, 606, exit_type="COMPLETED", work_bead="de-1tr")
    asked = work.span("bd.call", 603, 603.4, done, subcommand="create",
                      args="create --json --labels=gt:merge-request --priority=1 --ephemeral")  # fmt: skip
    made(work, "de-wisp-r9p", asked, 603.4)
    work.close(607, session_id="de-demo-rust")
    line = books["refinery"]
    line.span("bd.call", -300, -299, subcommand="list", args="list --json")
    line.span("bd.call", 1200, 1201, error="exit 1", exit_code=1, subcommand="list", args="list --json")
    if merged:
        take = 603.4 + 48 * MINUTE
        line.span("bd.call", take, take + 0.4, subcommand="update", args="update de-wisp-r9p --claim",
                  link=(POLECAT, asked))  # fmt: skip
        line.span("git.operation", take + 5, take + 8, operation="fetch")
        test = line.span("claude_code.tool", take + 10, take + 100)
        line.span("exec", take + 10.5, take + 99, test, attributes={"name": "pytest"})
        line.span("git.operation", take + 105, take + 107, operation="push", branch="main")
        line.span("bd.call", take + 110, take + 110.5, subcommand="close", args="close de-wisp-r9p --reason",
                  link=(POLECAT, asked))  # fmt: skip
        line.span("bd.call", take + 500, take + 501, subcommand="list", args="list --json")
    return books
