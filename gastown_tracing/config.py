"""What is set, and whether telemetry is on.

A setting comes from the environment, else from the journal's `config.json`, else from its default
(the data model's section "Environment"). Nothing here raises: a value that cannot be used counts as unset.
"""

import posix

from gastown_tracing.journal.layout import Journal, default_root, find_town_root, load_json, read_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TRACES_URL = "GT_OTEL_TRACES_URL"
METRICS_URL = "GT_OTEL_METRICS_URL"
LOGS_URL = "GT_OTEL_LOGS_URL"
JOURNAL = "GT_OTEL_JOURNAL"
URLS = (TRACES_URL, METRICS_URL, LOGS_URL)

RECEIVER = "GT_OTEL_RECEIVER"
#: Characters of the secret path that a receiver draws.
TOKEN_LENGTH = 32
RELAY = "GT_OTEL_RELAY"
EXPORTER_PREFIX = "OTEL_EXPORTER_OTLP_"

#: Where there is no directory and can be none.
NOWHERE = "/dev/null"

#: What switches one signal off while the others are on.
NO_ENDPOINT = "none"


#: The defaults of the settings that have one (`settings` says what each of them means).
DEFAULTS = {
    TRACES_URL: "http://localhost:4318/v1/traces",
    METRICS_URL: "http://localhost:8428/opentelemetry/api/v1/push",
    LOGS_URL: "http://localhost:9428/insert/opentelemetry/v1/logs",
    RELAY: "true",
    "GT_OTEL_RETENTION_DAYS": "30",
    "GT_OTEL_RETENTION_BYTES": "4294967296",
    "GT_OTEL_HARD_CAP_BYTES": "17179869184",
    "GT_LOG_AGENT_CONTENT_LIMIT": "512",
    "GT_LOG_PANE_CONTENT_LIMIT": "8192",
}

_TRUE = ("true", "1")


class Config:
    """The settings of one process: its environment over the journal's `config.json` over the defaults.

    `env` is text by name. `path` names the `config.json`; it is read when first needed and missing,
    unreadable
    or malformed counts as empty.
    """

    __slots__ = ("_path", "_settings", "_text", "env")

    def __init__(self, env: "Mapping[str, str]", path: str | None = None) -> None:
        self.env = env
        self._path = path
        self._text: str | None = None
        self._settings: dict[str, str] | None = None

    @property
    def text(self) -> str:
        """Return the text of `config.json`."""
        if self._text is None:
            self._text = (read_text(self._path) if self._path else None) or ""
        return self._text

    @property
    def file(self) -> dict[str, str]:
        """Return what `config.json` sets: text by name."""
        if self._settings is None:
            loaded = load_json(self.text)
            items = loaded.items() if isinstance(loaded, dict) else ()
            self._settings = {name: value for name, value in items if isinstance(value, str)}
        return self._settings

    def set(self, name: str) -> str:
        """Return the value that somebody set for `name`, or `""`."""
        given = self.env.get(name)
        if given or name not in self.text:  # most shims find nothing there, and need no JSON parser for that
            return given or ""
        return self.file.get(name, "")

    def get(self, name: str) -> str:
        """Return the value in force for `name`: what was set, else its default, else `""`."""
        return self.set(name) or DEFAULTS.get(name, "")

    def flag(self, name: str) -> bool:
        """Return whether `name` is switched on (`true` or `1`, in any case)."""
        return self.get(name).strip().lower() in _TRUE

    def limit(self, name: str, default: int = 0) -> int:
        """Return a number of bytes; `default` where nothing usable is set. 0 means no limit of its own."""
        text = self.get(name).strip()
        return int(text) if text.isascii() and text.isdigit() else default

    def endpoint(self, name: str) -> str:
        """Return the URL that one signal (`TRACES_URL`, `METRICS_URL` or `LOGS_URL`) goes to, or `""`.

        Once one of the three is set the other two take their defaults; `none` switches one off.
        """
        if not any(self.set(url) for url in URLS):
            return ""
        url = self.get(name).strip()
        return "" if url.lower() == NO_ENDPOINT else url


