"""bd's command lines by hand: the event, what the arguments say of it, what led to it and what it makes."""

from __future__ import annotations

import shlex

import pytest

from gastown_tracing.shims.lines.classify import classify
from gastown_tracing.shims.lines.seen import BD, UNREAD, Seen

MAIL = "gt:message,from:demo/witness,msg-type:reply,delivery:pending,thread:thread-1,reply-to:hq-wisp-1"
AGENT = "rust\n\nrole_type: polecat\nrig: demo\nagent_state: {state}\nhook_bead: {hook}"


def bd(line: str) -> Seen:
    """Return what a command line of bd is."""
    seen = classify("bd", shlex.split(line))
    assert seen is not None
    return seen


@pytest.mark.parametrize(
    ("line", "event", "attributes"),
    [
        ("", "bd.call", {}),
        ("ready --json", "bd.call", {}),
        ("nosuch", "bd.call", {}),
        ("--json", "bd.call", {}),
        ("create 'A task' -t task", "bead.create", {}),
        ("create --id de-1 --parent=de-2 x", "bead.create", {"bead_id": "de-1", "parent_id": "de-2"}),
        ("new x", "bead.create", {}),
        ("create --labels=gt:merge-request --title=x", "bead.create", {}),
        ("create --type=convoy --id=hq-cv-1 --title=x", "convoy.create", {"bead_id": "hq-cv-1"}),
        ("create -tconvoy x", "convoy.create", {}),
        ("create --dry-run x", "bd.call", {}),
        ("create --help", "bd.call", {}),
        ("create -f plan.md", "bd.call", {}),
        ("create --graph plan.json", "bd.call", {}),
        ("q x", "bd.call", {}),
        ("mail inbox", "bd.call", {}),
        ("cook mol-a --mode=runtime", "mol.cook", {"formula_name": "mol-a"}),
        ("cook ./formulas/mol-a.formula.toml", "mol.cook", {"formula_name": "mol-a"}),
        ("cook mol-a --dry-run", "bd.call", {}),
        ("cook", "bd.call", {}),
        ("cook 'what a text'", "bd.call", {}),
        ("mol wisp mol-a --var issue=de-1 --json", "mol.wisp", {"formula_name": "mol-a", "bead_id": "de-1"}),
        ("mol wisp create mol-a --root-only --actor x", "mol.wisp", {"formula_name": "mol-a"}),
        ("protomolecule wisp mol-a", "mol.wisp", {"formula_name": "mol-a"}),
        ("mol wisp list --json", "bd.call", {}),
        ("mol wisp gc", "bd.call", {}),
        ("mol wisp", "bd.call", {}),
        ("mol pour mol-a --var a=b", "formula.instantiate", {"formula_name": "mol-a"}),
        (
            "mol bond mol-a de-1 --ephemeral",
            "formula.instantiate",
            {"formula_name": "mol-a", "bead_id": "de-1"},
        ),
        ("mol bond de-wisp-1 de-1", "bd.call", {}),
        ("mol squash de-mol-1 --keep-children", "mol.squash", {"mol_id": "de-mol-1"}),
        ("mol burn de-mol-1 --force", "mol.burn", {"mol_id": "de-mol-1"}),
        ("mol burn de-mol-1 de-mol-2", "mol.burn", {"mol_id": "de-mol-1, de-mol-2"}),
        ("mol burn de-mol-1 --dry-run", "bd.call", {}),
    ],
)
def test_a_command_line_is_its_most_specific_event(
    line: str, event: str, attributes: dict[str, object]
) -> None:
    """With the attributes that its arguments say, and no others."""
    seen = bd(line)
    assert (seen.event, seen.attributes) == (event, attributes)


@pytest.mark.parametrize(
    "line",
    [
        f"create --assignee mayor/ -d Text --priority 2 --labels {MAIL} --actor a --ephemeral -- --Subject",
        f"--actor a create -amayor/ --priority=2 -dText -l{MAIL} -- --Subject",
        f"create -a=mayor/ -p2 -l gt:message -l {MAIL.partition(',')[2]} -m Text --title=--Subject",
        f"--db x --actor=close create --body Text --label {MAIL} -p 2 --assignee=mayor/ --title --Subject",
        f"-q new --description=Text --labels={MAIL} -amayor/ -p 2 --title=--Subject --json=true",
    ],
)
def test_mail_is_read_in_every_form_of_flags(line: str) -> None:
    """Glued, with `=`, behind the flag, before the subcommand, repeated, behind `--`."""
    seen = bd(line)
    assert seen.event == "mail"
    assert seen.attributes == {
        "operation": "send",
        "msg.from": "demo/witness",
        "msg.to": "mayor/",
        "msg.subject": "--Subject",
        "msg.thread_id": "thread-1",
        "msg.priority": "2",
        "msg.type": "reply",
        "msg.body": "Text",
    }
    assert (seen.reads, seen.makes, seen.causes) == (BD, (("beads", ""),), (("beads", "hq-wisp-1"),))


def test_mail_says_only_what_it_is_told() -> None:
    """Without labels its sender is the actor; a body from stdin is unknown; a text is nobody's name."""
    seen = bd("create -l gt:message --actor overseer -d - -a 'please read this' -- Subject")
    assert seen.attributes == {"operation": "send", "msg.from": "overseer", "msg.subject": "Subject"}
    assert seen.causes == ()


