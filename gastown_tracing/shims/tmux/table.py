"""tmux's commands with their aliases, which of them are wanted, and the options before a command: data.

The shell's table is made of it, and the tmux shim reads command lines by it. Names are those of tmux 3.3 and
later (cmd_table in cmd.c).
"""

#: The commands that are seen: they start, drive, look at or end an agent, or say what it works on.
WANTED = """
    capture-pane kill-server kill-session new-session respawn-pane send-keys set-environment set-hook
    start-server
    """

#: Of those, the ones that are wanted only with a word behind them that begins so.
BEHIND = {"set-environment": "GT_WORK_", "set-hook": "pane-died"}

#: Of those, the ones that are never wanted where this flag is the first: it is the server's environment.
BUT_FIRST = {"set-environment": "g"}

#: Options before the command that take a value: the rest of their word or the next one (getopt in tmux.c).
GLOBAL_VALUES = "L S T c f"
#: Options before the command after which tmux runs none: the version, help, a shell.
GLOBAL_ENDS = "V c h"

#: What tmux runs where no command is given.
DEFAULT = "new-session"

#: Every command by its alias, and the aliases that a server has unless it is told otherwise (command-alias).
ALIASES = {
    "attach": "attach-session",
    "bind": "bind-key",
    "breakp": "break-pane",
    "capturep": "capture-pane",
    "choose-session": "choose-tree",
    "choose-window": "choose-tree",
    "clearhist": "clear-history",
    "clearphist": "clear-prompt-history",
    "confirm": "confirm-before",
    "deleteb": "delete-buffer",
    "detach": "detach-client",
    "display": "display-message",
    "displayp": "display-panes",
    "findw": "find-window",
    "has": "has-session",
    "if": "if-shell",
    "info": "show-messages",
    "joinp": "join-pane",
    "killp": "kill-pane",
    "killw": "kill-window",
    "last": "last-window",
    "lastp": "last-pane",
    "linkw": "link-window",
    "loadb": "load-buffer",
    "lock": "lock-server",
    "lockc": "lock-client",
    "locks": "lock-session",
    "ls": "list-sessions",
    "lsb": "list-buffers",
    "lsc": "list-clients",
    "lscm": "list-commands",
    "lsk": "list-keys",
    "lsp": "list-panes",
    "lsw": "list-windows",
    "menu": "display-menu",
    "movep": "move-pane",
    "movew": "move-window",
    "new": "new-session",
    "neww": "new-window",
    "next": "next-window",
    "nextl": "next-layout",
    "pasteb": "paste-buffer",
    "pipep": "pipe-pane",
    "popup": "display-popup",
    "prev": "previous-window",
    "prevl": "previous-layout",
    "refresh": "refresh-client",
    "rename": "rename-session",
    "renamew": "rename-window",
    "resizep": "resize-pane",
    "resizew": "resize-window",
    "respawnp": "respawn-pane",
    "respawnw": "respawn-window",
    "rotatew": "rotate-window",
    "run": "run-shell",
    "saveb": "save-buffer",
    "selectl": "select-layout",
    "selectp": "select-pane",
    "selectw": "select-window",
    "send": "send-keys",
    "server-info": "show-messages",
    "set": "set-option",
    "setb": "set-buffer",
    "setenv": "set-environment",
    "setw": "set-window-option",
    "show": "show-options",
    "showb": "show-buffer",
    "showenv": "show-environment",
    "showmsgs": "show-messages",
    "showphist": "show-prompt-history",
    "showw": "show-window-options",
    "source": "source-file",
    "split-pane": "split-window",
    "splitp": "split-window",
    "splitw": "split-window",
    "start": "start-server",
    "suspendc": "suspend-client",
    "swapp": "swap-pane",
    "swapw": "swap-window",
    "switchc": "switch-client",
    "unbind": "unbind-key",
    "unlinkw": "unlink-window",
    "wait": "wait-for",
}

#: The commands without an alias.
UNALIASED = """
    choose-buffer choose-client choose-tree clock-mode command-prompt copy-mode customize-mode kill-server
    kill-session send-prefix server-access set-hook show-hooks
    """
