"""The shell in front of the fast path: it starts Python without `site`, which costs more than all the rest.

`text` is called like `gt-trace exec`, and `python -m gastown_tracing.shims.launcher FILE` writes it. `shim`
stands before a program of its name on PATH, and starts Python only for what somebody wants to see. Where the
interpreter or this package is gone both run the command as it is.
"""

import contextlib
import functools
import json
import os
import shlex
import subprocess
import sys
import sysconfig

from gastown_tracing._version import VERSION
from gastown_tracing.shims import ahead, real, table
from gastown_tracing.shims.main import PROGRAM
from gastown_tracing.shims.main import path as bundle

#: bash keeps variables whose names are no identifiers, which sh (dash) drops; `-p`: BASH_ENV is not run.
#: Where SHELL is not set bash looks its user up, before Python starts.
SHELLS = ("/bin/bash -p", "/usr/bin/bash -p", "/usr/local/bin/bash -p", "/bin/sh")

#: The interpreter of most systems, which their distributors build for speed.
SYSTEM = "/usr/bin/python3"
#: What says that an interpreter was built for speed: without it, as pyenv does, it starts a tenth later.
OPTIMISED = "--enable-optimizations"
#: The oldest version that runs the fast path.
OLDEST = (3, 11)

#: How the second line of every shim begins, whatever installation made it: nobody execs such a file.
MARK = real.MARK.decode()

#: What Python is told: run the bundle where it is whole and this interpreter's own, else the program itself.
LOADER = """\
import sys
bundle, program = sys.argv[1:3]
sys.argv[:3] = [program]
try:
    import marshal, posix
    data = posix.read(posix.open(bundle, posix.O_CLOEXEC), 1 << 24)
    made_by, length, mark = data[:4], data[4:8], data[8:16]
    if made_by != sys.hexversion.to_bytes(4, "little") or mark != b"gt-trace":
        raise ValueError
    if len(data) != int.from_bytes(length, "little") + 16:
        raise ValueError
    code = marshal.loads(memoryview(data)[16:])
except Exception:
    code = compile(open(program).read(), program, "exec")
exec(code)
"""

#: The variables of both are not exported, and have names that nobody has: the command's environment is whole.
_BEGIN = """\
# bash reads its script through a closed stderr and leaves it open.
[ /dev/fd/2 -ef "$0" ] && exec 2>&-
"""
_PYTHON = """\
# Python starts with SIGPIPE ignored: what our caller ignored is asked before.
if [ -r /proc/self/stat ]; then IFS= read -r _gt_trace_stat </proc/self/stat; else _gt_trace_stat=-; fi
if [ -x {python} ] && [ -r {main} ]; then
  {execfail}
  {ahead}exec {command} {options}"$@"
fi
# The interpreter or the package is gone: the command as it is.
"""

#: Starts Python; in bash where a command may be started ahead of it, which happens first if it can.
_COMMAND = '{python} -I -S -E -X utf8 -c {loader} {bundle} {main} "$_gt_trace_stat"'
_WORDS = '"${_gt_trace_python[@]}"'
_AHEAD = f"""\
_gt_trace_python=({_COMMAND})
  _gt_trace_slot=
"""

TEMPLATE = f"""\
#!{{shell}}
# gt-trace exec, by the shortest way.
{_BEGIN}{_PYTHON}\
while [ $# -gt 0 ]; do
  case $1 in --) shift; break ;; --*=*) shift ;; --*) shift; [ $# -gt 0 ] && shift ;; *) break ;; esac
done
exec "$@"
"""

