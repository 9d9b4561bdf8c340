"""The shell that starts a command ahead of Python, where what it is to be handed is known (`handover`).

bash forks, and what it forked becomes the command while bash itself becomes Python: the command waits for
neither the interpreter nor us. All else is as if Python had started it: it is our child, in our process
group, with its caller's descriptors and signals, and it dies with us.

Only bash can do it: a child that sh starts beside itself ignores SIGINT, that of a pipeline of bash does not,
and with `lastpipe` the last command of a pipeline is bash itself.
"""

import contextlib
import functools
import os
import shlex
import subprocess

from gastown_tracing.shims import child
from gastown_tracing.shims.exec import TELLING
from gastown_tracing.shims.handover import SLOTS, SWITCH, VARIABLES

#: Whose commands: those that come by the hundred.
PROGRAMS = ("bd",)

#: What blocks all signals and then becomes Python, which takes them as they come. Whether it can is asked
#: when shims are installed; a link that is there later leads to another one.
ENV = "/usr/bin/env"
#: The second: Python's children are not ignored where its caller ignores its own.
HELD = "--block-signal --default-signal=CHLD"
#: Characters of arguments that a command may have, and of its environment; more is for Python, which knows
#: what execve(2) takes.
LONGEST = 65536
#: Descriptors and processes that must be to spare.
SPARE = 16
#: How often the command's half looks whether its parent is Python: first without a pause, some milliseconds,
#: then every 2 ms, some tenths of a second, which is seconds on a machine that is busy.
SPINS, PATIENCE = 1000, 1150

#: What a command is handed depends on this alone, the ids of spans left out, outside a run those of traces as
#: well. `_gt_trace_path` and `_gt_trace_slot` say where that is noted; the slot is "" where it cannot be.
_KEY = """\
_gt_trace_find_key() {{
  case $BASH_VERSION in [1-4].* | 5.0*) return ;; esac
  _gt_trace_word=" $* "
  case $_gt_trace_word in {telling}) return ;; esac
  [ ${{#_gt_trace_word}} -lt {longest} ] && [ -r {ours} ] || return
  _gt_trace_key= _gt_trace_id=${{GT_RUN//-/}}
  case $_gt_trace_id in *[!{hex}]*) return ;; esac
  case ${{TRACEPARENT-}} in
  "") ;;
  00-{trace_id}-{span_id}-??)
    case ${{TRACEPARENT:3:32}}${{TRACEPARENT:36:16}} in *[!{hex}]* | {zero}{zero}* | *{zero}) return ;; esac
    _gt_trace_key=${{TRACEPARENT:52}}
    if [ -n "$_gt_trace_id" ]; then _gt_trace_key=$_gt_trace_key${{TRACEPARENT:3:32}}; fi ;;
  *) return ;;
  esac
  if [ -n "$_gt_trace_id" ]; then
    _gt_trace_path=$_gt_trace_journal/runs/$_gt_trace_id
  else
    [ -z "${{TMUX_PANE-}}${{GT_SESSION-}}" ] || return
    case $_gt_trace_town in "" | \\?) return ;; esac
    _gt_trace_path=$_gt_trace_journal/loose _gt_trace_key=$_gt_trace_key@$_gt_trace_town
  fi
  _gt_trace_rest=,${{OTEL_RESOURCE_ATTRIBUTES-}}
  case $_gt_trace_rest in
  *,gt.trace_id=* | *,gt.span_id=*)
    _gt_trace_word=${{_gt_trace_rest#*,gt.trace_id=}}
    case ${{_gt_trace_word:0:60}} in {trace_id},gt.span_id={span_id}) ;; *) return ;; esac
    case ${{_gt_trace_word:0:32}}${{_gt_trace_word:44:16}} in *[!{hex}]*) return ;; esac
    _gt_trace_rest=${{_gt_trace_rest%%,gt.trace_id=*}},gt.trace_id=${{_gt_trace_word:60}} ;;
  esac
  _gt_trace_key=$_gt_trace_key$_gt_trace_rest{key}
  _gt_trace_slot=$((${{#_gt_trace_key}} % {slots}))
}}
"""

