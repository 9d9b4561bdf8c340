"""Who is acting: GT_ROLE in every form that gt writes or reads, and what else says who it is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gastown_tracing.identity import NAMED, SINGLETONS, agent_name, identity, parse_role, resource

#: GT_ROLE; the role, the rig and the agent's name that it says. gt's own rules (parseRoleString), but that
#: the place of a dog (`deacon/dogs/NAME`) and of the mayor in a rig are understood as well.
ROLES = [
    ("mayor", ("mayor", "", "mayor")),
    ("mayor/", ("mayor", "", "mayor")),
    ("mayor/rig", ("mayor", "", "mayor")),
    ("demo/mayor", ("mayor", "", "mayor")),
    ("deacon", ("deacon", "", "deacon")),
    ("deacon/", ("deacon", "", "deacon")),
    ("deacon/boot", ("boot", "", "boot")),
    ("deacon/dogs/boot", ("boot", "", "boot")),
    ("boot", ("boot", "", "boot")),
    ("deacon/dogs/fido", ("dog", "", "fido")),
    ("deacon/dogs", ("dog", "", "")),
    ("dog", ("dog", "", "")),
    ("dogs/fido", ("dog", "", "fido")),
    ("demo/witness", ("witness", "demo", "witness")),
    ("demo/witness/rig", ("witness", "demo", "witness")),
    ("witness", ("witness", "", "witness")),
    ("demo/refinery", ("refinery", "demo", "refinery")),
    ("gamestore//refinery", ("refinery", "gamestore", "refinery")),
    ("gamestore/refinery/", ("refinery", "gamestore", "refinery")),
    ("refinery", ("refinery", "", "refinery")),
    ("demo/polecats/rust", ("polecat", "demo", "rust")),
    ("gamestore//polecats//alpha", ("polecat", "gamestore", "alpha")),
    ("demo/polecats/rust/demo", ("polecat", "demo", "rust")),
    ("demo/polecats/witness", ("polecat", "demo", "witness")),
    ("demo/polecats", ("polecat", "demo", "")),
    ("demo/polecat/rust", ("polecat", "demo", "rust")),
    ("demo/rust", ("polecat", "demo", "rust")),
    ("polecat", ("polecat", "", "")),
    ("demo/crew/alice", ("crew", "demo", "alice")),
    ("demo/crew", ("crew", "demo", "")),
    ("crew/alice", ("crew", "", "alice")),
    ("crew", ("crew", "", "")),
    (" demo/crew/alice\n", ("crew", "demo", "alice")),
    ("", ("", "", "")),
    ("/", ("", "", "")),
    ("king", ("", "", "")),
    ("west/boot", ("", "", "")),
    ("west/deacon", ("", "", "")),
    ("west/dogs/fido", ("", "", "")),
    ("deacon/boot/extra", ("", "", "")),
    ("deacon/other", ("", "", "")),
    ("demo/a/b/c", ("", "", "")),
    ("witness/demo", ("", "", "")),
]

POLECAT = {"GT_ROLE": "polecat", "GT_RIG": "demo", "GT_POLECAT": "rust"}
#: An environment, and what it says of role, agent_name, rig and agent_type; None is absent.
IDENTITIES: list[tuple[dict[str, str], tuple[str | None, ...]]] = [
    ({"GT_ROLE": "demo/polecats/rust"}, ("polecat", "rust", "demo", None)),
    (POLECAT, ("polecat", "rust", "demo", None)),
    ({**POLECAT, "GT_CREW": "alice"}, ("polecat", "rust", "demo", None)),
    ({**POLECAT, "GT_ROLE": "demo/polecats/nux"}, ("polecat", "nux", "demo", None)),
    ({"GT_ROLE": "polecat", "GT_RIG": "demo"}, ("polecat", None, "demo", None)),
    ({"GT_ROLE": "demo/crew/alice", "GT_RIG": "demo"}, ("crew", "alice", "demo", None)),
    ({"GT_ROLE": "crew", "GT_CREW": "alice", "GT_RIG": "demo"}, ("crew", "alice", "demo", None)),
    ({"GT_ROLE": "dog", "GT_DOG_NAME": "fido"}, ("dog", "fido", "", None)),
    ({"GT_ROLE": "mayor", "GT_AGENT": "claude"}, ("mayor", "mayor", "", "claudecode")),
    ({"GT_ROLE": "mayor", "GT_POLECAT": "rust", "GT_RIG": "demo"}, ("mayor", "mayor", "", None)),
    ({"GT_ROLE": "deacon/boot", "GT_AGENT": "codex"}, ("boot", "boot", "", "codex")),
    ({"GT_ROLE": "demo/witness", "GT_POLECAT": "rust"}, ("witness", "witness", "demo", None)),
    ({"GT_ROLE": "witness", "GT_RIG": "demo"}, ("witness", "witness", "demo", None)),
    ({"GT_POLECAT": "rust", "GT_RIG": "demo"}, (None, "rust", "demo", None)),
    ({"GT_CREW": "alice"}, (None, "alice", None, None)),
    ({"GT_ROLE": "king"}, (None, None, None, None)),
    ({"GT_AGENT": "gemini"}, (None, None, None, "gemini")),
    ({}, (None, None, None, None)),
]


@pytest.mark.parametrize(("text", "expected"), ROLES)
def test_a_role_in_all_its_forms(text: str, expected: tuple[str, str, str]) -> None:
    """Role, rig and name, as far as the text says them."""
    assert parse_role(text) == expected


@pytest.mark.parametrize(("env", "expected"), IDENTITIES)
def test_an_environment_says_who_it_is(env: dict[str, str], expected: tuple[str | None, ...]) -> None:
    """What is known and nothing else: town-level agents have an empty rig, strangers have none."""
    found = identity(env)
    assert tuple(found.get(name) for name in ("role", "agent_name", "rig", "agent_type")) == expected
    assert agent_name(env) == (expected[1] or "")


@settings(max_examples=300, deadline=None, database=None)
@given(st.lists(st.sampled_from([*SINGLETONS, *NAMED, "polecats", "dogs", "demo", "x", ""]), max_size=5))
def test_any_role_is_a_known_one_or_none(parts: list[str]) -> None:
    """One of a kind is named after its role, and a rig is the text's first word."""
    role, rig, name = parse_role("/".join(parts))
    assert role in ("", *SINGLETONS, *NAMED)
    assert not role or name == role or role in NAMED
    assert role or not (rig or name)
    assert rig in ("", *[part for part in parts if part][:1])


def test_a_resource_says_nothing_of_a_prompt() -> None:
    """gt, its exporter on, puts the beginning of an agent's prompt there; nobody has opted into that."""
    found = resource({"OTEL_RESOURCE_ATTRIBUTES": "team=a,gt.role=mayor,gt.prompt=do it"})
    assert (found["team"], found["gt.role"]) == ("a", "mayor")
    assert "gt.prompt" not in found
