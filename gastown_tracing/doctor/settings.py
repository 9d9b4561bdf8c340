"""What is set, where it came from, and what of it cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gastown_tracing import config
from gastown_tracing.doctor.check import ok, problem, warning
from gastown_tracing.journal.layout import load_json
from gastown_tracing.masking import mask, without_credentials
from gastown_tracing.relay.settings import Settings
from gastown_tracing.sessions import receiver

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gastown_tracing.config import Config, Setting, Telemetry
    from gastown_tracing.doctor.check import Check, Checks

DISABLED = "OTEL_SDK_DISABLED"
HERE, FILE = "environment", "config.json"

#: What is read from the environment alone.
_NOT_IN_FILE = (config.JOURNAL, DISABLED)
#: What the relay reads as well, which knows config.json alone; `gt-trace env` does not write these.
_RELAYS = (
    *("GT_OTEL_RETENTION_DAYS", "GT_OTEL_RETENTION_BYTES", "GT_OTEL_HARD_CAP_BYTES"),
    *(setting.name for setting in config.SETTINGS if setting.name.startswith("GT_LOG_")),
)
#: Further names that config.json may have: the relay's PATH.
_ALSO = ("PATH",)
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
        yield warning("telemetry", f"off: {why}", advice)
    yield from _file(found, telemetry.journal.config_path)
    for setting in config.SETTINGS:
        yield _setting(setting, found)
    for name in sorted({*env, *found.file}):
        if name.startswith(config.EXPORTER_PREFIX) and found.set(name):
            yield _exporter(name, found)
    if telemetry.journal.exists():
        yield from _differences(found, env)
    yield from _diverted(found, env)


def _file(found: Config, path: str) -> Checks:
    """Yield what is wrong with config.json."""
    loaded = load_json(found.text) if found.text.strip() else {}
    if not isinstance(loaded, dict):
        yield problem(FILE, f"{path} is no JSON object: nothing in it counts", "correct it by hand")
        return
    wrong = sorted(str(name) for name, value in loaded.items() if not isinstance(value, str))
    if wrong:
        yield warning(
            FILE, f"not text, so ignored: {', '.join(wrong)}", f"write each value in quotes in {path}"
        )
    known = {*config.DEFAULTS, *_ALSO}.difference(_NOT_IN_FILE)
    strange = sorted(
        name for name in found.file if name not in known and not name.startswith(config.EXPORTER_PREFIX)
    )
    if strange:
        yield warning(
            FILE, f"without effect there: {', '.join(strange)}", f"remove or correct them in {path}"
        )
    for said in Settings(config.Config({}, path)).problems:
        yield problem(FILE, said, f"correct it in {path}")


def _setting(setting: Setting, found: Config) -> Check:
    name = setting.name
    given = found.env.get(name, "") if name in _NOT_IN_FILE else found.set(name)
    if not given and name in config.URLS and not any(found.set(url) for url in config.URLS):
        return ok(name, "not set; one of the three makes the others take their defaults")
    if not given:
        return ok(name, f"{setting.default} · default" if setting.default else "not set")
    shown = f"{_shown(name, given)} · {_source(name, found)}"
    return _unusable(setting, given, shown) or ok(name, shown)


def _exporter(name: str, found: Config) -> Check:
    """Return one of OTEL_EXPORTER_OTLP_*."""
    value = found.set(name)
    shown = f"{_shown(name, value)} · {_source(name, found)}"
    if name.endswith("HEADERS") and not all("=" in pair for pair in value.split(",") if pair.strip()):
        return problem(
            name, f"{shown}: not all are name=value", "write name=value,name=value; percent-encode the rest"
        )
    return ok(name, shown)


def _unusable(setting: Setting, given: str, shown: str) -> Check | None:
    """Return what is wrong with a value, None where it can be used."""
    name, kind, value = setting.name, setting.kind, given.strip().lower()
    if kind == "url" and not value.startswith(("http://", "https://")) and value != config.NO_ENDPOINT:
        return problem(name, f"{shown}: no URL", "it begins with http:// or https://, or is `none`")
    if kind == "flag" and value not in _FLAGS:
        return warning(name, f"{shown}: counts as switched off", "`true` switches it on")
    if kind in ("bytes", "number") and not (value.isascii() and value.isdigit()):
        return warning(name, f"{shown}: no number, so it counts as unset", "give a number, without a unit")
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
        if env.get(name) and env[name] != found.file.get(name, config.DEFAULTS[name]):
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