#: Is there a note of this key that is no older than what it depends on?
_NOTE = """\
_gt_trace_read_note() {{
  _gt_trace_note=$_gt_trace_path/handed.{program}.$_gt_trace_slot
  [ -f "$_gt_trace_note" ] && [ -O "$_gt_trace_note" ] && [ -e "$_gt_trace_journal/on" ] || return
  [ "$_gt_trace_path/work.jsonl" -nt "$_gt_trace_note" ] && return 1
  [ "$_gt_trace_journal/config.json" -nt "$_gt_trace_note" ] && return 1
  {{
    IFS= read -r -d "" _gt_trace_word && [ "$_gt_trace_word" = "$_gt_trace_key" ] || return
    IFS= read -r -d "" _gt_trace_flags && IFS= read -r -d "" _gt_trace_baggage || return
    IFS= read -r -d "" _gt_trace_before && IFS= read -r -d "" _gt_trace_after
  }} <"$_gt_trace_note"
}}
"""

#: What cannot be done in bash as Python does it is for Python: closed descriptors, signals that are blocked,
#: another user's rights, /proc of other processes, an environment that hardly fits, and a lack of descriptors
#: or of processes, for which bash waits. Nobody has more of these than there are threads.
_ROOM = """\
_gt_trace_is_below() {{
  case $1,$2 in *,max | *,unlimited) return 0 ;; ,* | *, | *[!0123456789,]*) return 1 ;; esac
  [ "$1" -lt "$2" ]
}}
_gt_trace_has_room() {{
  [ "$UID" = "$EUID" ] && [ -z "${{POSIXLY_CORRECT+set}}" ] || return
  [ -e /dev/fd/0 ] && [ -e /dev/fd/1 ] && [ -e /dev/fd/2 ] || return
  [ -r /proc/loadavg ] && [ -r /proc/self/limits ] && [ -r /proc/self/cgroup ] || return
  [ -x {env} ] && ! [ -L {env} ] && [ -x {setpriv} ] && ! [ -L {setpriv} ] && [ -e {recent} ] || return
  [ "${{_gt_trace_stat%% *}}" = $$ ] && [ "/proc/$$/exe" -ef /proc/self/exe ] || return
  IFS= read -r -N {longest} _gt_trace_word </proc/self/environ && return 1
  set -- ${{_gt_trace_stat##*) }}
  [ "${{30-}}" = 0 ] || return
  IFS="/ " read -r _ _ _ _ _gt_trace_word _ </proc/loadavg
  while IFS= read -r _gt_trace_line; do
    case $_gt_trace_line in
    "Max processes"*)
      set -- $_gt_trace_line
      _gt_trace_is_below "$_gt_trace_word" "${{3-}}" || return ;;
    "Max open files"*) break ;;
    esac
  done </proc/self/limits
  set -- $_gt_trace_line /proc/self/fd/*
  _gt_trace_is_below $(($# + {spare})) "${{4-}}" || return
  _gt_trace_open=" $* "
  # A control group's limit is that of those above it, too. Version 1 has its own tree for it.
  while IFS=: read -r _ _gt_trace_word _gt_trace_rest; do
    case $_gt_trace_word in
    "") _gt_trace_word=/sys/fs/cgroup ;;
    *pids*) _gt_trace_word=/sys/fs/cgroup/pids ;;
    *) continue ;;
    esac
    while [ -n "$_gt_trace_rest" ]; do
      _gt_trace_rest=${{_gt_trace_rest%/*}} _gt_trace_file=$_gt_trace_word$_gt_trace_rest/pids
      [ -r "$_gt_trace_file.max" ] && [ -r "$_gt_trace_file.current" ] || continue
      read -r _gt_trace_line <"$_gt_trace_file.max"
      read -r _gt_trace_at <"$_gt_trace_file.current"
      _gt_trace_is_below $((_gt_trace_at + {spare})) "$_gt_trace_line" || return
    done
  done </proc/self/cgroup
  return 0
}}
"""

