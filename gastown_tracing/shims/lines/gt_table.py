"""gt's commands, their other names, and what is needed to read the flags of those that are events: data.

Commands and flags are those of gt 1.0.1, the hidden ones too. A command's key is its words.
"""

#: The commands below each command; "" is gt itself.
COMMANDS = {
    "": """
        account activity agent-log agents assign audit bead boot broadcast callbacks cat changelog
        checkpoint cleanup close commit compact completion config convoy costs crew cycle daemon dashboard
        deacon directive disable dnd doctor dog dolt done down enable escalate estop feed forget formula
        git-init handoff health heartbeat help hook hooks info init install issue krc log mail maintain
        mayor memories metrics mol mountain mq namepool notify nudge nudge-poller orphans patrol peek
        plugin polecat prime proxy-subcmds prune-branches quota ready reaper refinery release remember
        repair resume rig role scheduler seance session shell show shutdown signal sling stale start
        status status-line synthesis tap thanks thaw theme town trail uninstall unsling up upgrade version
        vitals warrant whoami witness wl worktree
        """,
    "account": "add default list status switch",
    "activity": "emit",
    "agents": "check fix list menu state",
    "bead": "move read show",
    "boot": "spawn status triage",
    "callbacks": "process",
    "checkpoint": "clear read write",
    "compact": "report",
    "completion": "bash fish powershell zsh",
    "config": "agent agent-email-domain cost-tier default-agent get set",
    "config agent": "get list remove set",
    "config default-agent": "list",
    "convoy": "add check close create land launch list stage status stranded unwatch watch",
    "costs": "digest record",
    "crew": "add at list next prev pristine refresh remove rename restart start status stop",
    "cycle": "next prev",
    "daemon": "clear-backoff enable-supervisor logs rotate-logs run start status stop",
    "deacon": """
        attach cleanup-orphans feed-stranded feed-stranded-state force-kill health-check health-state
        heartbeat pause redispatch redispatch-state restart resume stale-hooks start status stop
        zombie-scan
        """,
    "directive": "edit list show",
    "dog": "add call clear dispatch done health-check list remove status",
    "dolt": """
        cleanup dump fix-metadata flatten init init-rig kill-imposters list logs migrate migrate-wisps
        pull rebase recover restart rollback sql start status stop sync
        """,
    "escalate": "ack close list show stale",
    "formula": "create list overlay run show",
    "formula overlay": "edit list show",
    "hook": "attach clear detach show status",
    "hooks": "base diff init install list override registry scan sync",
    "issue": "clear set show",
    "krc": "auto-prune-status config decay prune stats",
    "krc config": "reset set",
    "log": "crash",
    "mail": """
        announces archive channel check claim clear delete directory drain group hook inbox mark-read
        mark-unread peek queue read release reply search send thread
        """,
    "mail channel": "create delete list show subscribe subscribers unsubscribe",
    "mail group": "add create delete list remove show",
    "mail queue": "create delete list show",
    "mayor": "acp attach restart start status stop",
    "mol": """
        attach attach-from-mail attachment await-signal burn current dag detach progress squash status
        step
        """,
    "mol step": "await-event await-signal done emit-event",
    "mountain": "cancel pause resume status",
    "mq": "integration list next post-merge reject retry status submit",
    "mq integration": "create land status",
    "namepool": "add create delete reset set themes",
    "orphans": "kill procs",
    "orphans procs": "kill list",
    "patrol": "digest new report scan",
    "plugin": "history list run show sync",
    "polecat": "add check-recovery gc git-state identity list nuke pool-init prune remove stale status",
    "polecat identity": "add list remove rename show",
    "quota": "clear rotate scan status watch",
    "reaper": "auto-close databases purge reap run scan",
    "refinery": "attach blocked claim queue ready release restart start status stop unclaimed",
    "rig": """
        add boot config detect dock list menu park quick-add reboot remove reset restart settings shutdown
        start status stop undock unpark
        """,
    "rig config": "set show unset",
    "rig settings": "set show unset",
    "role": "def detect env home list show",
    "scheduler": "clear list pause resume run status",
    "session": "at capture check inject list restart start status stop",
    "shell": "install remove status",
    "signal": "stop",
    "sling": "respawn-reset",
    "start": "crew",
    "synthesis": "close start status",
    "tap": "guard list polecat-stop-check",
    "tap guard": "bd-init dangerous-command mol-patrol pr-workflow",
    "theme": "apply cli",
    "town": "next prev",
    "trail": "beads commits hooks",
    "warrant": "execute file list",
    "witness": "attach restart start status stop",
    "wl": "browse charsheet claim done join post scorekeeper show stamp stamps sync",
    "worktree": "list remove",
}

