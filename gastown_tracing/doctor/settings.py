"""What is set, where it came from, and what of it cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.doctor import shims
from gastown_tracing.doctor.check import ok, problem, skipped, warning
from gastown_tracing.doctor.towns import elsewhere
from gastown_tracing.masking import mask, without_credentials
from gastown_tracing.relay.mistakes import NOT_IN_FILE, without_effect
from gastown_tracing.relay.settings import Settings
from gastown_tracing.relay.watching import unusable
from gastown_tracing.sessions import receiver
from gastown_tracing.settings import SETTINGS, Setting

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gastown_tracing.config import Config, Telemetry
    from gastown_tracing.doctor.check import Check, Checks

HERE, FILE = "environment", "config.json"

#: What the relay reads as well, which knows config.json alone; `gt-trace env` does not write these.
_RELAYS = (
    *("GT_OTEL_RETENTION_DAYS", "GT_OTEL_RETENTION_BYTES", "GT_OTEL_HARD_CAP_BYTES"),
    *(setting.name for setting in SETTINGS if setting.name.startswith("GT_LOG_")),
)
#: What is no longer than this is no secret.
_SHORT = 12
_FLAGS = ("true", "false", "1", "0")


def settings(telemetry: Telemetry, env: Mapping[str, str]) -> Checks:
    """Yield whether telemetry is on, each setting, and what does not go together."""
    found = telemetry.config
    if telemetry.on:
        yield ok("telemetry", f"on: {telemetry.why}")
    else:
        why, _, advice = telemetry.why.partition(": ")
        first = shims.adoption(telemetry)
        if first and why.startswith("nothing"):
            advice = f"{first} does, and lets what gt does here be seen"
        others = elsewhere(telemetry)
        if others:
            why, advice = "this is no town", f"journals here: {others}: cd there"
        yield warning("telemetry", f"off: {why}", advice)
    broken = unusable(found.text) if found.text else ""
    wrong = _wrong(telemetry.journal.config_path)
    shown = [_setting(setting, found, wrong, broken) for setting in SETTINGS]
    names = sorted(name for name in {*env, *found.file} if name.startswith(config.EXPORTER_PREFIX))
    shown += [_exporter(name, found, wrong) for name in names if found.set(name)]
    yield from _file(found, telemetry.journal.config_path, wrong, broken)
    yield from shown
    if telemetry.journal.exists():
        yield from _differences(found, env)
    yield from _diverted(found, env)


def _wrong(path: str) -> dict[str, str]:
    """Return what the relay has to say of its settings, by the setting's name."""
    problems = Settings(config.Config({}, path)).problems
    return {problem.partition(" ")[0].rstrip(":"): problem for problem in reversed(problems)}


def _file(found: Config, path: str, wrong: dict[str, str], broken: str) -> Checks:
    """Yield what is wrong with config.json, but for what has been said: `wrong` is what is left of it."""
    if broken:
        said = f"{path} {broken}: to commands nothing in it counts, and a relay that runs keeps the settings"
        advice = "correct it by hand; a relay that begins now does nothing before that"
        yield problem(FILE, f"{said} that it read last", advice)
        return
    strange = without_effect(found)
    if strange:
        yield warning(
            FILE, f"without effect there: {', '.join(strange)}", f"remove or correct them in {path}"
        )
    for said in wrong.values():
        yield problem(FILE, said, f"correct it in {path}")


def _setting(setting: Setting, found: Config, wrong: dict[str, str], broken: str) -> Check:
    """Return how a setting is; what is said here of what is `wrong` is taken out of that."""
    name = setting.name
    given = found.env.get(name, "") if name in NOT_IN_FILE else found.set(name)
    if not given and broken and name not in NOT_IN_FILE:
        return skipped(name, "not known: config.json cannot be read")
    if not given and name in wrong:
        return problem(name, wrong.pop(name), "correct it in config.json")
    if not given and name in config.URLS and not any(found.set(url) for url in config.URLS):
        return ok(name, "not set; one of the three makes the others take their defaults", default=True)
    if not given:
        return ok(name, f"{setting.default} · default" if setting.default else "not set", default=True)
    shown = f"{_shown(name, given)} · {_source(name, found)}"
    kept = "" if found.env.get(name) else wrong.pop(name, "")
    check = _unusable(setting, given, shown)
    if kept and check is None:
        return problem(name, _corrected(name, shown, kept), "correct it in config.json")
    return check or ok(name, shown)


