"""What the shims cost: `python -m benchmarks.bench_shims [ROUNDS]`; `… replay` runs all of the corpus.

The replay runs the command lines of a real town one after another, against stand-ins that are busy as long
as the real commands were. `python -m benchmarks` runs a tenth of it, evenly drawn.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from benchmarks.bench_exec import endpoints
from benchmarks.measure import Row, side_by_side
from gastown_tracing.journal.layout import create
from gastown_tracing.shims import install

PROGRAMS = ("bd", "git", "tmux")
#: The corpus, and the town in it.
CORPUS = Path(__file__).parent.parent / "tests" / "data" / "town-commands.jsonl"
TOWN = "/home/op/town"
RUN = "3332b129-af15-4f71-9ecd-9b5c2fe437ee"

#: How long a stand-in is busy, in seconds, is in its environment.
BUSY = "STANDIN_SECONDS"
#: Busy from its start on, as a command that computes; where there is no C compiler it sleeps instead.
STANDIN = f"""\
#include <stdlib.h>
#include <time.h>
static double now(void) {{
  struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9;
}}
int main(void) {{
  double begun = now(); const char *said = getenv("{BUSY}"); double wanted = said ? atof(said) : 0;
  while (now() - begun < wanted) ;
  return 0;
}}
"""
SLEEPER = f'#!/bin/sh\nexec sleep "${{{BUSY}:-0}}"\n'


@dataclass(frozen=True)
class Bench:
    """A town with shims before stand-ins: its directory, and the environments without and with the shims."""

    town: Path
    plain: Mapping[str, str]
    shimmed: Mapping[str, str]

    def paths(self, program: str) -> tuple[str, str]:
        """Return the stand-in of a program, and its shim."""
        return str(self.town.parent / "bin" / program), str(self.town.parent / "shims" / program / program)


def prepare(directory: Path) -> Bench:
    """Make a town in an empty directory, with a journal that is on, stand-ins and shims."""
    town, programs = directory / "town", directory / "bin"
    (town / "mayor").mkdir(parents=True)
    (town / "mayor" / "town.json").write_text("{}\n")
    programs.mkdir()
    _standin(programs / "git")
    for name in PROGRAMS:
        if name != "git":
            shutil.copy(programs / "git", programs / name)
    install.write(str(directory / "shims"), PROGRAMS)
    create(f"{directory}/journal")
    env = {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("GT_", "OTEL_", "TMUX"))
        },
        "GT_OTEL_JOURNAL": f"{directory}/journal",
        "GT_OTEL_RELAY": "false",
        "GT_ROOT": str(town),
        "GT_RUN": RUN,
        "PATH": f"{programs}:{os.environ['PATH']}",
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has been compiled
    shims = ":".join(f"{directory}/shims/{name}" for name in PROGRAMS)
    return Bench(town, env, {**env, "PATH": f"{shims}:{env['PATH']}"})


def _standin(path: Path) -> None:
    compiler = shutil.which("cc")
    if compiler:
        source = path.with_suffix(".c")
        source.write_text(STANDIN)
        subprocess.run([compiler, "-O1", "-o", str(path), str(source)], check=True)
        source.unlink()
    else:
        path.write_text(SLEEPER)
        path.chmod(0o755)


def single(bench: Bench, rounds: int) -> list[Row]:
    """Return the rows of single commands: one that nobody wants to see, and one that runs 50 ms."""
    git, git_shim = bench.paths("git")
    bd, bd_shim = bench.paths("bd")
    python = os.path.realpath(sys.executable)
    lasting = {BUSY: "0.05"}
    with endpoints() as urls:
        commands: dict[str, tuple[Sequence[str], Mapping[str, str]]] = {
            "git": ([git, "rev-parse", "HEAD"], bench.plain),
            "git shim": ([git_shim, "rev-parse", "HEAD"], bench.shimmed),
            "python": ([python, "-I", "-S", "-E", "-c", "pass"], bench.plain),
            "bd": ([bd, "ready", "--json"], {**bench.plain, **lasting}),
            "bd shim": ([bd_shim, "ready", "--json"], {**bench.shimmed, **lasting}),
        }
        otel_cli = shutil.which("otel-cli")
        if otel_cli:
            options = ["--protocol", "http/protobuf", "--endpoint", urls["healthy"]]
            words = [otel_cli, "exec", *options, "--", bd, "ready", "--json"]
            commands["otel-cli"] = (words, {**bench.plain, **lasting})
        seconds = side_by_side(commands, rounds)
    unwanted = seconds["git shim"] - seconds["git"]
    note = f"{unwanted * 1e3:.2f} ms / {seconds['python'] * 1e3:.2f} ms"
    what = "what the shim adds to a command that nobody wants to see / python -I -S -E -c pass"
    rows = [Row(what, unwanted / seconds["python"], 0.25, note)]
    if otel_cli:
        ours, theirs = seconds["bd shim"] - seconds["bd"], seconds["otel-cli"] - seconds["bd"]
        note = f"{ours * 1e3:.1f} ms / {theirs * 1e3:.1f} ms"
        rows.append(
            Row("what the shim adds to 50 ms of bd / what otel-cli exec adds", ours / theirs, 1.6, note)
        )
    return rows


def lines(share: int) -> Iterator[tuple[list[str], dict[str, str], float]]:
    """Yield (words, variables, seconds) of every `share`-th command of the corpus' bd, git and tmux."""
    number = 0
    for text in CORPUS.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        if line["argv"][0] not in PROGRAMS:
            continue
        for _ in range(line["count"]):
            number += 1
            if number % share == 0:
                yield line["argv"], line["env"], line["seconds"]


