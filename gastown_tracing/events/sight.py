"""How each event of the registry is seen in a town whose programs know nothing of us: data for the docs.

`docs/sight.md` is made of it, and a test holds each command line here against what the shims make of it.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Who sees it: a shim, a hook of Claude Code's, the relay's receiver, a probe, the relay; or nobody.
SHIM, HOOK, RECEIVER, PROBE, RELAY, NOT = "shim", "hook", "receiver", "probe", "relay", "not"
WAYS = (SHIM, HOOK, RECEIVER, PROBE, RELAY, NOT)


@dataclass(frozen=True, slots=True)
class Sight:
    """One way in which an event is seen, or (NOT) why it is not.

    `line` is a command line that is the event, for a shim's; `what` says what is seen, or which part of it is
    not.
    """

    event: str
    way: str
    what: str
    line: str = ""


#: In the registry's order; an event's first row is the usual one.
SIGHTS = (
    Sight(
        "agent.instantiate",
        SHIM,
        "The agent's own process: at new-session where that names it, else when its pane is filled. Again "
        "with each later respawn, in the same run.",
        "tmux respawn-pane -k -t de-rust 'exec env GT_ROLE=demo/polecats/rust claude'",
    ),
    Sight("agent.instantiate", RELAY, "An agent in a session that no shim saw begin."),
    Sight(
        "session.start",
        SHIM,
        "A session, with GT_RUN or without; a link leads to the command that spawned it.",
        "tmux new-session -d -s de-rust -e GT_RUN=3332b129-af15-4f71-9ecd-9b5c2fe437ee",
    ),
    Sight("session.start", RELAY, "A session of the town that tmux has and no shim saw begin."),
    Sight(
        "session.stop",
        SHIM,
        "A session that somebody ends; a link leads to the command that did.",
        "tmux kill-session -t de-rust",
    ),
    Sight("session.stop", RELAY, "A session that is gone from tmux, a pane that died, another boot."),
    Sight(
        "session.stalled", NOT, "How long is too long nobody has said; `gastown.session.idle_ms` is there."
    ),
    Sight(
        "crew.session",
        SHIM,
        "`start` and `done`, where a command names the rig: alone, a name may be a rig's. Nobody says when a "
        "crew member pushes or is idle.",
        "gt crew start alice --rig demo",
    ),
    Sight("prime", SHIM, "An agent that primes.", "gt prime"),
    Sight(
        "prime",
        HOOK,
        "SessionStart: gt's own hook calls gt by its full path, past the shim. hook_mode is true.",
    ),
    Sight(
        "prime.context",
        RECEIVER,
        "gt's own record, where gt exports (GT_OTEL_NATIVE). What `gt prime` prints no shim reads.",
    ),
    Sight(
        "prompt.send",
        SHIM,
        "The text, Escape and Enter of one pane are one prompt, in the run that it is for; a link leads to "
        "the nudge or mail that sent it.",
        "tmux send-keys -t de-rust -l 'check your mail'",
    ),
    Sight("pane.read", SHIM, "Who looks at a pane.", "tmux capture-pane -p -t de-rust -S -30"),
    Sight(
        "pane.output",
        SHIM,
        "With GT_LOG_PANE_OUTPUT: the shim asks tmux for a copy of what the pane shows.",
        "tmux new-session -d -s de-rust -e GT_RUN=3332b129-af15-4f71-9ecd-9b5c2fe437ee",
    ),
    Sight("agent.event", HOOK, "With GT_LOG_AGENT_OUTPUT: prompts, tools used, their results, answers."),
    Sight(
        "agent.usage",
        NOT,
        "It stands in the transcripts, which are not read. Claude Code's own spans, by the receiver, carry "
        "tokens.",
    ),
    Sight(
        "agent.state_change",
        SHIM,
        "gt writes the state into the description of the agent's bead, with other fields of it too: the "
        "state may be the one it was.",
        "bd update de-demo-polecat-rust --description='role_type: polecat\nagent_state: working'",
    ),
    Sight("agent.state_change", HOOK, "Claude Code works, waits for somebody, or is idle."),
    Sight("retry.alert", NOT, "Nobody counts retries; `gt-trace event retry.alert` records one."),
    Sight(
        "mail",
        SHIM,
        "`send`: gt and bd alike make the message's bead with this label. Its id is in what bd prints.",
        "bd create --assignee mayor/ --labels gt:message,from:demo/witness -- Question",
    ),
    Sight(
        "mail",
        SHIM,
        "`read` and the operations that bd does not show (inbox, check, archive, …). A message that is named "
        "by its place in the inbox has no id here.",
        "gt mail read hq-wisp-xq0",
    ),
    Sight("sling", SHIM, "Work that is handed on; a dry run is none.", "gt sling de-1tr demo"),
    Sight("nudge", SHIM, "Whoever is nudged by name.", "gt nudge demo/rust 'please go on'"),
    Sight(
        "done",
        SHIM,
        "The end of work: how, and on which bead, by what is given and the work in force.",
        "gt done --status DEFERRED",
    ),
    Sight(
        "polecat.spawn",
        SHIM,
        "A new polecat's own bead is made. One that is used again shows as agent.state_change to `spawning`.",
        "bd create --id=de-demo-polecat-rust "
        "--description='role_type: polecat\nrig: demo\nagent_state: spawning'",
    ),
    Sight(
        "polecat.remove",
        SHIM,
        "Those that are named: of `--all` nobody says whom it meant.",
        "gt polecat nuke demo/rust --force",
    ),
    Sight("daemon.restart", RECEIVER, "The daemon's own record, where gt exports (GT_OTEL_NATIVE)."),
    Sight("bd.call", SHIM, "Every bd command, also one that is another event as well.", "bd ready --json"),
    Sight(
        "git.operation",
        SHIM,
        "clone, fetch, pull, push, ls-remote, checkout, switch, `remote update` and `prune`, `submodule "
        "update`, `worktree` add, move, prune, remove and repair. Aliases of git are not understood.",
        "git push origin HEAD:polecat/rust/de-1tr",
    ),
    Sight(
        "gt.command", SHIM, "Every gt command that has no event of its own.", "gt convoy create Sprint de-22l"
    ),
    Sight("exec", NOT, "Only what is run by `gt-trace exec`: no other program has a shim."),
    Sight(
        "formula.instantiate",
        SHIM,
        "A formula that is poured, bonded to a bead or run. What a sling does with one shows as mol.cook and "
        "mol.wisp.",
        "bd mol bond mol-review de-1tr",
    ),
    Sight(
        "formula.instantiate", RECEIVER, "gt's own record of a sling's, where gt exports (GT_OTEL_NATIVE)."
    ),
    Sight(
        "convoy.create",
        SHIM,
        "The convoy's bead is made, by gt or by hand.",
        "bd create --type=convoy --id=hq-cv-trf2a --title=Sprint",
    ),
    Sight("mol.cook", SHIM, "A formula is compiled.", "bd cook mol-polecat-work"),
    Sight(
        "mol.wisp",
        SHIM,
        "A wisp is made; its root is in what bd prints.",
        "bd mol wisp mol-polecat-work --var issue=de-1tr --json",
    ),
    Sight(
        "mol.squash",
        SHIM,
        "By gt without the molecule's id, which only gt knows. Steps are not counted.",
        "bd mol squash de-mol-k4f",
    ),
    Sight("mol.burn", SHIM, "As mol.squash.", "gt mol burn"),
    Sight(
        "bead.create",
        SHIM,
        "Every bead that `bd create` makes and that is no mail, convoy or polecat. Its id is given, or in "
        "what bd prints; without it there is no record.",
        "bd create --labels=gt:merge-request --title='Merge: de-1tr'",
    ),
    Sight(
        "refinery.dispatch",
        PROBE,
        "The merge queues are looked at; a link leads to what asked for the merge.",
    ),
    Sight("scheduler.dispatch_cycle", NOT, "The daemon does it by itself and tells nobody how it went."),
    Sight("witness.patrol", NOT, "A patrol is many commands of the witness's, each of which is seen."),
    Sight("deacon.transition", NOT, "The deacon keeps its state in a file that is not watched."),
)