def _corrected(name: str, shown: str, wrong: str) -> str:
    """Return a value with what is wrong with it; that of a URL shows it already."""
    said = wrong.removeprefix(name).lstrip(": ")
    return f"{said.removeprefix('is ')} · {FILE}" if name in config.URLS else f"{shown}: {said}"


def _exporter(name: str, found: Config, wrong: dict[str, str]) -> Check:
    """Return one of OTEL_EXPORTER_OTLP_*; what is `wrong` with it is said here."""
    value = found.set(name)
    shown = f"{_shown(name, value)} · {_source(name, found)}"
    kept = "" if found.env.get(name) else wrong.pop(name, "")
    if name.endswith("HEADERS") and not all("=" in pair for pair in value.split(",") if pair.strip()):
        return problem(
            name, f"{shown}: not all are name=value", "write name=value,name=value; percent-encode the rest"
        )
    if kept:
        return problem(name, _corrected(name, shown, kept), "correct it in config.json")
    return ok(name, shown)


def _unusable(setting: Setting, given: str, shown: str) -> Check | None:
    """Return what is wrong with a value, None where it can be used."""
    name, kind, value = setting.name, setting.kind, given.strip().lower()
    if kind == "url" and not value.startswith(("http://", "https://")) and value != config.NO_ENDPOINT:
        return problem(name, f"{shown}: no URL", "it begins with http:// or https://, or is `none`")
    if name == config.RELAY and value not in _FLAGS:
        return warning(name, f"{shown}: counts as true", "`false` keeps commands from starting a relay")
    if kind == "flag" and value not in _FLAGS:
        return warning(name, f"{shown}: counts as switched off", "`true` switches it on")
    if kind in ("bytes", "number") and not (value.isascii() and value.isdigit()):
        holds = f": the default holds, {setting.default}" if setting.default else ", so it counts as unset"
        return warning(name, f"{shown}: no number{holds}", "give a number, without a unit")
    if kind == "path" and not given.startswith("/"):
        return warning(name, f"{shown}: another journal in each directory", "give a full path")
    return None


def _source(name: str, found: Config) -> str:
    return HERE if found.env.get(name) else FILE


def _shown(name: str, value: str) -> str:
    """Return a value without what is secret in it: headers, credentials, the path to the receiver."""
    if name.endswith("HEADERS"):
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        return ", ".join(f"{key.strip()}={mask(secret)}" if secret else mask(key) for key, _, secret in pairs)
    if name == config.RECEIVER:
        return receiver_shown(value)
    if "://" in value:
        return without_credentials(value)
    harmless = value.isalnum() and len(value) <= _SHORT  # a flag, a number, or a slip in one
    if harmless or value.startswith("/") or name.endswith(("PROTOCOL", "COMPRESSION", "TIMEOUT")):
        return value
    return mask(value)


def receiver_shown(address: str) -> str:
    """Return the receiver's address without its path: whoever knows that may write into the journal."""
    scheme, _, rest = without_credentials(address).partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host}{slash}{mask(path) if path else ''}"


def _differences(found: Config, env: Mapping[str, str]) -> Checks:
    """Yield what the relay does not see, which reads config.json alone."""
    for name, value in sorted(config.for_journal(env).items()):
        kept = found.file.get(name, "")
        if not kept:
            said = "set here but not in config.json: the relay does not see it"
            yield warning(f"{name}, relay", said, "`gt-trace env` keeps it")
        elif kept != value:
            said = "set here to something else than in config.json, which the relay reads"
            yield warning(f"{name}, relay", said, "`gt-trace env` keeps what is set here; else unset it")
    for name in _RELAYS:
        if env.get(name) and env[name] != found.file.get(name, config.DEFAULTS.get(name, "")):
            said = "set here and not the same in config.json: the relay does not see it"
            yield warning(f"{name}, relay", said, "put it into config.json, too")


def _diverted(found: Config, env: Mapping[str, str]) -> Checks:
    """Yield what would lead Claude Code's own telemetry past the receiver."""
    names = sorted(_diverting(found.file.get(config.RECEIVER, ""), env))
    if names:
        said = f"Claude Code would export elsewhere, or not as the receiver needs it: {', '.join(names)}"
        yield warning("Claude Code", said, "unset them where sessions are started; a session gets its own")


def _diverting(address: str, env: Mapping[str, str]) -> Iterator[str]:
    yield from (name for name in receiver.DIVERTING if env.get(name))
    needed = {**receiver.NEEDED, receiver.ENDPOINT: address or env.get(config.RECEIVER, "")}
    yield from (name for name, value in needed.items() if env.get(name, value) not in ("", value))
