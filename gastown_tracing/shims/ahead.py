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
from collections.abc import Iterable

from gastown_tracing.shims import child
from gastown_tracing.shims.exec import TELLING
from gastown_tracing.shims.handover import SLOTS, SWITCH, VARIABLES

#: Whose commands: those that come by the hundred.
PROGRAMS = ("bd",)

#: bd's words for a command whose output is read where it is JSON.
READING = frozenset(("show", "view"))

#: What blocks all signals and then becomes Python, which takes them as they come. Whether it can is asked
#: when shims are installed; a link that is there later leads to another one.
ENV = "/usr/bin/env"
#: The second: Python's children are not ignored where its caller ignores its own.
HELD = "--block-signal --default-signal=CHLD"
#: What hands on output where Python cannot.
CAT = "/bin/cat"
#: Characters of arguments that a command may have, and of its environment; more is for Python, which knows
#: what execve(2) takes.
LONGEST = 65536
#: Descriptors and processes that must be to spare.
SPARE = 16
#: How often the command's half looks whether its parent is Python: first without a pause, some milliseconds,
#: then every 2 ms, some tenths of a second, which is seconds on a machine that is busy.
SPINS, PATIENCE = 1000, 1150

#: All of it is a loop that runs once, and `break` leaves a command to Python: bash would copy a function
#: twice, when it is defined and when it is called, which takes longer than what it does. First: is it a
#: command that Python need not see before it runs? Output that is read goes into pipes of ours. (Its words
#: are looked at with each on a line of its own.)
_LINES = """\
_gt_trace_is_below() {{
  case $1,$2 in *,max | *,unlimited) return 0 ;; ,* | *, | *[!0123456789,]*) return 1 ;; esac
  [ "$1" -lt "$2" ]
}}
while [ -n "$_gt_trace_journal" ]; do
  case $BASH_VERSION in [1-4].* | 5.0*) break ;; esac
  IFS=$'\\n' _gt_trace_reads=
  _gt_trace_line="$IFS$*$IFS"
  IFS=$' \\t\\n'
  case $_gt_trace_line in
  {telling}) break ;;
  {reading}) case $_gt_trace_line in *$'\\n--json'*) _gt_trace_reads=1 ;; esac ;;
  esac
  if [ -n "$_gt_trace_reads" ]; then
    [ -p /dev/fd/1 ] && [ -p /dev/fd/2 ] && ! [ /dev/fd/1 -ef /dev/fd/2 ] && [ -x {cat} ] || break
  fi
  [ ${{#_gt_trace_line}} -lt {longest} ] && [ -r {ours} ] || break
"""

#: What a command is handed depends on this alone, the ids of spans left out, outside a run those of traces as
#: well. `_gt_trace_path` and `_gt_trace_slot` say where that is noted; the slot is "" where it cannot be.
_KEY = """\
  _gt_trace_key= _gt_trace_id=${{GT_RUN//-/}}
  case $_gt_trace_id in *[!{hex}]*) break ;; esac
  case ${{TRACEPARENT-}} in
  "") ;;
  00-{trace_id}-{span_id}-??)
    case ${{TRACEPARENT:3:32}}${{TRACEPARENT:36:16}} in *[!{hex}]* | {zero}{zero}* | *{zero}) break ;; esac
    _gt_trace_key=${{TRACEPARENT:52}}
    if [ -n "$_gt_trace_id" ]; then _gt_trace_key=$_gt_trace_key${{TRACEPARENT:3:32}}; fi ;;
  *) break ;;
  esac
  if [ -n "$_gt_trace_id" ]; then
    _gt_trace_path=$_gt_trace_journal/runs/$_gt_trace_id
  else
    [ -z "${{TMUX_PANE-}}${{GT_SESSION-}}" ] || break
    case $_gt_trace_town in "" | \\?) break ;; esac
    _gt_trace_path=$_gt_trace_journal/loose _gt_trace_key=$_gt_trace_key@$_gt_trace_town
  fi
  _gt_trace_rest=,${{OTEL_RESOURCE_ATTRIBUTES-}}
  case $_gt_trace_rest in
  *,gt.trace_id=* | *,gt.span_id=*)
    _gt_trace_word=${{_gt_trace_rest#*,gt.trace_id=}}
    case ${{_gt_trace_word:0:60}} in {trace_id},gt.span_id={span_id}) ;; *) break ;; esac
    case ${{_gt_trace_word:0:32}}${{_gt_trace_word:44:16}} in *[!{hex}]*) break ;; esac
    _gt_trace_rest=${{_gt_trace_rest%%,gt.trace_id=*}},gt.trace_id=${{_gt_trace_word:60}} ;;
  esac
  _gt_trace_key=$_gt_trace_key$_gt_trace_rest{key}
  _gt_trace_slot=$((${{#_gt_trace_key}} % {slots}))
"""

