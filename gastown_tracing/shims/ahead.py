"""The shell that starts a command ahead of Python, where what it is to be handed is known (`handover`).

bash forks, and what it forked becomes the command while bash itself becomes Python: the command waits for
neither the interpreter nor us. All else is as if Python had started it: it is our child, in our process
group, with its caller's descriptors and signals, and it dies with us.

Only bash can do it: a child that sh starts beside itself ignores SIGINT, that of a pipeline of bash does not,
and with `lastpipe` the last command of a pipeline is bash itself.
"""

import os
import shlex

from gastown_tracing.shims import child
from gastown_tracing.shims.exec import TELLING
from gastown_tracing.shims.handover import SLOTS, VARIABLES

#: Whose commands: those that come by the hundred.
PROGRAMS = ("bd",)

#: What blocks all signals and then becomes Python, which takes them as they come. Another env than that of
#: GNU coreutils is a link, and has no such option; bash 5.1 is younger than the option.
ENV = "/usr/bin/env"
#: Characters of arguments that a command may have; who asks for more waits for Python, which counts exactly.
LONGEST = 65536

#: Is the environment known? Then `_gt_trace_span` is the id of the command's span. Else `_gt_trace_slot`
#: tells Python where to note it, if it can be known at all.
_LOOK = """\
_gt_trace_span= _gt_trace_slot=
_gt_trace_look() {{
  case $BASH_VERSION in [1-4].* | 5.0*) return ;; esac
  _gt_trace_word=" $* "
  case $_gt_trace_word in {telling}) return ;; esac
  [ ${{#_gt_trace_word}} -lt {longest} ] || return
  # The key is what the environment depends on, without the ids of spans, and outside a run of traces.
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
    _gt_trace_path=$_gt_trace_journal/runs/$_gt_trace_id/handed
  else
    [ -z "${{TMUX_PANE-}}${{GT_SESSION-}}" ] || return
    case $_gt_trace_town in "" | \\?) return ;; esac
    _gt_trace_path=$_gt_trace_journal/loose/handed _gt_trace_key=$_gt_trace_key@$_gt_trace_town
  fi
  _gt_trace_rest=,${{OTEL_RESOURCE_ATTRIBUTES-}}
  case $_gt_trace_rest in
  *,gt.trace_id=* | *,gt.span_id=*)
    _gt_trace_line=${{_gt_trace_rest#*,gt.trace_id=}}
    case ${{_gt_trace_line:0:60}} in {trace_id},gt.span_id={span_id}) ;; *) return ;; esac
    case ${{_gt_trace_line:0:32}}${{_gt_trace_line:44:16}} in *[!{hex}]*) return ;; esac
    _gt_trace_rest=${{_gt_trace_rest%%,gt.trace_id=*}},gt.trace_id=${{_gt_trace_line:60}} ;;
  esac
  _gt_trace_key=$_gt_trace_key$_gt_trace_rest{key}
  _gt_trace_slot=$((${{#_gt_trace_key}} % {slots}))
  _gt_trace_file=$_gt_trace_path.{program}.$_gt_trace_slot
  [ -f "$_gt_trace_file" ] && [ -O "$_gt_trace_file" ] && [ -e "$_gt_trace_journal/on" ] || return
  [ "${{_gt_trace_path%/*}}/work.jsonl" -nt "$_gt_trace_file" ] && return
  [ "$_gt_trace_journal/config.json" -nt "$_gt_trace_file" ] && return
  {{
    IFS= read -r -d "" _gt_trace_word && [ "$_gt_trace_word" = "$_gt_trace_key" ] || return
    IFS= read -r -d "" _gt_trace_flags && IFS= read -r -d "" _gt_trace_baggage || return
    IFS= read -r -d "" _gt_trace_before && IFS= read -r -d "" _gt_trace_after || return
  }} <"$_gt_trace_file"
  # Descriptors that are closed, signals that are blocked and machines that lack something are for Python.
  [ -e /dev/fd/0 ] && [ -e /dev/fd/1 ] && [ -e /dev/fd/2 ] || return
  [ -x {env} ] && ! [ -L {env} ] && [ -x {setpriv} ] && ! [ -L {setpriv} ] && [ -e {recent} ] || return
  [ "/proc/$$/exe" -ef /proc/self/exe ] || return
  set -- ${{_gt_trace_stat##*) }}
  [ "${{30-}}" = 0 ] || return
  # Where there is no room for a process bash waits for it. Nobody has more of them than there are threads.
  [ -r /proc/loadavg ] && [ -r /proc/self/limits ] || return
  IFS="/ " read -r _ _ _ _ _gt_trace_word _ </proc/loadavg
  while IFS= read -r _gt_trace_line; do
    case $_gt_trace_line in "Max processes"*) break ;; esac
  done </proc/self/limits
  set -- $_gt_trace_line
  [ "${{3-}}" = unlimited ] || [ "${{3:-0}}" -gt "$_gt_trace_word" ] || return
  case $_gt_trace_id${{TRACEPARENT-}} in
  "")
    printf -v _gt_trace_id %08x%08x%08x%08x "$SRANDOM" "$SRANDOM" "$SRANDOM" "$SRANDOM"
    _gt_trace_id=${{_gt_trace_id/#0/1}} ;;
  00-*) _gt_trace_id=${{TRACEPARENT:3:32}} ;;
  esac
  printf -v _gt_trace_span %08x%08x "$SRANDOM" "$SRANDOM"
  _gt_trace_span=${{_gt_trace_span/#0/1}}
}}
"""

