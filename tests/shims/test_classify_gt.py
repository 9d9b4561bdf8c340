"""gt's command lines by hand: an event of their own, or `gt.command` with two words at most."""

from __future__ import annotations

import shlex

import pytest

from gastown_tracing.shims.lines.classify import classify
from gastown_tracing.shims.lines.seen import SLING, UNREAD, Seen


def gt(line: str) -> Seen:
    """Return what a command line of gt is."""
    seen = classify("gt", shlex.split(line))
    assert seen is not None
    return seen


@pytest.mark.parametrize(
    ("line", "event", "attributes"),
    [
        ("prime", "prime", {"hook_mode": False}),
        ("prime --hook", "prime", {"hook_mode": True}),
        ("prime --hook=false", "prime", {"hook_mode": False}),
        ("prim", "prime", {"hook_mode": False}),
        ("sling de-1 demo", "sling", {"bead": "de-1", "target": "demo"}),
        ("sling --var a=b de-1 -a 'be quick' demo/", "sling", {"bead": "de-1", "target": "demo"}),
        ("sling de-1", "sling", {"bead": "de-1"}),
        ("sling shiny --on de-1 crew", "sling", {"bead": "shiny", "target": "crew"}),
        ("sling de-1 de-2 demo", "sling", {"bead": "de-1, de-2", "target": "demo"}),
        ("sling de-1 de-2 de-3", "sling", {"bead": "de-1, de-2, de-3"}),
        ("sling de-1 demo --crew al", "sling", {"bead": "de-1", "target": "demo/crew/al"}),
        ("nudge demo/rust 'please go on'", "nudge", {"target": "demo/rust"}),
        ("nudge --mode=queue -m text mayor/", "nudge", {"target": "mayor"}),
        ("nudge channel:all hello", "nudge", {"target": "channel:all"}),
        ("done", "done", {"exit_type": "COMPLETED"}),
        ("done --status DEFERRED", "done", {"exit_type": "DEFERRED"}),
        ("done --status=escalated --issue de-1", "done", {"exit_type": "ESCALATED", "bead_id": "de-1"}),
        ("done --status=later", "done", {}),
        ("polecat remove demo/rust", "polecat.remove", {"name": "rust", "rig": "demo"}),
        ("polecat nuke demo/rust demo/nux --force", "polecat.remove", {"name": "rust, nux", "rig": "demo"}),
        ("polecats nuke -f a/rust b/nux", "polecat.remove", {"name": "rust, nux"}),
        ("polecat add demo rust", "polecat.spawn", {"name": "rust", "rig": "demo"}),
        ("mail inbox mayor/ --json", "mail", {"operation": "inbox"}),
        ("mail check --inject", "mail", {"operation": "check"}),
        ("mail read hq-wisp-1", "mail", {"operation": "read", "msg.id": "hq-wisp-1"}),
        ("mail show hq-wisp-1", "mail", {"operation": "read", "msg.id": "hq-wisp-1"}),
        ("mail read 3", "mail", {"operation": "read"}),
        ("mail archive hq-1 hq-2", "mail", {"operation": "archive", "msg.id": "hq-1, hq-2"}),
        ("mail ack hq-1", "mail", {"operation": "mark-read", "msg.id": "hq-1"}),
        ("mail thread thread-1", "mail", {"operation": "thread", "msg.thread_id": "thread-1"}),
        ("mail search 'a secret'", "mail", {"operation": "search"}),
        ("mail search secret", "mail", {"operation": "search"}),
        ("formula run shiny --pr=3", "formula.instantiate", {"formula_name": "shiny"}),
        ("mol squash", "mol.squash", {"digest_created": True}),
        ("molecule squash demo/rust --no-digest", "mol.squash", {"digest_created": False}),
        ("mol burn", "mol.burn", {}),
        ("crew start al --rig demo", "crew.session", {"crew": "al", "rig": "demo", "phase": "start"}),
        ("crew start --rig=demo al bo", "crew.session", {"crew": "al, bo", "rig": "demo", "phase": "start"}),
        ("crew spawn demo/al", "crew.session", {"crew": "al", "rig": "demo", "phase": "start"}),
        ("start crew demo/crew/al", "crew.session", {"crew": "al", "rig": "demo", "phase": "start"}),
        ("crew stop demo/al", "crew.session", {"crew": "al", "rig": "demo", "phase": "done"}),
    ],
)
def test_a_command_line_is_its_own_event(line: str, event: str, attributes: dict[str, object]) -> None:
    """With the attributes that its arguments say, and no others."""
    seen = gt(line)
    assert (seen.event, seen.attributes) == (event, attributes)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", "help"),
        ("--help", "help"),
        ("--version", "version"),
        ("-v", "version"),
        ("nosuchcommand", None),
        ("ma", None),  # mail, maintain, mayor
        ("mail send mayor/ -s Subject -m Text", "mail send"),
        ("mail reply hq-1 -s Subject", "mail reply"),
        ("mail", "mail"),
        ("mail channel create x", "mail channel"),
        ("convoy create Sprint de-1", "convoy create"),
        ("formula list", "formula list"),
        ("handoff --help", "handoff"),
        ("handoff -s Subject de-1", "handoff"),
        ("broadcast 'all hands'", "broadcast"),
        ("escalate 'Need help' -s high", "escalate"),
        ("unhook de-1", "unsling"),
        ("ref at demo", "refinery attach"),
        ("mr list demo", "mq list"),
        ("orphans procs kill", "orphans procs"),
        ("mol step done de-1", "mol step"),
        ("sling --dry-run de-1 demo", "sling"),
        ("sling -n de-1 demo", "sling"),
        ("sling respawn-reset de-1", "sling respawn-reset"),
        ("sling 'fix the login'", "sling"),
        ("sling", "sling"),
        ("nudge", "nudge"),
        ("nudge 'please go on'", "nudge"),
        ("polecat nuke demo --all", "polecat nuke"),
        ("polecat remove rust", "polecat remove"),
        ("crew start demo al", "crew start"),  # demo may be a rig, or somebody's name
        ("crew start al", "crew start"),
        ("crew start --rig demo --all", "crew start"),
        ("crew at al", "crew at"),
        ("prime --state", "prime"),
        ("prime --help", "prime"),
        ("mail archive --dry-run hq-1", "mail archive"),
        ("show de-1 --json", "show"),
        ("witness stop demo", "witness stop"),
    ],
)
def test_every_other_command_is_gt_command(line: str, command: str | None) -> None:
    """By gt's own words, whatever alias or beginning of them was typed."""
    seen = gt(line)
    assert seen.event == "gt.command"
    assert seen.attributes.get("command") == command