def replay(bench: Bench, share: int) -> Row:
    """Return the row of the replay: each command with and without its shim, in turn."""
    there = str(bench.town)
    total, times = 0, {"plain": 0.0, "shimmed": 0.0}
    for words, variables, seconds in lines(share):
        own = {name: value.replace(TOWN, there) for name, value in variables.items()}
        own = {**own, "GT_ROOT": there, BUSY: str(seconds)}
        arguments = [word.replace(TOWN, there) for word in words[1:]]
        total += 1
        for kind, env, file in zip(times, (bench.plain, bench.shimmed), bench.paths(words[0]), strict=True):
            times[kind] += _piped([file, *arguments], {**env, **own})
    what = "commands of a real town one after another, with shims / without"
    share_said = f", one in {share}" if share > 1 else ""
    note = f"{total} commands{share_said}: {times['shimmed']:.1f} s / {times['plain']:.1f} s"
    return Row(what, times["shimmed"] / times["plain"], 1.08, note)


def _piped(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """Return the seconds that a command takes whose output is read, as gt runs it."""
    pipes = os.pipe(), os.pipe()
    actions = [(os.POSIX_SPAWN_DUP2, pipes[0][1], 1), (os.POSIX_SPAWN_DUP2, pipes[1][1], 2)]
    started = perf_counter()
    pid = os.posix_spawn(argv[0], list(argv), env, file_actions=actions)
    for _, writer in pipes:
        os.close(writer)
    for reader, _ in pipes:
        while os.read(reader, 65536):
            continue
    os.waitpid(pid, 0)
    seconds = perf_counter() - started
    for reader, _ in pipes:
        os.close(reader)
    return seconds


def measure(rounds: int, share: int = 10) -> list[Row]:
    """Return the rows of this benchmark; `share` is one command of so many that is replayed."""
    with tempfile.TemporaryDirectory() as directory:
        bench = prepare(Path(directory))
        here = os.getcwd()
        os.chdir(bench.town)
        try:
            return [*single(bench, rounds), replay(bench, share)]
        finally:
            os.chdir(here)


def main() -> None:
    """Print the rows; `replay` as the only word asks for the whole corpus."""
    words = sys.argv[1:]
    whole = words == ["replay"]
    if not whole and words and not (len(words) == 1 and words[0].isdigit() and int(words[0])):
        raise SystemExit("usage: python -m benchmarks.bench_shims [ROUNDS | replay]")
    rounds = 100 if whole or not words else int(words[0])
    for row in measure(rounds, 1 if whole else 10):
        print(row)


if __name__ == "__main__":
    main()
