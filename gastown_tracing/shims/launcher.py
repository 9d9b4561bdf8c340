"""The shell launcher: starts the fast path without `site`, which costs more than all the rest.

`python -m gastown_tracing.shims.launcher FILE` writes one. It is called like `gt-trace exec`. Where the
interpreter or this package is gone it runs the command as it is.
"""

import os
import shlex
import sys

from gastown_tracing.shims.main import PROGRAM
from gastown_tracing.shims.main import path as bundle

#: bash keeps variables whose names are no identifiers, which sh (dash) drops; `-p`: BASH_ENV is not run.
#: Where SHELL is not set bash looks its user up, before Python starts.
SHELLS = (("/bin/bash", "-p"), ("/usr/bin/bash", "-p"), ("/usr/local/bin/bash", "-p"), ("/bin/sh", ""))

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

TEMPLATE = """\
#!{shell}
# gt-trace exec, by the shortest way. bash reads its script through a closed stderr and leaves it open.
[ /dev/fd/2 -ef "$0" ] && exec 2>&-
{execfail}
# Python starts with SIGPIPE ignored: what our caller ignored is asked before.
if [ -r /proc/self/stat ]; then IFS= read -r _gt_trace_stat </proc/self/stat; else _gt_trace_stat=-; fi
if [ -x {python} ] && [ -r {main} ]; then
  exec {python} -I -S -E -c {loader} {bundle} {main} "$_gt_trace_stat" "$@"
fi
# The interpreter or the package is gone: the command as it is.
while [ $# -gt 0 ]; do
  case $1 in --) shift; break ;; --*=*) shift ;; --*) shift; [ $# -gt 0 ] && shift ;; *) break ;; esac
done
exec "$@"
"""


def text() -> str:
    """Return the launcher of this interpreter and this package."""
    shell = next(" ".join(filter(None, shell)) for shell in SHELLS if os.access(shell[0], os.X_OK))
    # The interpreter under a virtual environment: what a venv adds, its packages, is what we leave out.
    python = os.path.realpath(sys.executable)
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
    # The relay needs what the virtual environment adds, so who may have to start it knows that interpreter.
    loader = f"import sys\nsys.executable = {sys.executable!a}\n{LOADER}"
    parts = {"python": python, "loader": loader, "bundle": bundle(root), "main": f"{root}/{PROGRAM}"}
    # Where arguments are so long that only the command's own fit, bash can go on and run it.
    execfail = "shopt -s execfail" if "bash" in shell else ":"
    return TEMPLATE.format(
        shell=shell, execfail=execfail, **{name: shlex.quote(part) for name, part in parts.items()}
    )


def write(path: str) -> None:
    """Write the launcher to `path`, executable, at once and whole. Raises OSError."""
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text())
        os.fchmod(stream.fileno(), 0o755)
    os.replace(temporary, path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python -m gastown_tracing.shims.launcher FILE")
    try:
        write(sys.argv[1])
    except OSError as error:
        raise SystemExit(
            f"gastown_tracing.shims.launcher: cannot write {sys.argv[1]}: {error.strerror}"
        ) from None
