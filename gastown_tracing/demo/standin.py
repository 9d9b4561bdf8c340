"""What stands in for `gt`, and for `bd` where there is none: `python standin.py bd|gt ARGUMENT…`.

Just enough of both for the demo: bd keeps its beads in $GT_ROOT/beads.json, gt runs bd and our own commands.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from typing import Any

Bead = dict[str, Any]

#: Options of bd that take their value from the next argument.
WITH_VALUE = ("-t", "-p", "-d", "--limit", "--reason", "--assignee", "--labels", "--status", "--actor")


def bd(arguments: list[str]) -> int:
    """Do what a bd command line asks; return its exit code."""
    words, options = _split(arguments)
    with open(os.path.join(os.environ["GT_ROOT"], "beads.json"), "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        beads: list[Bead] = json.loads(file.read() or "[]")
        answer = _change(words, options, beads)
        file.truncate(0)
        file.write(json.dumps(beads))
    time.sleep(0.03)  # what a real bd takes at least
    if answer is None:
        print(f"Error: no issue found matching {' '.join(words[1:])!r}", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(answer))  # noqa: T201
    return 0


def _split(arguments: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a command line, and its options by name."""
    words: list[str] = []
    options: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if argument == "--":
            words += rest
        elif not argument.startswith("-"):
            words.append(argument)
        elif equals or name not in WITH_VALUE:
            options[name] = value
        else:
            options[name] = next(rest, "")
    return words, options


def _change(words: list[str], options: dict[str, str], beads: list[Bead]) -> Bead | list[Bead] | None:
    """Apply a command to the beads; return what bd prints, None where no bead is meant."""
    command, subject = words[0], " ".join(words[1:])
    if command == "create":
        bead = {"id": f"de-{len(beads) + 1:03}", "title": subject, "status": "open", **_fields(options)}
        beads.append(bead)
        return bead
    if command in ("ready", "list"):
        return [bead for bead in beads if command == "list" or bead["status"] != "closed"]
    found = [bead for bead in beads if bead["id"] == subject]
    for bead in found:
        if command == "close":
            bead["status"] = "closed"
        if command == "update":
            bead.update(_fields(options))
    return found or None


def _fields(options: dict[str, str]) -> Bead:
    given = {
        name.removeprefix("--"): options[name]
        for name in ("--assignee", "--labels", "--status")
        if name in options
    }
    return {**given, **({"status": "in_progress"} if "--claim" in options else {})}


def gt(arguments: list[str]) -> int:
    """Do what a gt command line asks; return its exit code."""
    command, *rest = arguments
    if command == "sling":
        return _sling(rest[0])
    if command == "prime":
        return _prime(rest[0])
    if command == "mail":
        return _send(*rest[1:])
    return 0


def _traced(event: str, *words: str) -> list[str]:
    return ["gt-trace", "exec", "--event", event, *words]


def _sling(bead: str) -> int:
    """Give the bead to the polecat and start the polecat's session."""
    hook = _traced("bd.call", "--", "bd", "update", bead, "--assignee=demo/polecats/Toast", "--json")
    who = [
        "--role",
        "polecat",
        "--name",
        "Toast",
        "--rig",
        "demo",
        "--issue",
        bead,
        "--env",
        "BD_ACTOR=demo/polecats/Toast",
    ]
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "polecat.sh")
    spawn = _traced("polecat.spawn", "--attr", "name=Toast", "--attr", "rig=demo", "--", "demo-spawn")
    subprocess.run(hook, check=False)
    return subprocess.run([*spawn, *who, "--", "sh", script, bead], check=False).returncode


def _prime(bead: str) -> int:
    """Note the work that begins now in the run's work.jsonl, and look at the bead."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    from propagation.run import parse_run_id  # the demo's own package, known only here
    from propagation.work import WorkContext, format_line

    run_id = parse_run_id(os.environ["GT_RUN"])
    path = os.path.join(os.environ["GT_OTEL_JOURNAL"], "runs", str(run_id), "work.jsonl")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(descriptor, format_line(time.time_ns(), WorkContext("demo", bead), "prime").encode())
    os.close(descriptor)
    return subprocess.run(_traced("bd.call", "--", "bd", "show", bead, "--json"), check=False).returncode


def _send(to: str, subject: str) -> int:
    """Send a mail, which is a bead, and leave word of it where the mayor looks."""
    labels = f"--labels=gt:message,from:{os.environ['GT_ROLE']},msg-type:notification"
    create = ["bd", "create", "--json", f"--assignee={to}", labels, "--", subject]
    said = subprocess.run(_traced("bd.call", "--", *create), check=False, stdout=subprocess.PIPE, text=True)
    bead = json.loads(said.stdout)
    facts = {"id": bead.get("data", bead)["id"], "subject": subject, "sent_by": os.environ["TRACEPARENT"]}
    place = os.path.join(os.environ["GT_ROOT"], "mail")
    with open(place + ".new", "w", encoding="utf-8") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in facts.items())
    os.rename(place + ".new", place)
    return 0


if __name__ == "__main__":
    sys.exit({"bd": bd, "gt": gt}[sys.argv[1]](sys.argv[2:]))