def test_a_merge_request_is_noted_as_one() -> None:
    """So that only its own later commands, not any bead's, are linked to what asked for it."""
    assert bd("create --labels=gt:merge-request x").makes == (("beads", ""), ("merges", ""))
    assert bd("create --labels=gt:merge-request --id=de-1 x").makes == (("beads", "de-1"), ("merges", "de-1"))
    assert bd("create x").makes == (("beads", ""),)
    for line in (
        "update de-1 --status=open",
        "close de-1 -r merged",
        "done de-1",
        "show de-1 --json",
        "view de-1",
    ):
        assert bd(line).causes == (("merges", "de-1"),), line
    assert bd("show --id=de-1 de-2").causes == (("merges", "de-2"), ("merges", "de-1"))
    assert bd("comment de-1 hello").causes == ()


@pytest.mark.parametrize(
    ("line", "hook"),
    [
        ("update de-1 --status=hooked --assignee=a/b", {"bead": "de-1", "actor": "a/b"}),
        ("update -shooked de-1 -a a/b", {"bead": "de-1", "actor": "a/b"}),
        ("update de-1 --status=hooked", {}),  # whose hook nobody says
        ("update de-1 --status=in_progress", {}),  # an agent that has begun
        ("update de-1 --claim", {}),
        ("update de-1 --status=open --assignee=", {"bead": "de-1", "actor": ""}),
        ("update de-1 --assignee=''", {"bead": "de-1", "actor": ""}),
        ("update de-1 -s pinned", {"bead": "de-1", "actor": ""}),
        ("update de-1 de-2 -s open", {}),
        ("update -s open", {}),  # the bead that was touched last
        ("update de-1 --notes x", {}),
        ("update de-1 -d 'attached_molecule: de-wisp-1\nx: y'", {"bead": "de-1", "mol": "de-wisp-1"}),
        ("update de-1 -d 'Attached-Molecule: de-wisp-1'", {"bead": "de-1", "mol": "de-wisp-1"}),
        ("update de-1 -d 'a text'", {"bead": "de-1", "mol": ""}),
        (
            "update de-1 -d 'attached_molecule: m-1' --status=hooked -a a/b",
            {"bead": "de-1", "actor": "a/b", "mol": "m-1"},
        ),
        (f"update de-1 -d '{AGENT.format(state='idle', hook='null')}'", {}),  # no work of anybody
        ("close de-1", {"bead": "de-1", "actor": ""}),
        ("done de-1 --reason x", {"bead": "de-1", "actor": ""}),
        ("close", {}),
        ("delete de-1 --force", {"bead": "de-1", "actor": ""}),
        ("delete de-1 --dry-run", {}),
        ("defer de-1 --until=tomorrow", {"bead": "de-1", "actor": ""}),
        ("duplicate de-1 --of de-2", {"bead": "de-1", "actor": ""}),
        ("supersede de-1 --with de-2", {"bead": "de-1", "actor": ""}),
        ("mol bond de-wisp-1 de-1 --json", {"bead": "de-1", "mol": "de-wisp-1"}),
        ("mol fart de-wisp-1 de-1", {"bead": "de-1", "mol": "de-wisp-1"}),
        ("mol bond mol-a de-1", {}),
        ("mol bond de-wisp-1", {}),
        ("show de-1", {}),
    ],
)
def test_a_command_says_what_it_does_to_a_hook(line: str, hook: dict[str, str]) -> None:
    """Which bead, whose hook it is on from now on, and its molecule; of what it does not say nothing."""
    assert bd(line).hook == hook


def test_an_agents_bead_says_that_it_is_made_and_what_state_it_is_in() -> None:
    """gt keeps an agent's state in the description of its bead."""
    made = bd(
        f"create --id=de-demo-polecat-rust --title x -d '{AGENT.format(state='spawning', hook='null')}'"
    )
    assert (made.event, made.attributes) == ("polecat.spawn", {"name": "rust", "rig": "demo"})
    crew = bd("create --id=de-demo-crew-al -d 'role_type: crew\nagent_state: idle' -- x")
    assert crew.event == "bead.create"
    state = bd(f"update de-demo-polecat-rust --description='{AGENT.format(state='working', hook='de-1')}'")
    assert state.event == "agent.state_change"
    assert state.attributes == {
        "agent_id": "de-demo-polecat-rust",
        "new_state": "working",
        "hook_bead": "de-1",
        "has_hook_bead": True,
    }
    free = bd(f"update de-demo-polecat-rust --description='{AGENT.format(state='idle', hook='null')}'")
    assert (free.attributes["new_state"], free.attributes["has_hook_bead"]) == ("idle", False)
    assert "hook_bead" not in free.attributes


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("create x", BD),
        ("create --silent x", BD),
        ("mol wisp mol-a", BD),
        ("update de-1 --claim --json", BD),
        ("close de-1", UNREAD),
        ("--json show de-1", BD),
        ("show de-1 --json=false", UNREAD),
        ("list --json", UNREAD),
        ("cook mol-a", UNREAD),
        ("delete de-1 --json", UNREAD),
    ],
)
def test_the_output_of_few_commands_is_read(line: str, reads: str) -> None:
    """Of those that print ids which join one command with another."""
    assert bd(line).reads == reads


@pytest.mark.parametrize(
    ("line", "daemon"),
    [
        ("dolt start", True),
        ("init --prefix x", True),
        ("config apply", True),
        ("dolt stop", False),
        ("ready", False),
    ],
)
def test_what_starts_a_server_is_known(line: str, daemon: bool) -> None:
    """It must have no session's context."""
    assert bd(line).daemon is daemon