#: The fork. The command's half waits until its parent is bash no more, which would take its end for itself,
#: and says who it is; Python starts the command where nobody has said so.
_START = """\
_gt_trace_start() {{
  while [ "/proc/$$/exe" -ef /proc/self/exe ]; do :; done
  [ -e "/proc/$$/exe" ] && echo "$BASHPID $EPOCHREALTIME" || exit
  exec >&"$_gt_trace_out" {{_gt_trace_out}}>&- {{_gt_trace_in}}<&-
  export TRACEPARENT=00-$_gt_trace_id-$_gt_trace_span-$_gt_trace_flags
  _gt_trace_before=${{_gt_trace_before}}gt.trace_id=$_gt_trace_id,gt.span_id=$_gt_trace_span
  export OTEL_RESOURCE_ATTRIBUTES=$_gt_trace_before$_gt_trace_after
  [ -z "$_gt_trace_baggage" ] || export BAGGAGE=$_gt_trace_baggage
  exec {setpriv} --pdeathsig KILL -- "$_gt_trace_real" "$@"
  {execute}
}}
_gt_trace_ahead() {{
  shopt -s lastpipe
  {{ exec {{_gt_trace_in}}<&0 {{_gt_trace_out}}>&1; }} 2>&-
  if [ -n "${{_gt_trace_out-}}" ]; then
    _gt_trace_start "$@" | {{
      exec {{_gt_trace_fd}}<&0 <&"$_gt_trace_in" {{_gt_trace_in}}<&- {{_gt_trace_out}}>&-
      _gt_trace_told=$_gt_trace_id:$_gt_trace_span:$_gt_trace_fd
      exec {env} --block-signal {command} --ahead "$_gt_trace_told" {options}"$@"
      exec {{_gt_trace_fd}}<&-
      {execute}
      exit 126
    }}
  fi
  [ -z "${{_gt_trace_in-}}" ] || exec {{_gt_trace_in}}<&-
}}
"""


def text(program: str, **pieces: str) -> str:
    """Return the functions `_gt_trace_look` and `_gt_trace_ahead` of a program's shim, for bash.

    The pieces are shell: `command` starts Python, `options` tell it what it is called for, and `execute`
    becomes the real program.
    """
    telling = " | ".join(f'*" {word} "*' for word in sorted(TELLING))
    constants = {
        "env": ENV,
        "hex": "0123456789abcdef",
        "key": "".join(f'"\n"${{{name}-}}' for name in VARIABLES),
        "longest": str(LONGEST),
        "program": program,
        "recent": shlex.quote(os.fsdecode(child.SETPRIV_IS_RECENT)),
        "setpriv": shlex.quote(os.fsdecode(child.SETPRIV)),
        "slots": str(SLOTS),
        "span_id": "?" * 16,
        "telling": telling,
        "trace_id": "?" * 32,
        "zero": "0" * 16,
    }
    return (_LOOK + _START).format(**constants, **pieces)
