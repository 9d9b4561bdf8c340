"""The shell in front of Claude Code's hooks: says at once that there is nothing to do, or starts Python.

What a hook prints becomes part of the conversation, and how it ends decides about the agent's next step: so
nothing is printed, and the exit code is 0.
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING

from gastown_tracing.hooks.settings import OURS
from gastown_tracing.shims.launcher import SWITCH, found_shell, pieces

if TYPE_CHECKING:
    from collections.abc import Mapping

_BEGIN = """\
#!{shell}
# gt-trace: a hook of Claude Code's. It says nothing and ends with 0, whatever happens.
exec >/dev/null 2>&1
"""
#: Around the tools of an agent that works there is nothing to say, where its words are not asked for.
_TOOLS = """\
[ -n "$_gt_trace_on" ] || exit 0
case $1 in PreToolUse | PostToolUse)
  case ${GT_OTEL_JOURNAL-} in /*) ;; *) GT_LOG_AGENT_OUTPUT=unknown ;; esac
  case ${CLAUDE_CODE_SESSION_ID-} in '' | */*) GT_LOG_AGENT_OUTPUT=unknown ;; esac
  if [ -z "${GT_LOG_AGENT_OUTPUT-}" ] && [ -r "$GT_OTEL_JOURNAL/config.json" ]; then
    while IFS= read -r _gt_trace_line; do
      case $_gt_trace_line in *GT_LOG_AGENT_OUTPUT*) GT_LOG_AGENT_OUTPUT=unknown ;; esac
    done <"$GT_OTEL_JOURNAL/config.json"
    IFS= read -r _gt_trace_line <"$GT_OTEL_JOURNAL/index/agents/$CLAUDE_CODE_SESSION_ID"
    case ${GT_LOG_AGENT_OUTPUT-}$_gt_trace_line in '{'*'"state":"working"'*) exit 0 ;; esac
  fi ;;
esac
"""
_END = """\
[ -x {python} ] && [ -r {main} ] && {python} -I -S -E -X utf8 -c {loader} {bundle} {main} - --hook "$1"
exit 0
"""


def place(env: Mapping[str, str]) -> str:
    """Return where the launcher stands: below XDG_DATA_HOME (XDG base directory specification)."""
    data = env.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):
        data = os.path.expanduser("~/.local/share")
    return data.rstrip("/") + OURS


def text() -> str:
    """Return the launcher of this interpreter and this package."""
    shell = found_shell()
    return _BEGIN.format(shell=shell) + SWITCH + _TOOLS + _END.format(**pieces(shell))


def command(launcher: str, event: str) -> str:
    """Return what the settings say of a hook: the launcher, and nothing where it is gone."""
    quoted = shlex.quote(launcher)
    return f"[ -x {quoted} ] && {quoted} {event} || :"
