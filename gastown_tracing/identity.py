"""Who is acting: the identity on every record, and the resource of the process that writes it.

The names are the data model's ("Identity", "Resource"). What is not known is left out, never made up.
"""

import posix
import sys

from gastown_tracing._version import VERSION
from gastown_tracing.members import OF_CHILD, OF_PROMPT, session_attributes
from propagation import resource as resource_attributes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE_NAME = "gastown"

#: The roles that exist once in a town or rig: such an agent is named after its role.
SINGLETONS = ("mayor", "deacon", "boot", "witness", "refinery")

#: The roles whose agents have names of their own, and the variable that holds the name.
NAMED = {"polecat": "GT_POLECAT", "crew": "GT_CREW", "dog": "GT_DOG_NAME"}

#: The roles of the town: their agents belong to no rig.
TOWN = ("mayor", "deacon", "boot", "dog")

#: The folder of GT_ROLE's form `RIG/FOLDER/NAME`, and the role it means.
FOLDERS = {"polecats": "polecat", "dogs": "dog"}

#: What `gt` calls an agent, and what records call it.
AGENT_TYPES = {"claude": "claudecode"}


def parse_role(text: str) -> tuple[str, str, str]:
    """Return (role, rig, agent's name) of a GT_ROLE in any of its forms; empty where the text does not say.

    The forms are those that gt writes and reads: `mayor`, `mayor/`, `deacon`, `deacon/boot`, `boot`, `dog`,
    `deacon/dogs/NAME`, `RIG/witness`, `RIG/refinery`, `RIG/polecats/NAME`, `RIG/crew/NAME`, `RIG/NAME` for a
    polecat, and a bare `polecat`, `crew`, `witness` or `refinery`. The name of one of a kind is its role.
    """
    first, *rest = [part for part in text.strip().split("/") if part] or [""]
    role = FOLDERS.get(first, first)
    return _of_town(role, rest) if role in SINGLETONS or role in NAMED else _of_rig(first, rest)


_NOBODY = ("", "", "")


def _of_town(role: str, rest: list[str]) -> tuple[str, str, str]:
    """Return what a GT_ROLE says that begins with a role."""
    if role == "deacon" and rest:
        if rest in (["boot"], ["dogs", "boot"]):
            return "boot", "", "boot"
        return ("dog", "", "".join(rest[1:2])) if rest[0] == "dogs" else _NOBODY
    if role in NAMED:
        return role, "", "".join(rest[:1])
    return (role, "", role) if not rest or role == "mayor" else _NOBODY


def _of_rig(rig: str, rest: list[str]) -> tuple[str, str, str]:
    """Return what a GT_ROLE says that begins with a rig."""
    role = FOLDERS.get(rest[0], rest[0]) if rest else ""
    if role in ("polecat", "crew"):
        return role, rig, "".join(rest[1:2])
    if role in TOWN:
        return (role, "", role) if role == "mayor" else _NOBODY
    if role in SINGLETONS:
        return role, rig, role
    return ("polecat", rig, role) if len(rest) == 1 else _NOBODY


def agent_name(env: "Mapping[str, str]") -> str:
    """Return the agent's name, "" for unknown: what GT_ROLE says, else GT_POLECAT, GT_CREW or GT_DOG_NAME.

    Who spawns polecats may have one's GT_POLECAT: a variable counts only where the role is its own, or where
    no role is known.
    """
    role, _, name = parse_role(env.get("GT_ROLE", ""))
    given = [env.get(variable, "") for of, variable in NAMED.items() if role in ("", of)]
    return name or next(filter(None, given), "")


def identity(env: "Mapping[str, str]", town_root: str = "") -> dict[str, str]:
    """Return the identity that every record carries: text by attribute name, only what is known.

    `rig` is there, and empty, for a town-level agent; it is absent outside a session.
    """
    role, rig, _ = parse_role(env.get("GT_ROLE", ""))
    agent = env.get("GT_AGENT", "")
    known = {
        "instance": f"{posix.uname().nodename}:{_basename(town_root)}" if town_root else "",
        "town_root": town_root,
        "agent_type": AGENT_TYPES.get(agent, agent),
        "role": role,
        "agent_name": agent_name(env),
        "session_id": env.get("GT_SESSION", ""),
    }
    found = {name: value for name, value in known.items() if value}
    if role or env.get("GT_RIG"):
        found["rig"] = "" if role in TOWN else rig or env.get("GT_RIG", "")
    return found


def resource(
    env: "Mapping[str, str]",
    run_id: str | None = None,
    *,
    service_name: str = SERVICE_NAME,
    service_version: str | None = None,
    instance_id: str = "",
) -> dict[str, str | int]:
    """Return the resource of this process: its service, host, operating system and `gt.*` attributes.

    What OTEL_RESOURCE_ATTRIBUTES says is kept, but for the `gt.*` of this process's own session. An
    operator's
    `service.name` there beats the default one, as OTEL_SERVICE_NAME does (OpenTelemetry's resource SDK).
    """
    system = posix.uname()
    found: dict[str, str | int] = {
        "service.name": service_name,
        "service.version": service_version or VERSION,
        "host.name": system.nodename,
        "host.arch": ARCHITECTURES.get(system.machine, system.machine),
        "os.type": sys.platform,
        "os.version": system.release,
        "os.description": f"{system.sysname} {system.release} {system.version}",
    }
    host_id = _host_id()
    if host_id:
        found["host.id"] = host_id
    found.update(resource_attributes.parse(env.get("OTEL_RESOURCE_ATTRIBUTES", "")))
    for name in (*OF_CHILD, OF_PROMPT):
        found.pop(name, None)
    if env.get("OTEL_SERVICE_NAME"):
        found["service.name"] = env["OTEL_SERVICE_NAME"]
    found.update(session_attributes(env, run_id))
    found["process.pid"] = posix.getpid()
    if instance_id:
        found["service.instance.id"] = instance_id
    return found


#: OpenTelemetry's names for `uname -m` (semantic conventions, `host.arch`).
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "x86", "armv7l": "arm32"}


def _host_id() -> str:
    """Return the machine's id as the semantic conventions have it for Linux, or `""`."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            descriptor = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        except OSError:
            continue
        try:
            return posix.read(descriptor, 64).decode("ascii", "ignore").strip()
        except OSError:
            continue
        finally:
            posix.close(descriptor)
    return ""


def _basename(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
