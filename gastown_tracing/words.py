"""The words of command lines that may be recorded: those of bd 1.0.2 and of gt 1.0.1, and git's subcommands.

Data for `masking`, which says what becomes of every other word.
"""

#: The programs' own words: of bd and git the subcommands, of gt the words of its commands at every level
#: and their other names.
SUBCOMMANDS = {
    "bd": """
        admin ado assign audit backup batch blocked bootstrap branch children close comment comments compact
        completion config context cook count create create-form defer delete dep diff doctor dolt done
        duplicate duplicates edit epic export federation find-duplicates find-dups flatten forget formula gate
        gc github gitlab graph help history hooks human import info init jira kv label linear link lint list
        mail memories merge-slot migrate mol new note notion onboard orphans preflight prime priority promote
        protomolecule purge q query quickstart ready recall remember rename rename-prefix reopen repo restore
        rules search set-state setup ship show sql stale state stats status statuses supersede swarm tag todo
        types undefer update upgrade vc version view where worktree
        """,
    "git": """
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
        """,
    "gt": """
        account ack acp activity add addresses ag agent agent-email-domain agent-log agents announces
        apply archive assign at attach attach-from-mail attachment audit auto-close auto-prune-status
        await-event await-signal base bash bd bd-init bead beads blocked boot broadcast browse burn call
        callbacks cancel capture cat changelog channel charsheet check check-recovery checkpoint claim
        cleanup cleanup-orphans clear clear-backoff cli close commit commits compact completion config
        convoy cost-tier costs crash create crew current cycle daemon dag dangerous-command dashboard
        databases dea deacon decay def default default-agent delete detach detect diff digest dir
        directive directives directory disable dispatch dnd dock doctor dog dogs dolt done down drain dump
        edit emit emit-event enable enable-supervisor env escalate estop execute feed feed-stranded
        feed-stranded-state file fish fix fix-metadata flatten force-kill forget formula formulas gc get
        git-init git-state group gt guard handoff health health-check health-state heartbeat help history
        home hook hooks id identity inbox info init init-rig inject install integration issue join kill
        kill-imposters krc land launch list log logs ls mail maintain mark-read mark-unread may mayor
        memories menu metrics migrate migrate-wisps mol mol-patrol molecule mountain move mq mr namepool
        new next notify nudge nudge-poller nuke orphans overlay override park patrol pause peek plugin
        polecat polecat-stop-check polecats pool-init post post-merge powershell pr-workflow prev prime
        pristine process procs progress proxy-subcmds prune prune-branches pull purge queue quick-add
        quota read ready reap reaper rebase reboot recap recent record recover redispatch redispatch-state
        ref refinery refresh registry reject release remember remove rename repair reply report reset
        respawn-reset restart resume retry rig role rollback rotate rotate-logs rs run scan scheduler
        scorekeeper seance search send sess session set settings shell show shutdown signal sling spawn
        sql squash stage stale stale-hooks stamp stamps start stat state stats status status-line step
        stop stranded submit subscribe subscribers switch sync synth synthesis tap test thanks thaw theme
        themes thread town trail triage unclaimed undock unhook uninstall unpark unset unsling unsubscribe
        unwatch up upgrade version vitals warrant watch whoami witness wl work worktree write zombie-scan
        zsh
        """,
}

#: The words that bd's commands take directly behind them.
NESTED = {
    "admin": "cleanup compact reset",
    "ado": "projects pull push status sync",
    "audit": "label record",
    "backup": "add init remove restore rm status sync",
    "comments": "add",
    "completion": "bash fish powershell zsh",
    "config": "apply drift get list set set-many show unset validate",
    "dep": "add cycles list relate remove rm tree unrelate",
    "dolt": "clean-databases commit killall pull push remote set show start status stop test",
    "dolt remote": "add list remove",
    "epic": "close-eligible status",
    "federation": "add-peer list-peers remove-peer status sync",
    "formula": "convert list show",
    "gate": "add-waiter check discover list resolve show",
    "github": "pull push repos status sync",
    "gitlab": "projects pull push status sync",
    "graph": "check",
    "hooks": "install list run uninstall",
    "human": "dismiss list respond stats",
    "jira": "pull push status sync",
    "kv": "clear get list set",
    "label": "add list list-all propagate remove",
    "linear": "pull push status sync teams",
    "mail": "archive check inbox list read reply send",
    "merge-slot": "acquire check create release",
    "migrate": "hooks issues sync",
    "mol": "bond burn current distill last-activity list pour progress ready seed show squash stale wisp",
    "mol wisp": "create gc list",
    "notion": "connect init pull push status sync",
    "repo": "add list remove sync",
    "rules": "audit compact",
    "state": "list",
    "swarm": "create list status validate",
    "todo": "add done list",
    "upgrade": "ack review status",
    "vc": "commit merge status",
    "worktree": "create info list remove",
}

