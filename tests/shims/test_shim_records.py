"""What a command of a shim leaves in the journal: one span, all that it is, its links, what it made."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest
from shell_kit import ROOT, RUN
from shim_kit import SAYS, Shims

from gastown_tracing.journal import hooks, index
from gastown_tracing.journal.layout import create
from gastown_tracing.journal.markers import sweep
from tests.processes import is_alive, wait_until

OTHER, SENDER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MAIL = [
    *("bd", "create", "--assignee", "mayor/", "-d", "Which login?", "--priority", "2", "--labels"),
    "gt:message,from:demo/rust,msg-type:reply,thread:thread-1,reply-to:hq-1",
    *("--actor", "demo/rust", "--", "Question"),
]
CREATED = "echo '✓ Created issue: hq-wisp-xq0 — Question'; echo '  Priority: P2'"


def test_a_mail_is_one_span_and_two_records(shims: Shims) -> None:
    """The span has the mail's name and kind and what both events say; each record says its own."""
    assert shims.run(*MAIL, says=CREATED).returncode == 0
    span, logs = shims.span(), shims.logs()
    assert (span.name, span.kind, span.parent_id, span.trace_id) == ("mail", 4, ROOT, RUN)
    expected = {
        "operation": "send", "msg.to": "mayor/", "msg.id": "hq-wisp-xq0", "msg.thread_id": "thread-1",
        "messaging.system": "gastown", "messaging.message.id": "hq-wisp-xq0", "subcommand": "create",
        "exit_code": 0, "process.executable.name": "bd", "process.exit.code": 0, "status": "ok",
    }  # fmt: skip
    assert {name: span.attributes.get(name) for name in expected} == expected
    assert set(logs) == {"mail", "bd.call"}
    assert {(log.trace_id, log.span_id) for log in logs.values()} == {(RUN, span.span_id)}
    assert "duration_ms" in logs["bd.call"].attributes.keys() - logs["mail"].attributes.keys()
    assert "msg.id" in logs["mail"].attributes.keys() - logs["bd.call"].attributes.keys()


def test_a_bead_that_was_made_has_a_record(shims: Shims) -> None:
    """bead.create is a record of bd's span; where bd failed no bead was made."""
    shims.run("bd", "create", "--title=x", "--json", says='echo "{\\"id\\": \\"de-7\\"}"')
    assert (shims.span().name, set(shims.logs())) == ("bd.call", {"bd.call", "bead.create"})
    assert shims.logs()["bead.create"].attributes["bead_id"] == "de-7"
    shims.run("bd", "create", "--title=x", "--json", says="echo no >&2; exit 1")
    assert [log.event_name for log in shims.written()[1]].count("bead.create") == 1


@pytest.mark.parametrize(
    ("says", "bead"),
    [
        ("✓ Created issue: de-7 — a\n  Created issue: de-8 — it says", "de-7"),
        ("⚠ Created issue: de-8 is a title\n✓ Created issue: de-7 — a", "de-7"),
        ("de-7", "de-7"),
        ("password", None),
        ("✓ Created issue: ‹de› — a", None),
    ],
)
def test_of_what_a_create_prints_only_its_own_bead_is_read(says: str, bead: str | None, shims: Shims) -> None:
    """A title, a description or a lone word of somebody's is no id."""
    shims.run("bd", "create", "--title=x", says=f"printf '{says}\\n'")
    assert shims.span().attributes.get("bead_id") == bead
    assert (index.bead_span(shims.journal, "de-7") is not None) == (bead is not None)
    assert index.bead_span(shims.journal, "de-8") is None
    assert index.bead_span(shims.journal, "password") is None


def test_a_command_that_gt_has_not_is_not_guessed(shims: Shims) -> None:
    """A word further on that is a command of gt's is no command here."""
    shims.run("gt", "frobnicate", "mail", "send")
    assert shims.span().name == "gt.command"
    assert "command" not in shims.span().attributes


def test_what_was_made_is_known_to_the_index(shims: Shims) -> None:
    """The span of a mail is found by its id, that of a failure by none."""
    shims.run(*MAIL, says=CREATED)
    assert index.bead_span(shims.journal, "hq-wisp-xq0") == (RUN, shims.span().span_id)
    shims.run(*MAIL, says="echo '✓ Created issue: hq-2 — Q'; exit 1")
    assert index.bead_span(shims.journal, "hq-2") is None


def test_a_reply_links_to_what_it_answers(shims: Shims) -> None:
    """Across traces only: a cause in the same trace is its ancestor or its sibling already."""
    create(str(shims.journal.root))
    index.note_bead(shims.journal, "hq-1", OTHER, SENDER)
    shims.run(*MAIL, says=CREATED)
    assert [link[:2] for link in shims.span().links] == [(OTHER, SENDER)]
    index.note_bead(shims.journal, "hq-1", RUN, SENDER)
    shims.run(*MAIL, says=CREATED)
    assert [len(span.links) for span in shims.written()[0]] == [1, 0]


def test_a_read_links_to_the_send(shims: Shims) -> None:
    """In a session `gt mail read` leads to the span that sent the message; a root has no link."""
    create(str(shims.journal.root))
    index.note_bead(shims.journal, "hq-1", OTHER, SENDER)
    shims.run("gt", "mail", "read", "hq-1")
    assert (shims.span().name, [link[:2] for link in shims.span().links]) == ("mail", [(OTHER, SENDER)])
    shims.run_as(["gt", "mail", "read", "hq-1"], shims.env)
    (alone,) = [span for span in shims.written()[0] if span.trace_id != RUN]
    assert (alone.parent_id, alone.links) == ("", [])


