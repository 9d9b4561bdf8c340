"""What a real town looks like when it is traced: written from data model and gt's source, before any run.

One bead's way through a town: `STEPS` are the commands, each with the span that it has to be, what hangs
below that, and what it caused or was caused by; `SESSIONS` are the runs, with what started each of them.
What a step brings to light (ids, a branch) has a name in braces in the steps after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OP, POLECAT, WITNESS, REFINERY, CREW = (
    "",
    "demo/polecats/rust",
    "demo/witness",
    "demo/refinery",
    "demo/crew/alice",
)

ASK = "gt mail send demo/witness -s Question -m 'What now?'"


@dataclass(frozen=True)
class Step:
    """One command of somebody's, and the span that it is.

    `by` is whose agent runs it, OP the operator outside any session. `span` and `attributes` are its own
    span's, none where nobody wants to see the command. `beneath` counts every other span below it in its own
    trace but `bd.call`, which is counted by process. `cause` is (name of the span in this step, step, name of
    the span there): the one link out of this trace.
    `prompts` counts the prompts that it sends into others' runs, each of which links back to it.
    """

    name: str
    by: str
    command: str
    span: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    beneath: Mapping[str, int] = field(default_factory=dict)
    cause: tuple[str, str, str] = ("", "", "")
    prompts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Session:
    """One run: who, and (step, span) that its session.start links to. `work` is its bead after a prime."""

    actor: str
    role: str
    name: str
    started_by: tuple[str, str]
    work: str = ""
    mol: str = ""


#: gt sling starts the witness and the refinery through `gt rig boot`, and the polecat itself; crew comes
#: without a GT_RUN. `gt prime` hooks a patrol to the refinery, which is then its work; a crew has none.
SESSIONS = (
    Session(WITNESS, "witness", "de-witness", ("sling", "gt.command")),
    Session(REFINERY, "refinery", "de-refinery", ("sling", "gt.command"), work="{patrol}"),
    Session(POLECAT, "polecat", "de-rust", ("sling", "sling"), work="{bead}", mol="{mol}"),
    Session(CREW, "crew", "de-crew-alice", ("crew start", "gt.command")),
)

STEPS = (
    Step("create", OP, "bd create 'A task' -t task -p 1 --json", "bd.call", {"subcommand": "create"}),
    # worktree prune, fetch, worktree add; one convoy, one formula, one wisp, and the new polecat's own bead;
    # witness and refinery are booted.
    Step(
        "sling",
        OP,
        "gt sling {bead} demo",
        "sling",
        {"bead": "{bead}", "target": "demo"},
        {
            "convoy.create": 1,
            "mol.cook": 1,
            "mol.wisp": 1,
            "polecat.spawn": 1,
            "git.operation": 3,
            "gt.command": 1,
        },
        prompts={WITNESS: 1},
    ),
    # gt prime asks gt for the mail: `gt mail check --inject`.
    Step("prime", POLECAT, "gt prime", "prime", {"work_bead": "{bead}"}, {"mail": 1}),
    Step("look", POLECAT, "bd show {bead}", "bd.call", {"subcommand": "show"}),
    Step("ask", POLECAT, ASK, "gt.command", {"command": "mail send"}, {"mail": 1}, prompts={WITNESS: 1}),
    Step(
        "read",
        WITNESS,
        "gt mail read {question}",
        "mail",
        {"operation": "read", "msg.id": "{question}"},
        cause=("mail", "ask", "mail"),
    ),
    Step(
        "reply",
        WITNESS,
        "gt mail reply {question} -s 'Re: Question' -m 'Go on'",
        "gt.command",
        {"command": "mail reply"},
        {"mail": 1},
        cause=("mail", "ask", "mail"),
        prompts={POLECAT: 1},
    ),
    Step(
        "answer",
        POLECAT,
        "gt mail read {answer}",
        "mail",
        {"operation": "read", "msg.id": "{answer}"},
        cause=("mail", "reply", "mail"),
    ),
    Step(
        "nudge",
        OP,
        "gt nudge demo/polecats/rust 'Faster please'",
        "nudge",
        {"target": "demo/polecats/rust"},
        prompts={POLECAT: 1},
    ),
    # Its `git clone` has /tmp for a working directory: outside a run that is no command of a known town.
    Step("crew add", OP, "gt crew add alice --rig demo", "gt.command", {"command": "crew add"}),
    Step("crew start", OP, "gt crew start demo alice", "gt.command", {"command": "crew start"}),
    Step("crew prime", CREW, "gt prime", "prime", {}, {"mail": 1}),
    Step("crew ready", CREW, "bd ready", "bd.call", {"subcommand": "ready"}),
    Step("work", POLECAT, "echo x >x && git add x && git commit -q -m 'work on it'"),
    # ls-remote, push, ls-remote, checkout; refinery and witness are told.
    Step(
        "done",
        POLECAT,
        "gt done",
        "done",
        {"exit_type": "COMPLETED", "rig": "demo", "bead_id": "{bead}"},
        {"git.operation": 4},
        prompts={REFINERY: 1, WITNESS: 1},
    ),
    Step("patrol", REFINERY, "gt prime", "prime", {"work_bead": "{patrol}"}, {"mail": 1}),
    Step("fetch", REFINERY, "git fetch -q --prune origin", "git.operation", {"operation": "fetch"}),
    Step("queue", REFINERY, "gt mq list demo", "gt.command", {"command": "mq list"}),
    Step("branch", REFINERY, "git checkout -q -b temp {branch}", "git.operation", {"operation": "checkout"}),
    Step("rebase", REFINERY, "git rebase -q origin/main"),
    Step("main", REFINERY, "git checkout -q main", "git.operation", {"operation": "checkout"}),
    Step("merge", REFINERY, "git merge -q --ff-only temp"),
    Step("push", REFINERY, "git push -q origin main", "git.operation", {"operation": "push"}),
    # It closes the merge request, which the polecat's bd made, then the bead; and deletes the branch.
    Step(
        "merged",
        REFINERY,
        "gt mq post-merge demo {mr}",
        "gt.command",
        {"command": "mq post-merge"},
        {"git.operation": 1},
        cause=("bd.call", "done", "bd.call"),
    ),
    Step(
        "tell",
        REFINERY,
        "gt mail send demo/witness -s 'MERGED rust' -m merged",
        "gt.command",
        {"command": "mail send"},
        {"mail": 1},
        prompts={WITNESS: 1},
    ),
    Step("stop", OP, "gt crew stop alice --rig demo", "gt.command", {"command": "crew stop"}),
)

#: Sessions that are over in the end, with the step whose span their session.stop links to.
STOPPED = {CREW: "stop"}
