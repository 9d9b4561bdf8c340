"""Which session of an agent program, and so which transcript, belongs to which run.

A run's agents.jsonl has a line for each session that began in it or ended: Claude Code begins another at
`/clear`. The journal's index has the way back, from the session to the run. All of a line is text, and absent
where it is not known: time (Unix time in nanoseconds), session_id; where it begins, transcript, source, pid,
`within`, the session of this run in which a command has started it, and `primed`, `true` where a prime past
the shims was recorded; where it ends, `ended`, the reason.
`source` says who noted it: `startup`, `resume`, `clear` or `compact` is Claude Code's own word at a session's
start; else it is the hook or the program that met a session of which nobody knew.

The fast path's: nothing is imported that is not built in.
"""

import time

from gastown_tracing.journal import writer
from gastown_tracing.journal.index import AGENTS, look, note
from gastown_tracing.journal.layout import (
    Journal,
    file_name,
    list_directory,
    load_json,
    path_exists,
    quote_json,
    read_text,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

KIND = "agents"


def is_session(text: object) -> bool:
    """Say whether this can be a session's id: a word that is a file's name."""
    return isinstance(text, str) and 0 < len(text) <= 128 and text.isprintable() and not set(text) & set("/ ")


def begins(journal: Journal, run_id: str, session: str, known: "Mapping[str, str]") -> None:
    """Note that a session belongs to a run, and what else is known of it. Raises OSError."""
    before = look(journal, AGENTS, session) or {}
    if before.get("run_id") != run_id:
        before = {}
    _append(journal, run_id, session, known)
    transcript = known.get("transcript") or before.get("transcript", "")
    remember(journal, run_id, session, transcript, before.get("state", ""))


def ends(journal: Journal, run_id: str, session: str, reason: str) -> None:
    """Note that a session has ended. Raises OSError."""
    _append(journal, run_id, session, {"ended": reason or "unknown"})


def remember(journal: Journal, run_id: str, session: str, transcript: str, state: str) -> None:
    """Say in the index what is known of a session now. Raises OSError."""
    found = {"run_id": run_id, "transcript": transcript, "state": state}
    note(journal, AGENTS, session, {name: value for name, value in found.items() if value})


def _append(journal: Journal, run_id: str, session: str, known: "Mapping[str, str]") -> None:
    fields = {"time": str(time.time_ns()), "session_id": session, **known}
    pairs = [f"{quote_json(name)}:{quote_json(value)}" for name, value in fields.items() if value]
    line = f"{{{','.join(pairs)}}}\n".encode("utf-8", "replace")
    writer.append(journal.run_dir(run_id), KIND, line)


def last_session(directories: "Iterable[str]") -> "tuple[str, str]":
    """Return a run's last session and its transcript, each "" where nobody noted it. Never raises.

    `directories` hold the run's records, in any order. What a session has started within it is not its
    successor.
    """
    began = sorted([line for line in _lines(directories) if "ended" not in line], key=_time)
    own = [line for line in began if "within" not in line] or began
    if not own:
        return "", ""
    session = own[-1]["session_id"]
    transcripts = [
        line["transcript"] for line in began if line["session_id"] == session and "transcript" in line
    ]
    return session, "".join(transcripts[-1:])


def _time(line: "Mapping[str, str]") -> int:
    text = line.get("time", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _lines(directories: "Iterable[str]") -> "list[dict[str, str]]":
    found = []
    for directory in directories:
        for text in (read_text(f"{directory}/{KIND}.jsonl") or "").split("\n")[:-1]:
            line = load_json(text)
            if isinstance(line, dict) and is_session(line.get("session_id")):
                found.append({name: value for name, value in line.items() if isinstance(value, str)})
    return found


def met(journal: Journal, run_id: str, env: "Mapping[str, str]", source: str) -> None:
    """Note the session whose command this process is, where nobody has: no hook is installed. Raises OSError.

    Claude Code names it in CLAUDE_CODE_SESSION_ID. A session that is known costs one stat.
    """
    session = env.get("CLAUDE_CODE_SESSION_ID", "")
    if not is_session(session) or path_exists(f"{journal.root}/index/{AGENTS}/{file_name(session)}"):
        return
    begins(journal, run_id, session, {"transcript": _transcript(session, env), "source": source})


def _transcript(session: str, env: "Mapping[str, str]") -> str:
    """Return the file of a session's transcript, "" where there is none.

    Its directory is named after the one that the session began in, which need not be ours.
    """
    projects = (env.get("CLAUDE_CONFIG_DIR") or env.get("HOME", "") + "/.claude") + "/projects"
    files = [f"{projects}/{name}/{session}.jsonl" for name in list_directory(projects)]
    return next((file for file in files if path_exists(file)), "")
