"""Where everything stands in a journal, who may write there, and how one is made.

A shim imports this module before it starts its command, so only what every interpreter has built in is used.
"""

import posix
import time
from errno import EINVAL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION = "1\n"
#: The journal's own directories; a writer makes one again that somebody has deleted.
DIRECTORIES = ("runs", "closed", "loose", "panes", "relay", "index")


class Journal:
    """A journal's paths and switches. `root` is its directory, which need not exist yet."""

    __slots__ = ("config_path", "on_path", "panes_dir", "root", "version_path")

    def __init__(self, root: str) -> None:
        self.root = root
        self.config_path = root + "/config.json"
        self.on_path = root + "/on"
        self.panes_dir = root + "/panes"
        self.version_path = root + "/VERSION"

    def __repr__(self) -> str:
        return f"Journal({self.root!r})"

    def run_dir(self, trace_id: str) -> str:
        """Return the directory that records of the run `trace_id` are written to."""
        return f"{self.root}/runs/{trace_id}"

    def loose_dir(self, time_ns: int) -> str:
        """Return the directory for records outside any run: one each UTC hour of `time_ns` (Unix epoch)."""
        year, month, day, hour = time.gmtime(time_ns // 1_000_000_000)[:4]
        return f"{self.root}/loose/{year:04}-{month:02}-{day:02}T{hour:02}"

    def exists(self) -> bool:
        """Say whether a journal was made here; an empty directory is none yet."""
        return path_exists(self.version_path)

    def is_on(self) -> bool:
        """Say whether the operator's switch, the file `on`, is there."""
        return path_exists(self.on_path)

    def owned(self) -> bool:
        """Say whether this process is the journal's owner; nobody else writes a byte into it."""
        try:
            return posix.stat(self.root).st_uid == posix.geteuid()
        except OSError:
            return False

    def find_run(self, trace_id: str) -> list[str]:
        """Return the directories that hold records of a run: the open one, then closed ones, newest first.

        What came for a run after it was moved is another part of it: on the same date it has `~2` behind its
        name, then `~3` and so on.
        """
        closed = self.root + "/closed"
        places = [self.run_dir(trace_id)] if path_exists(self.run_dir(trace_id)) else []
        for date in sorted(list_directory(closed), reverse=True):
            parts: list[str] = []
            place = f"{closed}/{date}/{trace_id}"
            while path_exists(place):
                parts.insert(0, place)
                place = f"{closed}/{date}/{trace_id}~{len(parts) + 1}"
            places += parts
        return places

    def write_config(self, settings: "Mapping[str, str]") -> None:
        """Replace config.json, at once and whole. Raises OSError."""
        pairs = ",\n".join(f"{quote_json(name)}: {quote_json(value)}" for name, value in settings.items())
        write_atomic(self.config_path, f"{{\n{pairs}\n}}\n" if pairs else "{}\n")


def create(root: str, config: "Mapping[str, str] | None" = None) -> Journal:
    """Make a journal in `root`, switched on, or return the one that is there just as it is (`making`).

    Raises OSError, also where `root` is a directory of another user or holds something else.
    """
    journal = Journal(root)
    if not journal.exists():
        from gastown_tracing.journal.making import make  # most commands find their journal made

        make(journal, config or {})
    return journal


def find_town_root(env: "Mapping[str, str]", cwd: str) -> str:
    """Return the town's root: GT_ROOT, else the nearest parent of `cwd` with mayor/town.json, else ""."""
    given = env.get("GT_ROOT", "")
    if given.startswith("/"):
        return given.rstrip("/") or "/"
    path = cwd.rstrip("/")
    while path.startswith("/"):
        if path_exists(path + "/mayor/town.json"):
            return path
        path = path.rpartition("/")[0]
    return ""


def default_root(env: "Mapping[str, str]", town_root: str) -> str:
    """Return where a town's journal is when nothing else is said: in XDG_STATE_HOME, named after the town.

    A relative XDG_STATE_HOME is ignored, as the XDG base directory specification asks.
    """
    state = env.get("XDG_STATE_HOME", "")
    if not state.startswith("/"):
        state = _home(env) + "/.local/state"
    name = "default"
    if town_root:
        digest = _sha256(town_root.encode("utf-8", "surrogateescape"))
        name = f"{town_root.rpartition('/')[2]}-{digest[:8]}"
    return f"{state.rstrip('/')}/gastown-tracing/{name}"


def _home(env: "Mapping[str, str]") -> str:
    home = env.get("HOME", "")
    if not home.startswith("/"):
        import pwd  # a process without HOME is rare; nobody else pays for this

        try:
            home = pwd.getpwuid(posix.getuid()).pw_dir
        except KeyError:
            home = "/"
    return home.rstrip("/")


def _sha256(data: bytes) -> str:
    # hashlib costs 2.4 ms; the C modules under it are named differently from version to version.
    for module in ("_sha2", "_sha256", "hashlib"):
        try:
            return str(__import__(module).sha256(data).hexdigest())
        except ImportError:
            continue
    raise ImportError("no SHA-256 in this interpreter")


class PaneRegistry:
    """Which run lives in which tmux pane or session: one small file each, in the journal's panes/."""

    __slots__ = ("_journal",)

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def register(
        self,
        run_id: str,
        *,
        socket: str = "",
        server_pid: str = "",
        pane: str = "",
        session: str = "",
        town_root: str = "",
    ) -> None:
        """Say that `run_id` is what runs in this pane (`%7`) of this server and in this session of this town.

        Where one of the two is not known it is left out. Raises OSError.
        """
        fields = {"run_id": run_id, "socket": socket, "session": session, "town_root": town_root}
        text = (
            "{"
            + ",".join(f"{quote_json(name)}:{quote_json(value)}" for name, value in fields.items())
            + "}\n"
        )
        mkdirs(self._journal.panes_dir, levels=1)
        if server_pid and pane:
            write_atomic(self._pane_path(server_pid, pane), text)
        if session:
            write_atomic(self._session_path(session), text)

    def run_for_pane(self, socket: str, server_pid: str, pane: str) -> str | None:
        """Return the run in a pane of the tmux server with this socket and process id, None if unknown."""
        return self._run(self._pane_path(server_pid, pane), "socket", socket)

    def run_for_session(self, name: str, town_root: str) -> str | None:
        """Return the open run of the session `name` of the town `town_root`, None if there is none.

        A name comes again: what a session of it has been is no run of the next one.
        """
        run_id = self._run(self._session_path(name), "town_root", town_root)
        directory = self._journal.run_dir(run_id) if run_id else ""
        is_open = path_exists(f"{directory}/run.json") and not path_exists(f"{directory}/close.json")
        return run_id if is_open else None

    def session_text(self, name: str) -> str | None:
        """Return, as JSON, what is registered last of the sessions of this name in any town, or None."""
        return read_text(self._session_path(name))

    def _run(self, path: str, key: str, wanted: str) -> str | None:
        entry = load_json(read_text(path) or "")
        if isinstance(entry, dict) and entry.get(key) == wanted:
            run_id = entry.get("run_id")
            return run_id if isinstance(run_id, str) else None
        return None

    def _pane_path(self, server_pid: str, pane: str) -> str:
        return f"{self._journal.panes_dir}/{file_name(server_pid)}.{file_name(pane.lstrip('%'))}"

    def _session_path(self, name: str) -> str:
        return f"{self._journal.panes_dir}/s-{file_name(name)}"


def file_name(text: str) -> str:
    """Return a name for a file that stands for `text`: percent-encoded, so that none leaves its directory.

    Long texts with the same beginning have the same name: 255 bytes are what a file name may have.
    """
    quoted = "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte in b"_-" else f"%{byte:02x}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return quoted[:200]


def path_exists(path: str) -> bool:
    """Say whether something is at `path` that this process can see."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def list_directory(path: str) -> list[str]:
    """Return the names in a directory, none where it cannot be read."""
    try:
        return posix.listdir(path)
    except OSError:
        return []


def mkdirs(path: str, levels: int = 64) -> None:
    """Make a directory and at most `levels` - 1 missing ones above it, 0700 whatever the umask.

    Raises OSError.
    """
    try:
        posix.mkdir(path, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        if levels <= 1:
            raise
        mkdirs(path.rpartition("/")[0], levels - 1)
        mkdirs(path, 1)
        return
    posix.chmod(path, 0o700)


def open_regular(path: str, flags: int, mode: int = 0o600) -> int:
    """Return a descriptor of a regular file, without waiting. Raises OSError, also for anything else.

    A named pipe in a file's place would hold whoever opens it for ever, a command that has not started too.
    """
    flags |= posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
    descriptor = posix.open(path, flags, mode)
    if posix.fstat(descriptor).st_mode & 0o170000 != 0o100000:
        posix.close(descriptor)
        raise OSError(EINVAL, "not a regular file", path)
    return descriptor


def read_text(path: str) -> str | None:
    """Return a file's text, what is not UTF-8 replaced; None where it is none or cannot be read."""
    try:
        descriptor = open_regular(path, posix.O_RDONLY)
    except OSError:
        return None
    chunks = []
    try:
        while chunk := posix.read(descriptor, 65536):
            chunks.append(chunk)
    except OSError:
        return None
    finally:
        posix.close(descriptor)
    return b"".join(chunks).decode("utf-8", "replace")


def write_atomic(path: str, content: str | bytes, *, time_ns: int | None = None) -> None:
    """Put a 0600 file with this content at `path`; readers see the old one or the new one. Raises OSError.

    `time_ns` is when it says it was changed (ns since the Unix epoch), by default now.
    """
    data = content.encode("utf-8", "replace") if isinstance(content, str) else content
    temporary = f"{path}.{posix.getpid()}-{posix.urandom(4).hex()}"
    descriptor = posix.open(temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, 0o600)
    try:
        try:
            posix.fchmod(descriptor, 0o600)
            write_all(descriptor, data)
        finally:
            posix.close(descriptor)
        if time_ns is not None:
            posix.utime(temporary, ns=(time_ns, time_ns))
        posix.rename(temporary, path)
    except OSError:
        posix.unlink(temporary)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`, in as many calls as it takes. Raises OSError."""
    while data:
        data = data[posix.write(descriptor, data) :]


#: What JSON escapes in a string (RFC 8259, section 7).
_ESCAPES = {code: f"\\u{code:04x}" for code in range(32)}
_ESCAPES |= {34: '\\"', 92: "\\\\", 10: "\\n", 13: "\\r", 9: "\\t"}


def quote_json(text: str) -> str:
    """Return `text` as a JSON string; lone surrogates are left for whoever encodes the whole line."""
    if type(text) is not str:
        text = str.__str__(text)  # whatever a subclass, such as an enumeration's, makes of its methods
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    return f'"{text.translate(_ESCAPES)}"'


def load_json(text: str) -> object:
    """Return what the JSON in `text` says, None where it is malformed. Never raises."""
    from propagation.scan import load_json as load  # most shims load no JSON

    return load(text)
