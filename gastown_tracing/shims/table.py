"""The shell's own notion of what nobody wants to see, made of the data that `classify` and `tmux_line` read.

Each text is shell (POSIX) that reads "$@" and sets `_gt_trace_wanted` to 1 for a command line that may be an
event; the others never start Python. It lets through whatever those two see, and now and then more.
"""

from __future__ import annotations

import shlex

from gastown_tracing.shims.lines import git_table
from gastown_tracing.shims.tmux import table as tmux_table

#: What stands around the rules: one state and one word at a time, `state:word`.
LOOP = """\
_gt_trace_wanted= _gt_trace_at=o
for _gt_trace_word in "$@"; do
  case $_gt_trace_at:$_gt_trace_word in
{rules}
  esac
done
"""


def decide(program: str) -> str:
    """Return the shell that decides on a command line of `program`; "" where every one is wanted."""
    if program == "git":
        return LOOP.format(rules=_rules(_git()))
    if program == "tmux":
        return _TMUX_MORE + LOOP.format(rules=_rules(_tmux())) + _TMUX_DEFAULT
    return ""


def _rules(rules: list[tuple[str, str]]) -> str:
    return "\n".join(f"    {pattern}) {action or ':'} ;;" for pattern, action in rules)


def _words(state: str, words: str) -> str:
    """Return the pattern that matches any of these words in a state."""
    return " | ".join(f"{state}:{shlex.quote(word)}" for word in words.split())


def _git() -> list[tuple[str, str]]:
    """Return (pattern, action) for git: options (o), the value of one (v), then the command.

    A command that is an event with certain words behind it alone has its own name as a state.
    """
    whole = " ".join(name for name, behind in git_table.OPERATIONS.items() if not behind)
    nested = {name: behind for name, behind in git_table.OPERATIONS.items() if behind}
    return [
        ("v:*", "_gt_trace_at=o"),
        (_words("o", git_table.GLOBAL_VALUES), "_gt_trace_at=v"),
        (_words("o", git_table.GLOBAL_ENDS), "break"),
        ("o:-*", ""),
        (_words("o", whole), "_gt_trace_wanted=1; break"),
        *((f"o:{name}", f"_gt_trace_at={name}") for name in nested),
        ("o:*", "break"),
        (" | ".join(_words(name, behind) for name, behind in nested.items()), "_gt_trace_wanted=1; break"),
    ]


def _tmux() -> list[tuple[str, str]]:
    """Return (pattern, action) for tmux: options (o), the value of one (v), a command (c), its words (w).

    A word that ends in `;`, with no backslash before it, ends a command (cmd_parse_from_arguments). A command
    that is wanted with certain words behind it has its name as a state, and from its second word on `NAME+`.
    """
    values = tmux_table.GLOBAL_VALUES.replace(" ", "")
    unnested = [name for name in tmux_table.WANTED.split() if name not in tmux_table.BEHIND]
    ends = " | ".join(f"o:-{letter}" for letter in tmux_table.GLOBAL_ENDS.split() if letter not in values)
    value = f'_gt_trace_tail=${{_gt_trace_word#*[{values}]}}; [ -n "$_gt_trace_tail" ] || _gt_trace_at=v'
    unwanted = '_gt_trace_at=w; [ -n "$_gt_trace_more" ] || break'
    return [
        ("v:*", "_gt_trace_at=o"),
        (ends, "_gt_trace_at=w; break"),
        (f"o:-*[{values}]*", value),
        ("o:-*", ""),
        (_commands(*unnested), "_gt_trace_wanted=1; break"),
        (r"[oc]:*[!\\]\;", "_gt_trace_at=c"),
        *((_commands(name), f"_gt_trace_at={name}") for name in tmux_table.BEHIND),
        *(
            (f"{name}:{word}* | {name}+:{word}*", "_gt_trace_wanted=1; break")
            for name, word in tmux_table.BEHIND.items()
        ),
        (r"*:\; | *:*[!\\]\;", "_gt_trace_at=c"),
        *((f"{name}:-{flag}*", unwanted) for name, flag in tmux_table.BUT_FIRST.items()),
        *((f"{name}:*", f"_gt_trace_at={name}+") for name in tmux_table.BEHIND),
        ("[oc]:*", unwanted),
    ]


#: Without a `;` there is one command.
_TMUX_MORE = "_gt_trace_more=; case $* in *\\;*) _gt_trace_more=1 ;; esac\n"
#: Without a command tmux runs its default one, which is wanted.
_TMUX_DEFAULT = "case $_gt_trace_at in [ov]) _gt_trace_wanted=1 ;; esac\n"


def _commands(*names: str) -> str:
    """Return the pattern that matches these commands of tmux: by their names, prefixes and aliases."""
    known = {*tmux_table.ALIASES.values(), *tmux_table.UNALIASED.split()}
    patterns = []
    for name in names:
        aliases = [alias for alias, command in tmux_table.ALIASES.items() if command == name]
        length = 1
        while any(other.startswith(name[:length]) for other in known - {name}):
            length += 1
        patterns.append(f"{name[:length]}*")
        for alias in aliases:
            if not alias.startswith(name[:length]):
                patterns += [alias, rf"{alias}\;"]
    return " | ".join(f"[oc]:{pattern}" for pattern in patterns)
