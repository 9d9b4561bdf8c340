"""The same command with shims and without, before a stand-in that says all that it was given."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shims_kit import script

#: Prints and ends as it is told to, once it has noted its words, environment, directory, streams and input.
STAND_IN = """\
{
  cat /proc/$$/cmdline; printf '\\0\\0'; cat /proc/$$/environ; printf '\\0\\0'; pwd -P
  for number in 0 1 2 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$number ] && printf '%s ' $number; done
} >"$STAND_IN/$$.noting" 3>&- 2>"$STAND_IN/errors"
[ ! -s "$STAND_IN/errors" ] || cat "$STAND_IN/errors" >&2
[ ! -e "$STAND_IN/in" ] || cat >"$STAND_IN/$$.input"
mv "$STAND_IN/$$.noting" "$STAND_IN/$$.noted"
[ ! -s "$STAND_IN/out" ] || cat "$STAND_IN/out"
[ ! -s "$STAND_IN/err" ] || cat "$STAND_IN/err" >&2
read -r code <"$STAND_IN/code"
case $code in -*) kill $code $$; sleep 60 ;; *) exit $code ;; esac"""

#: What we put into an environment (the last one: into a script's), and what the shell in front changes.
OURS = {b"TRACEPARENT", b"TRACESTATE", b"BAGGAGE", b"GT_RUN", b"GT_TRACE_HANDED"}
SHELLS = {b"SHLVL", b"_", b"PWD", b"OLDPWD"}
RESOURCE = b"OTEL_RESOURCE_ATTRIBUTES"

PIPES, FILE, MERGED = "pipes", "one file", "one pipe"


@dataclass(frozen=True)
class Case:
    """One command: its words, variables and input, how its streams are, and what it says and how it ends.

    `code` below 0 is a death by that signal. `closed` are descriptors that the caller has closed.
    """

    program: str
    words: tuple[bytes, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    stdin: bytes | None = None
    streams: str = PIPES
    closed: tuple[int, ...] = ()
    out: bytes = b""
    err: bytes = b""
    code: int = 0


@dataclass(frozen=True)
class Seen:
    """What the caller saw, and what the program did: all its calls, as (words, environment, the rest)."""

    code: int
    out: bytes
    err: bytes
    calls: tuple[tuple[tuple[bytes, ...], dict[bytes, bytes], bytes, bytes], ...]


def stand_ins(folder: Path) -> Path:
    """Write the stand-ins of all programs."""
    for program in ("bd", "gt", "git", "tmux"):
        script(folder / program, STAND_IN)
    return folder


def play(case: Case, scratch: Path, env: Mapping[str, str], cwd: Path) -> Seen:
    """Run a case; `env` has the PATH that is tried. `scratch` is empty, and is so afterwards."""
    for name, content in {"out": case.out, "err": case.err, "code": b"%d\n" % case.code}.items():
        (scratch / name).write_bytes(content)
    if case.stdin is not None:
        (scratch / "in").touch()
    file = scratch / "said"
    argv: list[str | bytes] = [case.program, *case.words]
    if case.closed:
        argv = [
            "/bin/sh",
            "-c",
            f'exec "$@" {" ".join(f"{number}>&-" for number in case.closed)}',
            "sh",
            *argv,
        ]
    with file.open("wb") if case.streams == FILE else contextlib.nullcontext() as opened:
        done = subprocess.run(
            argv,
            env={**env, **case.env, "STAND_IN": str(scratch)},
            cwd=cwd,
            stdin=subprocess.DEVNULL if case.stdin is None else None,
            input=case.stdin,
            stdout=opened or subprocess.PIPE,
            stderr=subprocess.PIPE if case.streams == PIPES else subprocess.STDOUT,
            timeout=60,
            check=False,
        )
    out = file.read_bytes() if opened else done.stdout
    calls = tuple(
        _call(noted) for noted in sorted(scratch.glob("*.noted"), key=lambda path: path.stat().st_mtime_ns)
    )
    for left in scratch.iterdir():
        left.unlink()
    return Seen(done.returncode, out, done.stderr or b"", calls)


def _call(noted: Path) -> tuple[tuple[bytes, ...], dict[bytes, bytes], bytes, bytes]:
    words, environ, rest = noted.read_bytes().split(b"\0\0\0")
    given = noted.with_suffix(".input")
    pairs = dict(item.partition(b"=")[::2] for item in environ.split(b"\0"))
    return tuple(words.split(b"\0")[1:]), pairs, rest, given.read_bytes() if given.exists() else b""


def common(environ: Mapping[bytes, bytes], *, identifiers: bool) -> dict[bytes, bytes]:
    """Return what of an environment may not differ; `identifiers`: a plain sh drops all other names."""
    kept = {name: value for name, value in environ.items() if name not in OURS | SHELLS}
    own = [pair for pair in kept.pop(RESOURCE, b"").split(b",") if pair and not pair.startswith(b"gt.")]
    if own:
        kept[RESOURCE] = b",".join(own)
    if identifiers:
        kept = {name: value for name, value in kept.items() if name.decode("utf-8", "replace").isidentifier()}
    return kept


def within(few: tuple[bytes, ...], many: tuple[bytes, ...]) -> bool:
    """Say whether all of `few` are in `many`, in their order."""
    rest = iter(many)
    return all(word in rest for word in few)


def environment(base: Mapping[str, str], path: str) -> dict[str, str]:
    """Return an environment for a case, with variables that are hard to keep."""
    odd = {
        "npm_config_//r:x": "1",
        "A.B": "2",
        "BASH_FUNC_f%%": "() { :; }",
        "EMPTY": "",
        "LINES_": "a\nb'\"$",
    }
    own = {"OTEL_RESOURCE_ATTRIBUTES": "service.name=x,deployment=y", "BYTES": os.fsdecode(b"\xff\xfe=")}
    return {**base, **odd, **own, "PATH": path}