#: The second line of a script. bash looks at two bytes first: the first line of a program can be long.
_READ = """\
  _gt_trace_line= _gt_trace_script=
  if [ -f "$_gt_trace_file" ] && [ -r "$_gt_trace_file" ]; then
    {{
      IFS= read -r {two}_gt_trace_line
      case $_gt_trace_line in "#!"*) _gt_trace_script=1; {rest}IFS= read -r _gt_trace_line ;; esac
    }} <"$_gt_trace_file"
  fi
"""
_READ_IN_BASH = _READ.format(two="-n 2 ", rest="IFS= read -r _gt_trace_line; ")
_READ_IN_SH = _READ.format(two="", rest="")
#: A script of this name may itself look for the next program of its name, and find us again. So it is told
#: who handed which call over to it, in a variable that no other program gets; when the same call, by the
#: lengths of its words, comes back from it, it is passed over.
_RETURNED = """\
  if [ -n "$_gt_trace_script" ]; then
    _gt_trace_call=$_gt_trace_file:
    for _gt_trace_word in "$@"; do _gt_trace_call=$_gt_trace_call.${#_gt_trace_word}; done
    case ${GT_TRACE_HANDED-} in
    *" $_gt_trace_call")
      _gt_trace_line=
      if [ -r "/proc/$PPID/stat" ]; then IFS= read -r _gt_trace_line <"/proc/$PPID/stat"; fi
      _gt_trace_line=${_gt_trace_line##*) ? }
      case " $$ $PPID ${_gt_trace_line%% *} " in *" ${GT_TRACE_HANDED%% *} "*) continue ;; esac ;;
    esac
  fi
"""
#: What `_FIND` finds, in most cases by bash's own search, which is quicker: where our folder stands on PATH
#: as we were called, and the first program behind it is no script. Stderr is closed: nothing is said.
_FIND_FAST = """\
_gt_trace_real= _gt_trace_told= _gt_trace_rest=:$PATH
case $_gt_trace_rest in
*\\~*) ;;
*":${{0%/*}}:"?*)
  _gt_trace_path=$PATH PATH=${{_gt_trace_rest#*":${{0%/*}}:"}}
  hash {program} 2>&- && _gt_trace_real=${{BASH_CMDS[{program}]}}
  PATH=$_gt_trace_path
  if [ -n "$_gt_trace_real" ] && [ -r "$_gt_trace_real" ]; then
    IFS= read -r -n 2 _gt_trace_line <"$_gt_trace_real"
    case $_gt_trace_line in "#!") _gt_trace_real= ;; esac
  fi
  case $_gt_trace_real in [!/]*) _gt_trace_real= ;; esac ;;
esac
"""
#: The next program of this name on PATH, from our own place on: one in front of us may have found us. Only
#: where there is none behind us, the first of all.
_FIND = """\
_gt_trace_rest=$PATH: _gt_trace_real= _gt_trace_own= _gt_trace_denied=
while [ -n "$_gt_trace_rest" ]; do
  _gt_trace_file=${{_gt_trace_rest%%:*}} _gt_trace_rest=${{_gt_trace_rest#*:}}
  _gt_trace_file=${{_gt_trace_file:-.}}/{program}
  [ -f "$_gt_trace_file" ] || continue
  if [ "$_gt_trace_file" -ef "$0" ]; then _gt_trace_own=1; continue; fi
  if ! [ -x "$_gt_trace_file" ]; then _gt_trace_denied=1; continue; fi
  if [ -n "$_gt_trace_real" ] && [ -z "$_gt_trace_own" ]; then continue; fi
{read}\
  case $_gt_trace_line in {mark}*) continue ;; esac
{returned}\
  _gt_trace_real=$_gt_trace_file _gt_trace_told=${{_gt_trace_script:+$_gt_trace_call}}
  [ -z "$_gt_trace_own" ] || break
done
if [ -z "$_gt_trace_real" ]; then
  if [ -n "$_gt_trace_denied" ]; then echo {program}: Permission denied >&2; exit 126; fi
  echo {program}: command not found >&2
  exit 127
fi
if [ -n "$_gt_trace_told" ]; then export GT_TRACE_HANDED="$$ $_gt_trace_told"; fi
"""