#: By what their positional arguments are, one kind each and the last for all that follow: the commands of bd.
PLACES = {
    ("id", "text"): "assign, comment, comments add, gate add-waiter, note, set-state, state",
    ("id",): (
        "children, close, comments, defer, delete, dep, dep add, dep list, dep relate, dep remove, dep rm, "
        "dep tree, dep unrelate, done, duplicate, edit, gate resolve, gate show, graph, history, "
        "human dismiss, human respond, label list, link, lint, mol bond, mol burn, mol current, "
        "mol last-activity, mol progress, mol show, mol squash, promote, rename, reopen, restore, show, "
        "state list, supersede, swarm create, swarm status, swarm validate, todo done, undefer, update, "
        "view"
    ),
    ("setting",): "config get, config unset",
    ("setting", "text"): "config set",
    ("formula",): "cook, formula show, mol pour, mol seed, mol wisp, mol wisp create",
    ("id", "label"): "label add, label propagate, label remove, tag",
    ("id", "formula"): "mol distill",
    ("id", "priority"): "priority",
}

#: The flags of bd, by the kind of their values: an enumeration, a shape that masking knows, or `text`.
#: A letter that means one thing to this command and another to that is listed once: values are matched, too.
FLAGS = {
    "switch": """
        --agent --all --allow-empty-description --allow-stale --analyze --apply --assigned --auto --auto-merge
        --beads --blocking --bootstrap-match --box --by-assignee --by-label --by-priority --by-status
        --by-type --cascade --chain --check-health --children --claim --claim-next --clean --closed --compact
        --continue --contributor --create-only --csv --current --deep --deferred --delete --details --dolt
        --dot --dry-run --eligible-only --empty-description --ephemeral --escalate --explain --export
        --external --fix --fix-child-parent --flat --force --from-jsonl --full --gated --global --help
        --history --html --include-deferred --include-ephemeral --include-gates --include-infra
        --include-templates --inspect --interactive --json --keep-children --list --local-time --long --mcp
        --no-activity --no-assignee --no-auto --no-create --no-descriptions --no-ephemeral --no-history
        --no-inherit-labels --no-labels --no-memories --no-pager --no-parent --no-pinned --non-interactive
        --orchestrator --overdue --parallel --parse-only --perf --persist --persistent --pinned --plain --pour
        --prefer-ado --prefer-github --prefer-gitlab --prefer-jira --prefer-linear --prefer-local
        --prefer-newer --prefer-notion --pretty --print --profile --pull --pull-only --push --push-only
        --quiet --readonly --ready --reconcile --refs --remove --repair --reverse --root-only --sandbox
        --schema --scrub --server --setup-exclude --shared --shared-server --short --show-all-paths --silent
        --skip-agents --skip-decay --skip-dolt --skip-hooks --skip-lint --stats --stdin --stdout --stealth
        --strict --suggest-next --thanks --thread --tree --unassigned --update-config --update-refs
        --update-repo-id --validate --verbose --version --wait --watch --whats-new --within-from-only --yes -V
        -f -h -i -q -u -v -w -y
        """,
    "text": """
        --acceptance --acceptance-criteria --actor --add --agents-file --agents-template --append-notes
        --area-path --as --as-of --assignee --attach --author --await-id --body --body-file --branch --check
        --closed-after --closed-before --comment --context --coordinator --created-after --created-before
        --database --db --defer --defer-after --defer-before --desc-contains --description --description-file
        --design --design-file --destroy-token --doc --due --due-after --due-before --error --event-actor
        --event-category --event-payload --event-target --external-contains --external-ref --file --for --from
        --from-file --graph --group --has-metadata-key --holder --ids-file --iteration-path --key
        --label-pattern --label-regex --max-age --message --metadata --metadata-field --milestone --model
        --notes --notes-contains --output --password --path --pattern --peer --prefix --project --prompt
        --query --range --reason --ref --repo --resolution --response --search-path --server-host
        --server-user --session --set-metadata --skills --source --sovereignty --spec --spec-id --summary
        --team --threshold --title --title-contains --to --tool-name --unset-metadata --until --updated-after
        --updated-before --url --user -a -d -m -o -r
        """,
    "age": "--age --older-than",
    "choice": """
        --agents-profile --backend --direction --dolt-auto-commit --format --include --kind --method
        --migration --mode --role --strategy --waits-for-gate
        """,
    "dependency": "--deps",
    "environment": "-e --env",
    "id": """
        --blocked-by --blocks --depends-on --filter-parent --id --issue-id --issues --mol --of --parent
        --waits-for --with -b
        """,
    "label": "--add-label --label --label-any --labels --remove-label --set-labels --tag -l",
    "number": """
        --batch-size --days --estimate --exit-code --limit --max-depth --orchestrator-duplicates-threshold
        --server-port --tier --workers -n
        """,
    "priority": "--priority --priority-max --priority-min -p",
    "sort": "--sort",
    "status": "--state --states --status",
    "status or sort": "-s",
    "type": "--attach-type --exclude-type --mol-type --type --types --wisp-type -t",
    "variable": "--var",
}