class Telemetry:
    """Whether telemetry is `on` and `why`, the journal in force, the settings and the town's root.

    Where it is off, `why` also says what switches it on. The journal may not exist yet.
    """

    __slots__ = ("config", "journal", "on", "town_root", "why")

    def __init__(self, on: bool, why: str, journal: Journal, config: Config, town_root: str) -> None:
        self.on = on
        self.why = why
        self.journal = journal
        self.config = config
        self.town_root = town_root

    @property
    def journalled(self) -> bool:
        """Return whether a long-lived program records to the journal rather than by OTLP directly.

        It does when GT_OTEL_JOURNAL is set or the default journal is switched on.
        """
        return bool(self.config.env.get(JOURNAL)) or self.journal.is_on()


def load(env: "Mapping[str, str]", cwd: str | None = None) -> Telemetry:
    """Decide from an environment whether telemetry is on, and with which journal.

    `cwd` is the working directory, for finding the town; None asks the system. Never raises and writes
    nothing.
    """
    here = working_directory() if cwd is None else cwd
    town_root = find_town_root(env, here)
    root = env.get(JOURNAL) or default_root(env, town_root)
    journal = Journal(root if root.startswith("/") else _below(cwd, root))
    on, why = _switch(env, journal)
    return Telemetry(on, why, journal, Config(env, journal.config_path), town_root)


def working_directory() -> str:
    """Return the working directory, `/` where it is gone or may not be seen."""
    try:
        return posix.getcwd()
    except OSError:
        return "/"


def _below(cwd: str | None, path: str) -> str:
    """Return a relative path below the working directory; where that is gone, one that cannot be made."""
    try:
        return f"{(posix.getcwd() if cwd is None else cwd).rstrip('/')}/{path}"
    except OSError:
        return f"{NOWHERE}/{path}"


def _disabled(env: "Mapping[str, str]") -> bool:
    return env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def _switch(env: "Mapping[str, str]", journal: Journal) -> tuple[bool, str]:
    """Return whether telemetry is on, and the reason in words."""
    if _disabled(env):
        return False, "OTEL_SDK_DISABLED is true: unset it"
    if journal.is_on():
        return True, f"{journal.on_path} exists"
    if journal.exists():
        back = f"`gt-trace env --on --journal {journal.root}` switches it on again"
        return False, f"{journal.on_path} is missing, the operator removed it: {back}"
    for name in (JOURNAL, *URLS):
        if env.get(name) and not is_receivers(env[name]):
            return True, f"{name} is set"
    return False, 'nothing switches it on: eval "$(gt-trace env)" does'


def for_journal(env: "Mapping[str, str]") -> dict[str, str]:
    """Return what of an environment goes into a new journal's `config.json`, all that the relay reads.

    GT_OTEL_*_URL and OTEL_EXPORTER_OTLP_*, but no way to the receiver: in a session these point there, and
    the relay
    would send to itself.
    """
    receiver = env.get(RECEIVER, "")
    found = {
        name: value
        for name, value in env.items()
        if value and (name in URLS or name.startswith(EXPORTER_PREFIX)) and not is_receivers(value)
    }
    if not receiver:
        return found
    ours = {name for name, value in found.items() if value == receiver or value.startswith(f"{receiver}/")}
    if any(name.startswith(EXPORTER_PREFIX) for name in ours):
        # The protocol and headers beside the receiver's address are the receiver's too.
        ours |= {name for name in found if name.startswith(EXPORTER_PREFIX)}
    return {name: value for name, value in found.items() if name not in ours}


def is_receivers(url: str) -> bool:
    """Say whether a URL is of the form that a receiver's endpoints have, whatever journal's.

    A shim gives them to gt and bd, whose own commands must not take them for the operator's.
    """
    begins, _, rest = url.partition("//127.0.0.1:")
    port, _, path = rest.partition("/")
    token, _, signal = path.partition("/v1/")
    letters = token.replace("-", "").replace("_", "")
    return (
        begins == "http:"
        and port.isdecimal()
        and len(token) == TOKEN_LENGTH
        and (letters.isascii() and letters.isalnum())
        and signal in ("traces", "metrics", "logs")
    )