#: Other names of commands.
ALIASES = {
    "ag": "agents",
    "bd": "bead",
    "dea": "deacon",
    "directives": "directive",
    "dogs": "dog",
    "formulas": "formula",
    "may": "mayor",
    "molecule": "mol",
    "mr": "mq",
    "polecats": "polecat",
    "recap": "trail",
    "recent": "trail",
    "ref": "refinery",
    "sess": "session",
    "stat": "status",
    "synth": "synthesis",
    "unhook": "unsling",
    "work": "hook",
    "crew attach": "at",
    "crew rs": "restart",
    "crew spawn": "start",
    "deacon at": "attach",
    "deacon spawn": "start",
    "dog ls": "list",
    "mail ack": "mark-read",
    "mail addresses": "directory",
    "mail dir": "directory",
    "mail show": "read",
    "mayor at": "attach",
    "polecat id": "identity",
    "refinery spawn": "start",
    "rig settings get": "show",
    "session attach": "at",
    "witness at": "attach",
    "witness spawn": "start",
}

#: The flags without a value, or with one behind `=` alone, of commands that are read or have some below.
SWITCHES = {
    "agents": "all",
    "compact": "dry-run json verbose",
    "convoy": "interactive",
    "costs": "by-rig by-role json today verbose week",
    "crew at": "debug detached no-tmux reset",
    "crew restart": "all dry-run",
    "crew start": "all resume",
    "crew stop": "all dry-run force",
    "doctor": "fix no-start restart-sessions slow verbose",
    "done": "pre-verified resume",
    "escalate": "dry-run json stdin",
    "formula run": "dry-run",
    "hook": "clear dry-run force json",
    "log": "acp follow",
    "mail announces": "json",
    "mail archive": "dry-run stale",
    "mail channel": "json",
    "mail check": "inject json",
    "mail clear": "all",
    "mail drain": "all dry-run",
    "mail hook": "dry-run force",
    "mail inbox": "all json unread",
    "mail mark-read": "all",
    "mail read": "json",
    "mail search": "archive body json subject",
    "mail thread": "json",
    "mol burn": "json",
    "mol squash": "json no-digest",
    "mountain": "force json",
    "namepool": "list",
    "nudge": "force if-fresh stdin",
    "orphans": "all",
    "orphans procs": "aggressive",
    "polecat nuke": "all dry-run force",
    "polecat prune": "dry-run remote",
    "polecat remove": "all force",
    "prime": "dry-run explain hook json state",
    "sling": "create dry-run force hook-raw-bead no-boot no-convoy no-merge owned ralph review-only stdin",
    "start": "all",
    "theme": "list",
    "trail": "all json",
    "worktree": "no-cd",
}

#: The flags that have a letter, of the commands that are read.
LETTERS = {
    "crew at": "d=detached",
    "doctor": "v=verbose",
    "done": "p=priority",
    "mail archive": "n=dry-run",
    "mail drain": "n=dry-run",
    "mail hook": "f=force m=message n=dry-run s=subject",
    "mail inbox": "a=all u=unread",
    "nudge": "f=force m=message",
    "polecat nuke": "f=force",
    "polecat remove": "f=force",
    "sling": "a=args m=message n=dry-run s=subject",
}

#: The commands that leave a process behind which is no session's: the daemon, dolt.
DAEMONS = frozenset(
    (
        "boot spawn",
        "daemon run",
        "daemon start",
        "dolt migrate",
        "dolt restart",
        "dolt start",
        "install",
        "mayor acp",
        "nudge-poller",
        "start",
        "up",
    )
)
#: The same, with this flag alone.
DAEMONS_WITH = {"doctor": "fix"}
