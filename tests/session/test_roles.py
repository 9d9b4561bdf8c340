"""Roles: every form of GT_ROLE that gt writes, and what cannot be one."""

from __future__ import annotations

import pytest

from gastown_tracing.sessions import roles

FORMS = [
    (("polecat", "Toast", "demo"), "demo/polecats/Toast", "gt-demo-Toast", {"GT_POLECAT": "Toast"}),
    (("demo/polecats/Toast", "", ""), "demo/polecats/Toast", "gt-demo-Toast", {"GT_POLECAT": "Toast"}),
    (("crew", "max", "demo"), "demo/crew/max", "gt-demo-crew-max", {"GT_CREW": "max"}),
    (("demo/crew/max", "max", "demo"), "demo/crew/max", "gt-demo-crew-max", {"GT_CREW": "max"}),
    (("witness", "", "demo"), "demo/witness", "gt-demo-witness", {}),
    (("demo/refinery", "", ""), "demo/refinery", "gt-demo-refinery", {}),
    (("mayor", "", ""), "mayor", "hq-mayor", {}),
    (("deacon", "", ""), "deacon", "hq-deacon", {}),
    (("boot", "", ""), "deacon/boot", "hq-boot", {}),
    (("deacon/boot", "", ""), "deacon/boot", "hq-boot", {}),
    (("dog", "alpha", ""), "dog", "hq-dog-alpha", {"GT_DOG_NAME": "alpha"}),
    (("crew", "a.b", "my.rig"), "my.rig/crew/a.b", "gt-my_rig-crew-a_b", {"GT_CREW": "a.b"}),
]


@pytest.mark.parametrize(("given", "gt_role", "session", "extra"), FORMS, ids=[str(row[0]) for row in FORMS])
def test_forms(given: tuple[str, str, str], gt_role: str, session: str, extra: dict[str, str]) -> None:
    """A role, a name and a rig make GT_ROLE, the session's default name and the variables of the agent."""
    agent = roles.parse(*given)
    assert (agent.gt_role, agent.session) == (gt_role, session)
    rig = {"GT_RIG": agent.rig} if agent.rig else {}
    assert agent.variables() == {"GT_ROLE": gt_role, **rig, **extra}
    assert roles.named(*given) == (agent.variables(), session)


@pytest.mark.parametrize(
    "given",
    [
        ("", "", ""),
        ("king", "", ""),
        ("polecat", "", "demo"),
        ("polecat", "Toast", ""),
        ("mayor", "", "demo"),
        ("mayor", "Toast", ""),
        ("demo/witness", "", "other"),
        ("polecat", "a b", "demo"),
        ("polecat", "../x", "demo"),
        ("crew", "max", "a:b"),
    ],
)
def test_refused(given: tuple[str, str, str]) -> None:
    """What makes no agent is one line of an error."""
    with pytest.raises(roles.RoleError) as caught:
        roles.parse(*given)
    assert "\n" not in str(caught.value)


def test_unknown_role_still_gets_its_variables() -> None:
    """A program may open a session for a role that Gas Town does not know."""
    assert roles.named("librarian", "ada", "demo") == (
        {"GT_ROLE": "librarian", "GT_RIG": "demo"},
        "gt-demo-ada",
    )