#: Whether telemetry may be on, as `config` has it, in a run or a town; Python knows for certain. The town is
#: sought on the path that we are said to be on, then on the real one: then its name is not known (`?`).
SWITCH = """\
case ${GT_ROOT-} in
/*)
  _gt_trace_town=${GT_ROOT%"${GT_ROOT##*[!/]}"}
  if [ -z "$_gt_trace_town" ]; then _gt_trace_town=/; fi ;;
*)
  case ${PWD-} in /*) _gt_trace_town=$PWD ;; *) _gt_trace_town= ;; esac
  until [ -z "$_gt_trace_town" ] || [ -e "$_gt_trace_town/mayor/town.json" ]; do
    _gt_trace_town=${_gt_trace_town%/*}
  done
  if [ -L "$_gt_trace_town" ]; then _gt_trace_town=?; fi
  _gt_trace_up=.
  while [ -z "$_gt_trace_town" ] && [ -d "$_gt_trace_up" ] && ! [ "$_gt_trace_up" -ef / ]; do
    if [ -e "$_gt_trace_up/mayor/town.json" ]; then _gt_trace_town=?; fi
    _gt_trace_up=$_gt_trace_up/..
  done ;;
esac
_gt_trace_on= _gt_trace_journal=
if [ -n "$_gt_trace_town${GT_RUN-}${BAGGAGE-}${TRACEPARENT-}${TMUX_PANE-}${GT_SESSION-}" ]; then
  case ${GT_OTEL_JOURNAL-} in
  /*)
    _gt_trace_journal=$GT_OTEL_JOURNAL
    if [ -e "$GT_OTEL_JOURNAL/on" ] || ! [ -e "$GT_OTEL_JOURNAL/VERSION" ]; then _gt_trace_on=1; fi ;;
  ?*) _gt_trace_on=1 ;;
  *)
    _gt_trace_on=${GT_OTEL_TRACES_URL-}${GT_OTEL_METRICS_URL-}${GT_OTEL_LOGS_URL-}
    case ${XDG_STATE_HOME-} in
    /*) _gt_trace_state=$XDG_STATE_HOME ;;
    *) _gt_trace_state=${HOME-}/.local/state ;;
    esac
    case $_gt_trace_state in /.local/state | [!/]*) _gt_trace_on=1 ;; esac
    case $_gt_trace_town in
    "") _gt_trace_name=default _gt_trace_rest= ;;
    \\?) _gt_trace_name= _gt_trace_rest=* ;;
    *) _gt_trace_name=${_gt_trace_town##*/}- _gt_trace_rest=???????? ;;
    esac
    for _gt_trace_file in "$_gt_trace_state/gastown-tracing/$_gt_trace_name"$_gt_trace_rest/on; do
      [ -e "$_gt_trace_file" ] || continue
      # Of two, Python knows which it is.
      _gt_trace_on=1 _gt_trace_journal=${_gt_trace_journal:+?}
      _gt_trace_journal=${_gt_trace_journal:-${_gt_trace_file%/on}}
    done ;;
  esac
fi
case ${OTEL_SDK_DISABLED-} in [Tt][Rr][Uu][Ee]) _gt_trace_on= ;; esac
"""

#: `bd version` warns of a second file named bd on PATH: it alone does not see the folders of bd's shims.
_VERSION = """\
_gt_trace_at=o
case "$*" in *version*) ;; *) _gt_trace_at=no ;; esac
[ $_gt_trace_at = no ] || for _gt_trace_word in "$@"; do
  case $_gt_trace_at:$_gt_trace_word in
  ?:version) _gt_trace_at=version; break ;;
  ?:-*) _gt_trace_at=v ;;
  v:*) _gt_trace_at=o ;;
  *) break ;;
  esac
done
if [ $_gt_trace_at = version ]; then
  _gt_trace_rest=$PATH: _gt_trace_path=
  while [ -n "$_gt_trace_rest" ]; do
    _gt_trace_entry=${{_gt_trace_rest%%:*}} _gt_trace_rest=${{_gt_trace_rest#*:}}
    _gt_trace_file=${{_gt_trace_entry:-.}}/bd
{read}\
    case $_gt_trace_line in {mark}*) ;; *) _gt_trace_path=$_gt_trace_path:$_gt_trace_entry ;; esac
  done
  PATH=${{_gt_trace_path#:}}
fi
"""


def text() -> str:
    """Return the launcher of this interpreter and this package that is called like `gt-trace exec`."""
    shell = found_shell()
    parts = pieces(shell)
    return TEMPLATE.format(shell=shell, ahead="", command=_COMMAND.format(**parts), options="", **parts)