#: The fork. The command's half waits until its parent is Python, which holds signals back and waits for its
#: children when asked to; then it says who it is. Python starts the command where nobody has said so.
_START = """\
_gt_trace_start() {{
  for ((_gt_trace_at = 0; ; _gt_trace_at++)); do
    [ "/proc/$$/exe" -ef {python} ] && break
    [ -e "/proc/$$/exe" ] && [ $_gt_trace_at -lt {patience} ] || exit
    [ $_gt_trace_at -lt {spins} ] || read -r -t 0.002 _gt_trace_word <>/proc/self/fd/1
  done
  shopt -u lastpipe
  export TRACEPARENT=00-$_gt_trace_id-$_gt_trace_span-$_gt_trace_flags
  _gt_trace_before=${{_gt_trace_before}}gt.trace_id=$_gt_trace_id,gt.span_id=$_gt_trace_span
  export OTEL_RESOURCE_ATTRIBUTES=$_gt_trace_before$_gt_trace_after
  [ -z "$_gt_trace_baggage" ] || export BAGGAGE=$_gt_trace_baggage
  echo "$BASHPID $EPOCHREALTIME" || exit
  exec >&"$_gt_trace_out" {{_gt_trace_out}}>&- {{_gt_trace_in}}<&-
  exec {setpriv} --pdeathsig KILL -- "$_gt_trace_real" "$@"
  {execute}
}}
_gt_trace_ahead() {{
  _gt_trace_find_key "$@"
  [ -n "$_gt_trace_slot" ] && _gt_trace_read_note && _gt_trace_has_room || return
  case $_gt_trace_id${{TRACEPARENT-}} in
  "")
    printf -v _gt_trace_id %08x%08x%08x%08x "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
    _gt_trace_id=${{_gt_trace_id/#0/1}} ;;
  00-*) _gt_trace_id=${{TRACEPARENT:3:32}} ;;
  esac
  printf -v _gt_trace_span %08x%08x "$SRANDOM" "$SRANDOM"
  _gt_trace_span=${{_gt_trace_span/#0/1}}
  {{ exec {{_gt_trace_in}}<&0 {{_gt_trace_out}}>&1; }} 2>&-
  [ -n "${{_gt_trace_out-}}" ] || return
  shopt -s lastpipe
  _gt_trace_start "$@" | {{
    exec {{_gt_trace_fd}}<&0 <&"$_gt_trace_in" {{_gt_trace_in}}<&- {{_gt_trace_out}}>&-
    shopt -u lastpipe
    # What bash keeps of the pipeline is nobody's.
    for _gt_trace_word in /proc/self/fd/*; do
      case "$_gt_trace_open/proc/self/fd/$_gt_trace_fd " in *" $_gt_trace_word "*) continue ;; esac
      _gt_trace_word=${{_gt_trace_word##*/}}
      exec {{_gt_trace_word}}<&-
    done
    _gt_trace_told=$_gt_trace_id:$_gt_trace_span:$_gt_trace_fd:$_gt_trace_slot
    exec {env} {held} {command} --ahead "$_gt_trace_told" {options}"$@"
    exec {{_gt_trace_fd}}<&-
    {execute}
    exit 126
  }}
}}
"""


@functools.cache
def is_possible(python: str) -> bool:
    """Say whether this machine's env can hold signals back for an interpreter."""
    if "=" in python:  # it would be a variable
        return False
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        words = [ENV, *HELD.split(), python, "-I", "-S", "-E", "-c", ""]
        return subprocess.run(words, capture_output=True, timeout=10, check=False).returncode == 0
    return False


def text(program: str, **pieces: str) -> str:
    """Return the function `_gt_trace_ahead` of a program's shim, and those that it needs, for bash.

    It returns where the command cannot be started ahead. The pieces are shell: `python` is the interpreter,
    `command` starts it, `options` tell it what it is called for, and `execute` becomes the real program.
    """
    telling = " | ".join(f'*" {word} "*' for word in sorted(TELLING))
    constants = {
        "env": ENV,
        "held": HELD,
        "hex": "0123456789abcdef",
        "key": "".join(f'"\n"${{{name}-}}' for name in VARIABLES) + f'"\n"${{{SWITCH}:+set}}',
        "longest": str(LONGEST),
        "ours": shlex.quote(os.path.realpath(__file__)),
        "patience": str(PATIENCE),
        "program": program,
        "recent": shlex.quote(os.fsdecode(child.SETPRIV_IS_RECENT)),
        "setpriv": shlex.quote(os.fsdecode(child.SETPRIV)),
        "slots": str(SLOTS),
        "spare": str(SPARE),
        "span_id": "?" * 16,
        "spins": str(SPINS),
        "telling": telling,
        "trace_id": "?" * 32,
        "zero": "0" * 16,
    }
    return (_KEY + _NOTE + _ROOM + _START).format(**constants, **pieces)