#: Is there a note of this key that is no older than what it depends on?
_NOTE = """\
  _gt_trace_note=$_gt_trace_path/handed.{program}.$_gt_trace_slot
  [ -f "$_gt_trace_note" ] && [ -O "$_gt_trace_note" ] && [ -e "$_gt_trace_journal/on" ] || break
  [ "$_gt_trace_path/work.jsonl" -nt "$_gt_trace_note" ] && break
  [ "$_gt_trace_journal/config.json" -nt "$_gt_trace_note" ] && break
  {{
    IFS= read -r -d "" _gt_trace_word && [ "$_gt_trace_word" = "$_gt_trace_key" ] || break
    IFS= read -r -d "" _gt_trace_flags && IFS= read -r -d "" _gt_trace_baggage || break
    IFS= read -r -d "" _gt_trace_before && IFS= read -r -d "" _gt_trace_after || break
  }} <"$_gt_trace_note"
"""

#: What cannot be done in bash as Python does it is for Python: closed descriptors, signals that are blocked,
#: another user's rights, /proc of other processes, an environment that hardly fits, and a lack of descriptors
#: or of processes, for which bash waits. Nobody has more of these than there are threads.
_ROOM = """\
  [ "$UID" = "$EUID" ] && [ -z "${{POSIXLY_CORRECT+set}}" ] || break
  [ -e /dev/fd/0 ] && [ -e /dev/fd/1 ] && [ -e /dev/fd/2 ] || break
  [ -r /proc/loadavg ] && [ -r /proc/self/limits ] && [ -r /proc/self/cgroup ] || break
  [ -x {env} ] && ! [ -L {env} ] && [ -x {setpriv} ] && ! [ -L {setpriv} ] && [ -e {recent} ] || break
  [ "${{_gt_trace_stat%% *}}" = $$ ] && [ "/proc/$$/exe" -ef /proc/self/exe ] || break
  IFS= read -r -N {longest} _gt_trace_word </proc/self/environ && break
  _gt_trace_words=(${{_gt_trace_stat##*) }})
  [ "${{_gt_trace_words[29]-}}" = 0 ] || break
  IFS="/ " read -r _ _ _ _ _gt_trace_word _ </proc/loadavg
  mapfile -t _gt_trace_lines </proc/self/limits
  _gt_trace_processes= _gt_trace_files=
  for _gt_trace_line in "${{_gt_trace_lines[@]}}"; do
    _gt_trace_words=($_gt_trace_line)
    case $_gt_trace_line in
    "Max processes"*) _gt_trace_processes=${{_gt_trace_words[2]-}} ;;
    "Max open files"*) _gt_trace_files=${{_gt_trace_words[3]-}}; break ;;
    esac
  done
  _gt_trace_words=(/proc/self/fd/*)
  _gt_trace_is_below "$_gt_trace_word" "$_gt_trace_processes" || break
  _gt_trace_is_below $((${{#_gt_trace_words[@]}} + {spare})) "$_gt_trace_files" || break
  _gt_trace_kept=" ${{_gt_trace_words[*]}} "
  # A control group's limit is that of those above it, too. Version 1 has its own tree for it.
  mapfile -t _gt_trace_lines </proc/self/cgroup
  for _gt_trace_line in "${{_gt_trace_lines[@]}}"; do
    _gt_trace_rest=${{_gt_trace_line#*:}}
    case ${{_gt_trace_rest%%:*}} in
    "") _gt_trace_word=/sys/fs/cgroup ;;
    *pids*) _gt_trace_word=/sys/fs/cgroup/pids ;;
    *) continue ;;
    esac
    _gt_trace_rest=${{_gt_trace_rest#*:}}
    while [ -n "$_gt_trace_rest" ]; do
      _gt_trace_rest=${{_gt_trace_rest%/*}} _gt_trace_file=$_gt_trace_word$_gt_trace_rest/pids
      [ -r "$_gt_trace_file.max" ] && [ -r "$_gt_trace_file.current" ] || continue
      read -r _gt_trace_line <"$_gt_trace_file.max"
      read -r _gt_trace_at <"$_gt_trace_file.current"
      _gt_trace_is_below $((_gt_trace_at + {spare})) "$_gt_trace_line" || break 3
    done
  done
"""
#: Pipes for the output of a command that is read: a here-string is one, from bash 5.1 on, with its newline in
#: it; where BASH_COMPAT asks for an older bash it is a file. Python puts its pumps behind them. Until it has
#: said so a process of the shell's waits: when Python ends first, killed or broken, that hands on what comes.
_PIPES = """\
  _gt_trace_in= _gt_trace_out= _gt_trace_said= _gt_trace_warned= _gt_trace_say= _gt_trace_warn=
  _gt_trace_heard= _gt_trace_hear=
  {{ exec {{_gt_trace_in}}<&0 {{_gt_trace_out}}>&1; }} 2>&-
  [ -n "$_gt_trace_out" ] || break
  if [ -n "$_gt_trace_reads" ]; then
    {{
      exec {{_gt_trace_said}}<<<"" {{_gt_trace_warned}}<<<"" {{_gt_trace_heard}}<<<"" &&
        exec {{_gt_trace_say}}>"/proc/self/fd/$_gt_trace_said" &&
        exec {{_gt_trace_warn}}>"/proc/self/fd/$_gt_trace_warned" &&
        exec {{_gt_trace_hear}}>"/proc/self/fd/$_gt_trace_heard"
    }} 2>/dev/null
    if [ -n "$_gt_trace_hear" ] && [ -p "/proc/self/fd/$_gt_trace_say" ]; then
      read -r _gt_trace_word <&"$_gt_trace_said"
      read -r _gt_trace_word <&"$_gt_trace_warned"
      read -r _gt_trace_word <&"$_gt_trace_heard"
      (
        trap "" HUP INT QUIT TERM
        exec {{_gt_trace_say}}>&- {{_gt_trace_warn}}>&- {{_gt_trace_hear}}>&- \\
          {{_gt_trace_in}}<&- {{_gt_trace_out}}>&-
        read -r -N 1 _gt_trace_word <&"$_gt_trace_heard"
        case $_gt_trace_word in
        2) exit ;;
        1) ;;
        *) {cat} <&"$_gt_trace_said" 2>&- {{_gt_trace_said}}<&- {{_gt_trace_warned}}<&- & ;;
        esac
        exec {cat} <&"$_gt_trace_warned" >&2 2>&- {{_gt_trace_said}}<&- {{_gt_trace_warned}}<&-
      ) &
    else
      for _gt_trace_word in $_gt_trace_in $_gt_trace_out $_gt_trace_said $_gt_trace_warned $_gt_trace_heard \\
        $_gt_trace_say $_gt_trace_warn $_gt_trace_hear; do
        exec {{_gt_trace_word}}>&-
      done
      break
    fi
  fi
"""