_STATUSES = "all blocked closed deferred hooked in_progress open pinned ready staged_ready staged_warnings"
_SORTS = "assignee closed created hybrid id oldest priority status title type updated"

#: The words that a dependency's type may be.
DEPENDENCIES = """
    approved-by assigned-to attests authored-by blocks caused-by conditional-blocks delegated-from
    discovered-from duplicates parent-child related relates-to replies-to supersedes tracks until validates
    waits-for
    """

#: Enumerations: all the words that a value of the kind may be, and be shown.
ENUMERATIONS = {
    "switch": "false true",
    "choice": """
        ai all-children any-children batch both closure compile contributor digraph dolt dot down downstream
        full json label llm_call maintainer mechanical mermaid minimal none off on ours post pre runtime
        sqlite theirs tool_call up upstream
        """,
    "formula": """
        beads-release code-review design gastown-release mol-boot-triage mol-convoy-cleanup mol-convoy-feed
        mol-deacon-patrol mol-dep-propagate mol-digest-generate mol-dog-backup mol-dog-checkpoint
        mol-dog-compactor mol-dog-doctor mol-dog-jsonl mol-dog-phantom-db mol-dog-reaper mol-dog-stale-db
        mol-gastown-boot mol-idea-to-plan mol-orphan-scan mol-plan-review mol-polecat-code-review
        mol-polecat-conflict-resolve mol-polecat-lease mol-polecat-review-pr mol-polecat-work
        mol-polecat-work-monorepo mol-polecat-work-monorepo-tdd mol-pr-feedback-patrol mol-prd-review
        mol-refinery-patrol mol-session-gc mol-shutdown-dance mol-sync-workspace mol-town-shutdown
        mol-witness-patrol rule-of-five security-audit shiny shiny-enterprise shiny-secure tdd-cycle
        towers-of-hanoi towers-of-hanoi-10 towers-of-hanoi-7 towers-of-hanoi-9
        """,
    "priority": "0 1 2 3 4 P0 P1 P2 P3 P4 p0 p1 p2 p3 p4",
    "setting": """
        allowed_prefixes beads.role dolt.auto-commit export.auto export.git-add export.interval export.path
        issue_prefix routing.mode scheduler.max_polecats status.custom types.custom
        """,
    "sort": _SORTS,
    "status": _STATUSES,
    "status or sort": f"{_STATUSES} {_SORTS}",
    "type": f"""
        {DEPENDENCIES}
        adr agent aspect bug chore conditional convoy dec decision enhancement epic error escalation event
        expansion feat feature gate gc_report heartbeat merge-request message milestone mol molecule mr
        parallel patrol ping queue recovery rig role sequential slot spike story swarm task wisp work workflow
        """,
    "delivery": "acked pending",
    "message": "escalation notification reply scavenge task",
    "severity": "critical high low medium",
}

#: The labels that are known as a whole.
LABELS = """
    acked digest escalation gt:agent gt:bug gt:channel gt:convoy gt:epic gt:escalation gt:group gt:keep
    gt:merge-request gt:merge-slot gt:message gt:molecule gt:owned gt:owned-direct gt:queue gt:rig gt:role
    gt:sling-context gt:standing-orders gt:task gt:wisp mountain read reescalated resolved status:docked
    status:parked type:plugin-run
    """

#: The keys of labels `key:value`, by the kind of their values.
LABEL_KEYS = {
    "delivery": "delivery",
    "done": "done-cp done-intent",
    "id": "blocked-by escalation reply-to",
    "message": "msg-type",
    "severity": "severity",
    "text": """
        announce announce_channel backoff-until cc channel claimed-at claimed-by delivery-acked-at
        delivery-acked-by from group heartbeat idle plugin queue rig swarm thread
        """,
}

#: What stands before the values in the labels of `gt done`: how it ends, and how far it is.
DONE = "COMPLETED DEFERRED ESCALATED mr-created pushed witness-notified"

#: The variables of Gas Town's own formulas, by the kind of their values.
VARIABLES = {
    "id": "issue",
    "text": """
        base_branch build_command context feature integration_branch_auto_land
        integration_branch_refinery_enabled judgment_enabled lint_command merge_strategy prefix problem reason
        repo requester require_review review_depth review_id rig run_tests setup_command target target_branch
        test_command typecheck_command warrant_id wisp_type
        """,
}