def test_reading_a_message_is_caused_by_sending_it() -> None:
    """By its id; by its place in a list nobody knows it."""
    assert gt("mail read hq-wisp-1").causes == (("beads", "hq-wisp-1"),)
    assert gt("mail read 1").causes == ()
    assert gt("mail archive hq-wisp-1").causes == ()


def test_only_the_output_of_sling_is_read() -> None:
    """It says which convoy and wisp were made."""
    assert gt("sling de-1 demo").reads == SLING
    assert gt("sling -n de-1 demo").reads == UNREAD
    assert gt("mail inbox --json").reads == UNREAD


@pytest.mark.parametrize(
    ("line", "daemon"),
    [
        ("up", True),
        ("up --restore", True),
        ("start", True),
        ("start crew demo/al", False),
        ("daemon start", True),
        ("daemon run", True),
        ("daemon status", False),
        ("dolt start", True),
        ("dolt restart", True),
        ("dolt status", False),
        ("doctor --fix", True),
        ("doctor", False),
        ("install ~/town", True),
        ("boot spawn", True),
        ("up --help", False),
        ("sling de-1 demo", False),
        ("down", False),
    ],
)
def test_what_leaves_a_daemon_behind_is_known(line: str, daemon: bool) -> None:
    """It must have no session's context."""
    assert gt(line).daemon is daemon