#: The fork. The command's half waits until its parent is Python, which holds signals back and waits for its
#: children when asked to; then it says who it is. Python starts the command where nobody has said so.
_START = """\
  case $_gt_trace_id${{TRACEPARENT-}} in
  "")
    printf -v _gt_trace_id %08x%08x%08x%08x "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
    _gt_trace_id=${{_gt_trace_id/#0/1}} ;;
  00-*) _gt_trace_id=${{TRACEPARENT:3:32}} ;;
  esac
  printf -v _gt_trace_span %08x%08x "$SRANDOM" "$SRANDOM"
  _gt_trace_span=${{_gt_trace_span/#0/1}}
  shopt -s lastpipe
  {{
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
    if [ -n "$_gt_trace_reads" ]; then
      exec >&"$_gt_trace_say" 2>&"$_gt_trace_warn" {{_gt_trace_say}}>&- {{_gt_trace_warn}}>&- \\
        {{_gt_trace_said}}<&- {{_gt_trace_warned}}<&- {{_gt_trace_heard}}<&- {{_gt_trace_hear}}>&-
    fi
    exec {setpriv} --pdeathsig KILL -- "$_gt_trace_real" "$@"
    {execute}
  }} | {{
    exec {{_gt_trace_fd}}<&0 <&"$_gt_trace_in" {{_gt_trace_in}}<&- {{_gt_trace_out}}>&-
    shopt -u lastpipe
    _gt_trace_words=($_gt_trace_fd $_gt_trace_said $_gt_trace_warned $_gt_trace_hear)
    for _gt_trace_word in "${{_gt_trace_words[@]}}"; do
      _gt_trace_kept="$_gt_trace_kept/proc/self/fd/$_gt_trace_word "
    done
    # What bash keeps of the pipeline is nobody's.
    for _gt_trace_word in /proc/self/fd/*; do
      case $_gt_trace_kept in *" $_gt_trace_word "*) continue ;; esac
      _gt_trace_word=${{_gt_trace_word##*/}}
      exec {{_gt_trace_word}}<&-
    done
    _gt_trace_told=$_gt_trace_id:$_gt_trace_span:$_gt_trace_fd:$_gt_trace_slot
    if [ -n "$_gt_trace_reads" ]; then
      _gt_trace_told=$_gt_trace_told:$_gt_trace_said:$_gt_trace_warned:$_gt_trace_hear
    fi
    exec {env} {held} {command} --ahead "$_gt_trace_told" {options}"$@"
    for _gt_trace_word in "${{_gt_trace_words[@]}}"; do exec {{_gt_trace_word}}<&-; done
    {execute}
    exit 126
  }}
  exit
done
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


def key() -> str:
    """Return the lines that find the key of their environment, and its slot; `break` where there is none."""
    return _KEY.format(
        hex="0123456789abcdef",
        key="".join(f'"\n"${{{name}-}}' for name in VARIABLES) + f'"\n"${{{SWITCH}:+set}}',
        slots=SLOTS,
        span_id="?" * 16,
        trace_id="?" * 32,
        zero="0" * 16,
    )


def text(program: str, **pieces: str) -> str:
    """Return the lines of a program's shim, for bash, that start its command and become Python.

    Where the command cannot be started ahead they find its note's slot at most. The pieces are shell:
    `python` is the interpreter, `command` starts it, `options` tell it what it is called for, and `execute`
    becomes the real program.
    """
    constants = {
        "cat": CAT,
        "env": ENV,
        "held": HELD,
        "longest": LONGEST,
        "ours": shlex.quote(os.path.realpath(__file__)),
        "patience": PATIENCE,
        "program": program,
        "reading": _any_of(READING),
        "recent": shlex.quote(os.fsdecode(child.SETPRIV_IS_RECENT)),
        "setpriv": shlex.quote(os.fsdecode(child.SETPRIV)),
        "spare": SPARE,
        "spins": SPINS,
        "telling": _any_of(TELLING - READING),
    }
    lines, rest = [part.format(**constants, **pieces) for part in (_LINES, _NOTE + _ROOM + _PIPES + _START)]
    return lines + key() + rest


def _any_of(words: Iterable[str]) -> str:
    return " | ".join(f"*$'\\n{word}\\n'*" for word in sorted(words))
