"""What of a command line may be recorded, by allow-list: known subcommands and known names of flags.

Every other word, an unknown flag and a positional argument alike, becomes `‹n bytes›` ("Secrets" in the data
model).
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: The programs' own words: of bd and git the subcommands, of gt the words of its commands at every level.
SUBCOMMANDS = {
    "bd": _words(
        """
        admin ado assign audit backup batch blocked bootstrap branch children close comment comments compact
        completion config context cook count create create-form defer delete dep diff doctor dolt duplicate
        duplicates edit epic export federation find-duplicates flatten forget formula gate gc github gitlab
        graph help history hooks human import info init jira kv label linear link lint list mail memories
        merge-slot migrate mol note notion onboard orphans preflight prime priority promote purge q query
        quickstart ready recall remember rename rename-prefix reopen repo restore rules search set-state
        setup ship show sql stale state status statuses supersede swarm tag todo types undefer update
        upgrade vc version where worktree
        """
    ),
    "git": _words(
        """
        add am annotate apply archive bisect blame branch bugreport bundle cat-file check-attr check-ignore
        check-mailmap check-ref-format checkout checkout-index cherry cherry-pick clean clone column commit
        commit-graph commit-tree config count-objects daemon describe diagnose diff diff-files diff-index
        diff-tree difftool fast-export fast-import fetch fetch-pack filter-branch fmt-merge-msg for-each-ref
        for-each-repo format-patch fsck fsck-objects gc get-tar-commit-id grep hash-object help hook
        imap-send index-pack init init-db instaweb interpret-trailers log ls-files ls-remote ls-tree
        mailinfo mailsplit maintenance merge merge-base merge-file merge-index merge-octopus merge-one-file
        merge-ours merge-recursive merge-recursive-ours merge-recursive-theirs merge-resolve merge-subtree
        merge-tree mergetool mktag mktree multi-pack-index mv name-rev notes pack-objects pack-redundant
        pack-refs patch-id pickaxe prune prune-packed pull push quiltimport range-diff read-tree rebase
        reflog remote repack replace request-pull rerere reset restore rev-list rev-parse revert rm
        send-pack shell shortlog show show-branch show-index show-ref sparse-checkout stage stash status
        stripspace submodule subtree switch symbolic-ref tag unpack-file unpack-objects update-index
        update-ref update-server-info var verify-commit verify-pack verify-tag version whatchanged worktree
        write-tree
        """
    ),
    "gt": _words(
        """
        account ack acp activity add agent agents announces apply archive assign at attach attachment audit
        await-event await-signal bead beads blocked boot broadcast browse burn call callbacks cancel cat
        changelog channel check checkpoint claim cleanup clear close commit compact config convoy cost-tier
        costs crash create crew current cycle daemon dag dashboard databases deacon decay def default delete
        detach detect diff digest directive disable dispatch dnd dock doctor dog dolt done down drain dump
        edit emit enable env escalate estop execute feed fix flatten forget formula gc get git-init group gt
        guard handoff health heartbeat help history home hook hooks identity inbox info init install
        integration issue join kill krc land launch list log logs mail maintain mark-read mark-unread mayor
        memories menu metrics migrate mol mountain move mq namepool new next notify nudge orphans overlay
        park patrol pause peek plugin polecat pool-init post prev prime process progress prune pull purge
        queue read ready reap reaper rebase recover refinery refresh registry reject release remember remove
        rename repair reply report reset restart resume retry rig role rollback rotate run scan scheduler
        seance search send session set settings shell show shutdown signal sling spawn sql squash stage
        stale start state stats status stop stranded submit subscribe subscribers switch sync synthesis tap
        test thanks thaw theme thread town trail triage unclaimed undock uninstall unpark unset unsling
        unsubscribe up upgrade version vitals warrant watch whoami witness wl worktree
        """
    ),
}

#: The flags of bd whose names may be shown; their values never are.
BD_FLAGS = _words(
    """
    acceptance actor add add-label agent agents-file agents-profile agents-template all
    allow-empty-description allow-stale append-notes as-of assigned assignee attach attach-type
    auto-merge await-id backend blocked-by blocks body-file box by-assignee by-label by-priority
    by-status by-type cascade check check-health children claim claim-next clean closed-after
    closed-before compact context continue contributor created-after created-before csv current database
    days db deep defer defer-after defer-before deferred depends-on deps desc-contains description
    design design-file destroy-token details doc dolt-auto-commit dot dry-run due due-after due-before
    empty-description ephemeral estimate event-actor event-category event-payload event-target
    exclude-type explain export external external-contains external-ref file fix fix-child-parent flat
    force format from-file from-jsonl full gated global graph has-metadata-key help history html id
    include-deferred include-ephemeral include-gates include-infra include-templates inspect interactive
    json key label label-any label-pattern label-regex labels limit list local-time long mcp message
    metadata metadata-field method migration mode model mol mol-type no-activity no-assignee no-auto
    no-history no-inherit-labels no-labels no-memories no-pager no-parent no-pinned non-interactive
    notes notes-contains of older-than orchestrator orchestrator-duplicates-threshold output overdue
    parent parse-only pattern perf persist persistent pinned plain prefix pretty print priority
    priority-max priority-min profile project query quiet readonly ready reason refs remove remove-label
    repair repo reverse role root-only sandbox schema scrub search-path server server-host server-port
    server-user session set-labels set-metadata setup-exclude shared-server short silent skills
    skip-agents skip-decay skip-dolt skip-hooks skip-lint sort spec spec-id status stdin stealth
    suggest-next tag team thanks thread threshold title title-contains tree type unassigned
    unset-metadata until update-config update-repo-id updated-after updated-before validate var verbose
    waits-for waits-for-gate watch whats-new wisp-type with yes
    """
)


def subcommand(program: str, arguments: "Sequence[str]") -> tuple[int, str]:
    """Return (index, text) of the subcommand of `bd`, `git` or `gt`; (-1, "") where there is none.

    It is the first word that the program knows, so that the value of a flag before it is never taken for it.
    """
    known = SUBCOMMANDS.get(program, frozenset())
    for index, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument in known:
            return index, argument
    return -1, ""


def command_words(program: str, arguments: "Sequence[str]") -> str:
    """Return the subcommand and, where the program knows it as well, the word behind it: `mail send`."""
    index, name = subcommand(program, arguments)
    following = arguments[index + 1 : index + 2] if index >= 0 else ()
    return " ".join([name, *(word for word in following if word in SUBCOMMANDS[program])])


def masked(program: str, arguments: "Sequence[str]") -> tuple[str, str]:
    """Return a command's subcommand ("" for none), and its arguments with nothing but that and flag names."""
    kept, name = subcommand(program, arguments)
    words = []
    literal = False
    for index, argument in enumerate(arguments):
        if index == kept:
            words.append(argument)
        elif literal or argument[:1] != "-":
            words.append(mask(argument))
        elif argument == "--":
            literal = True
            words.append(argument)
        elif argument[2:] in BD_FLAGS and argument[1] == "-":
            words.append(argument)
        else:
            words.append(_mask_flag(argument))
    return name, " ".join(words)


def mask(value: str) -> str:
    """Return what stands for a value: its length in UTF-8 bytes."""
    length = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return f"‹{length} bytes›"


def _mask_flag(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if name[2:] in BD_FLAGS and name.startswith("--"):
        return f"{name}={mask(value)}" if equals else name
    if argument[1:2].isalpha() and argument[1:2].isascii():  # `-d`, and `-dSECRET`: a value glued to its flag
        return argument[:2] + (mask(argument[2:]) if argument[2:] else "")
    return mask(argument)