def test_a_hook_is_known_once_the_command_succeeded(shims: Shims) -> None:
    """What bd put on an agent's hook, and took off again; what failed changed nothing."""
    rust = "demo/polecats/rust"
    shims.run("bd", "update", "de-1", "--status=hooked", f"--assignee={rust}", says="exit 1")
    assert hooks.hooked(shims.journal, rust) is None
    shims.run("bd", "mol", "bond", "de-wisp-1", "de-1", "--json")
    shims.run("bd", "update", "de-1", "--status=hooked", f"--assignee={rust}")
    assert hooks.hooked(shims.journal, rust) == ("de-1", "de-wisp-1")
    shims.run("bd", "close", "de-1")
    assert hooks.hooked(shims.journal, rust) == ("", "")


def test_outside_a_run_only_a_town_is_recorded(shims: Shims, tmp_path: Path) -> None:
    """A directory that is no town's says nothing about us; the command becomes the real program at once."""
    says = {**shims.env, SAYS: 'echo "$PPID"'}
    for where, recorded in ((tmp_path, 0), (shims.town, 1)):
        shims.run_as(["bd", "list"], says, cwd=where)
        assert len(shims.written()[0]) == recorded
    shims.run_as(["bd", "list"], {**says, "GT_ROOT": str(shims.town)}, cwd=tmp_path)
    assert len(shims.written()[0]) == 2


def test_each_event_counts_once(shims: Shims) -> None:
    """Two mails, and a list that bd's own hook asks for, are three bd calls and two mails."""
    shims.run(*MAIL, says=CREATED)
    shims.run(*MAIL, says=f"[ $1 = list ] || {{ {CREATED}; bd list; }}")
    _, logs = shims.written()
    names = [log.event_name for log in logs]
    assert (names.count("bd.call"), names.count("mail")) == (3, 2)
    assert len({log.attributes["log.record.uid"] for log in logs}) == 5


def test_killed_with_9_both_records_are_interrupted(shims: Shims) -> None:
    """The command dies with its shim; the sweep writes one span and both records as interrupted."""
    with subprocess.Popen(MAIL, env=shims.session("exec sleep 300"), cwd=shims.town) as process:
        place = Path(shims.journal.run_dir(RUN), "open")
        wait_until(lambda: any(place.glob("[!.]*")), "the call is marked as in progress")
        (command,) = [int(pid) for pid in children(process.pid) if b"sleep" in command_line(pid)]
        process.kill()
    wait_until(lambda: not is_alive(command), "the command is dead")
    assert sweep(shims.journal.run_dir(RUN)) == 1
    assert shims.span().status_code == 2
    assert {log.attributes["status"] for log in shims.logs().values()} == {"error"}
    assert set(shims.logs()) == {"mail", "bd.call"}


def children(pid: int) -> list[str]:
    """Return the process ids of a process's children."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def command_line(pid: str) -> bytes:
    """Return the command line of a process, nothing where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def test_an_index_that_cannot_be_written(shims: Shims) -> None:
    """The command and its records are as ever."""
    create(str(shims.journal.root))
    (Path(shims.journal.root) / "index").rmdir()
    (Path(shims.journal.root) / "index").write_text("")
    done = shims.run(*MAIL, says=CREATED)
    assert (done.returncode, done.stderr) == (0, b"")
    assert set(shims.logs()) == {"mail", "bd.call"}


def test_a_journal_of_another_user(shims: Shims) -> None:
    """Nothing is recorded and nothing changes."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    create(str(shims.journal.root))
    os.chown(shims.journal.root, 65534, 65534)
    done = shims.run(*MAIL, says=CREATED)
    assert (done.returncode, done.stdout.count(b"\n"), done.stderr) == (0, 2, b"")
    assert not list(Path(shims.journal.root).rglob("*.jsonl"))


def test_a_full_disk(shims: Shims, disk: Path) -> None:
    """A journal without a free byte: the same output and exit code, and no marker that never ends."""
    journal = str(disk / "journal")
    create(journal)
    with open(disk / "filler", "wb", buffering=0) as filler:
        try:
            while filler.write(b"x" * 4096):
                continue
        except OSError:
            pass
    done = shims.run(*MAIL, says=f"{CREATED}; exit 3", GT_OTEL_JOURNAL=journal)
    assert (done.returncode, done.stdout.decode().split()[0], done.stderr) == (3, "✓", b"")
    assert not list(Path(journal).rglob("open/*"))


def test_a_signal_while_the_output_is_read(shims: Shims) -> None:
    """SIGTERM reaches the command, once; what it says then arrives, and it ends as it ends."""
    says = 'trap "echo bye; exit 7" TERM; echo ready; while :; do sleep 0.01; done'
    command = ["bd", "create", "x", "--json"]
    with subprocess.Popen(
        command, env=shims.session(says), cwd=shims.town, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == b"bye\n"
        assert process.wait(30) == 7


def test_the_index_holds_ids_alone(shims: Shims) -> None:
    """No body, subject or description of what was made stands in the index."""
    shims.run(*MAIL, says=CREATED)
    texts = [file.read_text() for file in (Path(shims.journal.root) / "index").rglob("*") if file.is_file()]
    assert texts
    assert not any("login" in text or "Question" in text for text in texts)
    assert all(json.loads(text)["key"] for text in texts)
