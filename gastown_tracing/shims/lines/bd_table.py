"""bd's commands, their other names, and what is needed to read the flags of those that are events: data.

Commands and flags are those of bd 1.0.2, the hidden ones too. Only commands are listed that have an event, or
something to say of a bead, and what leads to them: every bd command is `bd.call`.
"""

#: The commands below each command; "" is bd itself.
COMMANDS = {
    "": "close config cook create defer delete dolt duplicate init mol show supersede update",
    "config": "apply",
    "dolt": "start",
    "mol": "bond burn pour squash wisp",
    "mol wisp": "create gc list",
}
#: Other names of commands.
ALIASES = {
    "done": "close",
    "new": "create",
    "protomolecule": "mol",
    "view": "show",
    "mol fart": "bond",
}

#: The flags of every command without a value.
GLOBAL_SWITCHES = "global help json profile quiet readonly sandbox verbose version"
GLOBAL_LETTERS = "V=version h=help q=quiet v=verbose"
#: The flags without a value of the commands that are read.
SWITCHES = {
    "close": "claim-next continue force no-auto suggest-next",
    "cook": "dry-run force persist",
    "create": "dry-run ephemeral force no-history no-inherit-labels silent stdin validate",
    "delete": "cascade dry-run force",
    "mol bond": "dry-run ephemeral pour",
    "mol burn": "dry-run force",
    "mol pour": "dry-run",
    "mol squash": "dry-run keep-children",
    "mol wisp": "dry-run root-only",
    "mol wisp create": "dry-run root-only",
    "show": "children current local-time long refs short thread watch",
    "update": "allow-empty-description claim ephemeral history no-history persistent stdin",
}
#: The flags that have a letter, of the commands that are read.
LETTERS = {
    "close": "f=force m=message r=reason",
    "create": "a=assignee d=description e=estimate f=file l=labels m=message p=priority t=type",
    "delete": "f=force",
    "show": "w=watch",
    "update": "a=assignee d=description e=estimate m=message p=priority s=status t=type",
}

#: The commands that leave a dolt server behind.
DAEMONS = frozenset(("config apply", "dolt start", "init"))