def shim(program: str, shell: str = "") -> str:
    """Return the shim of a program: `shell` runs it, by default the one that is found here."""
    shell = shell or found_shell()
    in_bash = "bash" in shell
    execute = f'exec -a {program} "$_gt_trace_real" "$@"' if in_bash else 'exec "$_gt_trace_real" "$@"'
    rules = table.decide(program)
    unwanted = f'if [ -z "$_gt_trace_wanted" ]; then {execute}; fi\n' if rules else ""
    read = _READ_IN_BASH if in_bash else _READ_IN_SH
    common = {"program": program, "mark": shlex.quote(MARK), "read": read, "returned": _RETURNED}
    options = f'--shim {program} --file "$_gt_trace_real" -- {program} '
    parts = pieces(shell)
    python = {"ahead": "", "command": _COMMAND.format(**parts), "options": options, **parts}
    if in_bash and program in ahead.PROGRAMS and ahead.is_possible(interpreter()[0]):
        lines = ahead.text(program, execute=execute, options=options, command=_WORDS, python=parts["python"])
        python["ahead"], python["command"] = _AHEAD.format(**parts) + lines, _WORDS
        python["options"] = f'${{_gt_trace_slot:+--slot "$_gt_trace_slot"}} {options}'
    find = _FIND.format(**common)
    if in_bash:
        # What bash need not read costs nothing: most commands end before it has to search by itself.
        found = 'if [ -n "$_gt_trace_real" ] && [ -z "$_gt_trace_wanted" ]'
        end = f"{found}; then {execute}; fi\n" if rules else ""
        find = f'{_FIND_FAST.format(**common)}{end}if [ -z "$_gt_trace_real" ]; then\n{find}fi\n'
    return "".join(
        [
            f"#!{shell}\n{MARK}: {program}\n# {json.dumps(facts(program))}\n",
            _BEGIN,
            rules,
            find,
            unwanted,
            _VERSION.format(**common) if program == "bd" else "",
            SWITCH,
            f'if [ -z "$_gt_trace_on" ]; then {execute}; fi\n',
            _PYTHON.format(**python),
            f"{execute}\n",
        ]
    )


def found_shell() -> str:
    """Return the shell for launchers on this machine, with its options.

    That is the first one that says nothing of its own: bash warns of an LC_ALL whose locale is missing before
    it reads its script, so that every command would say so on its stderr.
    """
    there = [shell for shell in SHELLS if os.access(shell.split()[0], os.X_OK)]
    return next((shell for shell in there if not warning(shell)), there[-1])


def warning(shell: str) -> str:
    """Return what a shell says in this environment before it does anything, "" for nothing."""
    try:
        done = subprocess.run([*shell.split(), "-c", ":"], capture_output=True, check=False)
    except OSError as error:
        return str(error.strerror)
    return done.stderr.decode("utf-8", "replace").strip()


def facts(program: str) -> dict[str, str]:
    """Return what the third line of a shim says of it, as JSON: what it runs, and whose it is."""
    root = _root()
    return {
        "program": program,
        "version": VERSION,
        "python": interpreter()[0],
        "package": root,
    }


def _root() -> str:
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))


def pieces(shell: str) -> dict[str, str]:
    """Return what a template needs, quoted for the shell."""
    (python, tag), root = interpreter(), _root()
    # The relay needs what the virtual environment adds, so who may have to start it knows that interpreter.
    loader = f"import sys\nsys.executable = {sys.executable!a}\n{LOADER}"
    found = {"python": python, "loader": loader, "bundle": bundle(root, tag=tag), "main": f"{root}/{PROGRAM}"}
    # Where arguments are so long that only the command's own fit, bash can go on and run it.
    execfail = "shopt -s execfail" if "bash" in shell else ":"
    return {"execfail": execfail, **{name: shlex.quote(part) for name, part in found.items()}}


@functools.cache
def interpreter() -> tuple[str, str]:
    """Return the interpreter of launchers, our own or the system's if that is quicker; and its bundle's tag.

    Our own is that under a virtual environment: what a venv adds, its packages, is what we leave out.
    """
    own = os.path.realpath(sys.executable)
    built_with = sysconfig.get_config_var("CONFIG_ARGS") or ""
    if sys.implementation.name != "cpython" or OPTIMISED in built_with:
        return own, str(sys.implementation.cache_tag)
    asked = "import sys; print(sys.implementation.cache_tag, *sys.version_info[:2])"
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        words = [SYSTEM, "-I", "-S", "-E", "-c", asked]
        said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=10).stdout
        tag, major, minor = said.split()
        if tag.startswith("cpython-") and (int(major), int(minor)) >= OLDEST:
            return os.path.realpath(SYSTEM), tag
    return own, str(sys.implementation.cache_tag)


def write(path: str, content: str = "") -> None:
    """Write a launcher, by default that of `text`, to `path`: executable, whole at once. Raises OSError."""
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(content or text())
            os.fchmod(stream.fileno(), 0o755)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m gastown_tracing.shims.launcher FILE")
    try:
        write(sys.argv[1])
    except OSError as error:
        raise SystemExit(
            f"gastown_tracing.shims.launcher: cannot write {sys.argv[1]}: {error.strerror}"
        ) from None
