"""Who an agent is: from a role, a name and a rig to the variables that its session gets.

The forms are those of `gt`: `RIG/polecats/NAME`, `RIG/crew/NAME`, `RIG/witness`, `RIG/refinery`, `mayor`,
`deacon`, `deacon/boot`, and `dog` with GT_DOG_NAME (the data model's "Identity" and "Environment").
A shim asks, so only what every interpreter has built in is used.
"""

from gastown_tracing import identity

#: How GT_ROLE is written, and the session's default name, by role.
FORMS = {
    "polecat": ("{rig}/polecats/{name}", "gt-{rig}-{name}"),
    "crew": ("{rig}/crew/{name}", "gt-{rig}-crew-{name}"),
    "witness": ("{rig}/witness", "gt-{rig}-witness"),
    "refinery": ("{rig}/refinery", "gt-{rig}-refinery"),
    "mayor": ("mayor", "hq-mayor"),
    "deacon": ("deacon", "hq-deacon"),
    "boot": ("deacon/boot", "hq-boot"),
    "dog": ("dog", "hq-dog-{name}"),
}

#: The variable that holds the agent's name, by role; the others are named after their role.
NAME_VARIABLES = {"polecat": "GT_POLECAT", "crew": "GT_CREW", "dog": "GT_DOG_NAME"}

#: What a session's variables are; one that does not apply must not come from somebody else's session.
IDENTITY_VARIABLES = (
    "GT_ROLE",
    "GT_RIG",
    "GT_AGENT",
    "GT_SESSION",
    "GT_ROOT",
    "BD_ACTOR",
    *NAME_VARIABLES.values(),
)

#: What a name may hold beside ASCII letters and digits; the last three not in front.
_SIGNS = "_.@-"


class RoleError(ValueError):
    """A role, name or rig from which no agent can be made. Its text is one line for the user."""


class Agent:
    """An agent: `role` is one of FORMS; `name` equals it for singletons; `rig` is empty outside rigs."""

    __slots__ = ("name", "rig", "role")

    def __init__(self, role: str, name: str, rig: str) -> None:
        self.role = role
        self.name = name
        self.rig = rig

    @property
    def gt_role(self) -> str:
        """Return GT_ROLE as gt writes it; it is also the address of the agent's mail."""
        return FORMS[self.role][0].format(rig=self.rig, name=self.name)

    @property
    def session(self) -> str:
        """Return the default name of the tmux session; tmux allows neither `.` nor `:` there."""
        return FORMS[self.role][1].format(rig=self.rig, name=self.name).replace(".", "_")

    def variables(self) -> dict[str, str]:
        """Return the variables that say who the session's agent is."""
        named = NAME_VARIABLES.get(self.role)
        found = {"GT_ROLE": self.gt_role, "GT_RIG": self.rig, named or "": self.name}
        return {name: value for name, value in found.items() if name and value}


def parse(role: str, name: str = "", rig: str = "") -> Agent:
    """Return the agent of a role, short (`crew`) or as in GT_ROLE (`demo/crew/max`). Raises RoleError."""
    short, own_rig, own_name = identity.parse_role(role)
    if short not in FORMS:
        raise RoleError(f"no such role: {role!r}; take one of {', '.join(FORMS)}")
    if own_rig and rig and own_rig != rig:
        raise RoleError(f"the role {role!r} is in the rig {own_rig!r}, not in {rig!r}")
    return _checked(short, name or own_name, rig or own_rig)


def named(role: str, name: str = "", rig: str = "") -> tuple[dict[str, str], str]:
    """Return (variables, default session name) for any role, also an unknown one. Never raises."""
    try:
        agent = parse(role, name, rig)
    except RoleError:
        short, _, own_name = identity.parse_role(role)
        variable = NAME_VARIABLES.get(short, "")
        found = {"GT_ROLE": role, "GT_RIG": rig, variable: name or own_name}
        title = "-".join(part for part in ("gt", rig, name or own_name or short) if part)
        return {key: value for key, value in found.items() if key and value}, title.replace(".", "_")
    return agent.variables(), agent.session


def session_forms() -> list[str]:
    """Return the default names of sessions, `gt-RIG-NAME` and so on, in the order of FORMS."""
    return [session.format(rig="RIG", name="NAME") for _, session in FORMS.values()]


def _checked(role: str, name: str, rig: str) -> Agent:
    form, session = FORMS[role]
    if "{rig}" in form and not rig:
        raise RoleError(f"a {role} belongs to a rig: add --rig")
    if "{rig}" not in form and rig:
        raise RoleError(f"a {role} belongs to the town, not to a rig: leave --rig out")
    if "{name}" in session and not name:
        raise RoleError(f"a {role} has a name: add --name")
    if "{name}" not in session and name not in ("", role):
        raise RoleError(f"there is one {role} only: leave --name out")
    for what, text in (("name", name), ("rig", rig)):
        if text and not _is_name(text):
            raise RoleError(f"not a {what}: {text!r}; letters, digits, `_`, `-`, `.` and `@` only")
    return Agent(role, name or role, rig)


def _is_name(text: str) -> bool:
    plain = text.translate(dict.fromkeys(map(ord, _SIGNS)))
    return text[0] not in _SIGNS[1:] and (not plain or (plain.isascii() and plain.isalnum()))
