"""The fast path's program: `python -I -S -E main.py STAT [--event E] [--name N] [--attr K=V …] -- CMD …`.

STAT is the line of /proc/self/stat that the launcher read before Python started, or `-`. A shim calls it with
`[--ahead TOLD | --slot SLOT] --shim PROGRAM --file FILE -- NAME …`: the command has been started ahead of us
(`started` has what TOLD is), or what it is handed is to be noted (`handover`).

The launcher runs it as a bundle: this program and all modules of the fast path in one file, loaded at once
and not one by one, which saves most of the milliseconds that importing them costs. The bundle is a cache,
like the `.pyc` files beside it: made by whoever may write there, ignored where it does not fit the sources,
never needed.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from importlib.abc import Loader
    from types import CodeType, ModuleType
    from typing import NoReturn

    #: Of each module: its name, the source's path below the root, that one's mtime in ns and size, its code.
    #: This program, which is no module, has no name there.
    Modules = tuple[tuple[str, str, int, int, CodeType], ...]
    #: A command that has been started before us: its trace ID, its span's id, its process id, when it began
    #: (Unix epoch, ns), the slot of the note that it was handed, and where its output is read three pipes:
    #: its stdout, its stderr, and the one by which we say how many of these we have pumps for.
    Ahead = tuple[str, str, int, int, str, list[int]]
else:
    import _signal  # the C half of signal

    Loader = object  # importlib.abc is slow to load, and its protocol asks for no base class

if "MASK" not in globals():  # an old bundle that runs this program has blocked them already
    #: Signals wait from the first moment on: one that comes now is handed on to the command.
    MASK = _signal.pthread_sigmask(
        _signal.SIG_BLOCK, _signal.valid_signals() if __name__ == "__main__" else ()
    )

import gc
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec

_IDENTITY = ("gastown_tracing._version", "gastown_tracing.identity")
_WRITING = ("gastown_tracing.journal.otlp", "gastown_tracing.journal.writer")
_SCHEMA = (
    "gastown_tracing.events.schema",
    "gastown_tracing.events.outcomes",
    "gastown_tracing.events.commands",
    "gastown_tracing.events.values",
    "gastown_tracing.events.semconv",
)
_ENTRY = ("gastown_tracing.shims.entry", "gastown_tracing.shims.record")
_RUNS = (
    *_WRITING,
    "gastown_tracing.journal.making",
    "gastown_tracing.journal.index",
    "gastown_tracing.hooks.agents",
    "gastown_tracing.sessions.records",
    "gastown_tracing.sessions.processes",
    "gastown_tracing.sessions.roles",
    "gastown_tracing.sessions.head",
    "gastown_tracing.sessions.run",
    "gastown_tracing.sessions.ending",
    "gastown_tracing.sessions.answers",
    "gastown_tracing.shims.asking",
    "gastown_tracing.shims.waking",
)
#: What is loaded at one go, by the name of its part of the bundle; each module after those that it imports.
#: "start" is what every command needs before it runs, and is in the bundle itself. Each other part is a file
#: of its own, read when one of its modules is asked for.
GROUPS = {
    "start": (
        "gastown_tracing",
        "gastown_tracing.journal",
        "gastown_tracing.journal.layout",
        "gastown_tracing.config",
        "gastown_tracing.shims",
        "gastown_tracing.shims.child",
        "propagation",
        "propagation.traceparent",
        "propagation.run",
        "gastown_tracing.shims.plan",
        "propagation.baggage",
        "propagation.resource",
        "propagation.environ",
        "propagation.rules",
        "propagation.work",
        "gastown_tracing.members",
        "gastown_tracing.shims.handing",
        "gastown_tracing.shims.exec",
    ),
    "options": ("gastown_tracing.shims.options",),
    "forking": ("gastown_tracing.shims.forking",),
    "scan": ("propagation.scan",),
    "seen": (
        "gastown_tracing.shims.lines",
        "gastown_tracing.shims.lines.seen",
        "gastown_tracing.shims.lines.classify",
    ),
    "bd": (
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.lines.cobra",
        "gastown_tracing.shims.lines.bd_table",
        "gastown_tracing.shims.lines.bd",
    ),
    "gt": (
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.lines.cobra",
        "gastown_tracing.shims.lines.gt_table",
        "gastown_tracing.shims.lines.gt",
    ),
    "git": (
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.lines.git_table",
        "gastown_tracing.shims.lines.git",
    ),
    "pane": ("propagation.tmux",),
    "sessions": ("gastown_tracing.sessions",),
    "tmux": (
        "gastown_tracing.shims.waiting",
        "gastown_tracing.sessions.documents",
        "gastown_tracing.shims.tmux",
        "gastown_tracing.shims.tmux.table",
        "gastown_tracing.shims.tmux.line",
        "gastown_tracing.shims.tmux.place",
        "gastown_tracing.shims.tmux.running",
    ),
    "keys": (
        "gastown_tracing.journal.making",
        "gastown_tracing.shims.tmux.keys",
        "gastown_tracing.shims.tmux.prompt",
    ),
    "notes": ("gastown_tracing.shims.tmux.notes",),
    "stops": ("gastown_tracing.sessions.stops",),
    "stop": ("gastown_tracing.shims.tmux.stop",),
    "kill": ("gastown_tracing.shims.tmux.kill",),
    "asking": ("gastown_tracing.shims.asking",),
    "tee": ("gastown_tracing.shims.tee",),
    "waiting": ("gastown_tracing.shims.waiting",),
    "making": ("gastown_tracing.journal.making",),
    "identity": _IDENTITY,
    "writing": _WRITING,
    "events": ("gastown_tracing.events",),
    "schema": _SCHEMA,
    "waking": ("gastown_tracing.shims.waking",),
    "handover": ("gastown_tracing.shims.handover",),
    # What every traced command needs once it runs.
    "following": (
        "gastown_tracing.shims.waiting",
        "gastown_tracing.shims.waking",
        "gastown_tracing.shims.following",
        *_IDENTITY,
        *_WRITING,
        "gastown_tracing.events",
        *_SCHEMA,
        *_ENTRY,
    ),
    "entry": _ENTRY,
    "panes": ("gastown_tracing.events.panes",),
    "registry": ("gastown_tracing.events.town", "gastown_tracing.events.registry"),
    "masking": ("gastown_tracing.words", "gastown_tracing.masking"),
    "shell": ("gastown_tracing.events.shell",),
    "cleaning": ("gastown_tracing.events.cleaning",),
    "records": ("gastown_tracing.sessions.records",),
    "prompt_span": ("gastown_tracing.shims.tmux.prompt_span",),
    "looks": ("gastown_tracing.shims.tmux.looks",),
    "processes": ("gastown_tracing.sessions.processes",),
    "relay": ("gastown_tracing.relay", "gastown_tracing.relay.daemon"),
    "outputs": ("gastown_tracing.beads", "gastown_tracing.shims.outputs"),
    "index": ("gastown_tracing.journal.index",),
    "links": ("gastown_tracing.journal.hooks", "gastown_tracing.shims.linking"),
    "prime": (
        "gastown_tracing.beads",
        "gastown_tracing.shims.asking",
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.priming",
    ),
    "agents": ("gastown_tracing.hooks", "gastown_tracing.hooks.agents"),
    "hook": ("gastown_tracing.hooks.agent", "gastown_tracing.hooks.claude"),
    "real": ("gastown_tracing.shims.real",),
    "primes": ("gastown_tracing.hooks.primes",),
    # What ends and what begins sessions.
    "killed": (*_RUNS, "gastown_tracing.sessions.liveness", "gastown_tracing.shims.tmux.killed"),
    "spawn": (
        *_RUNS,
        "gastown_tracing.events.shell",
        "gastown_tracing.sessions.receiver",
        "gastown_tracing.shims.real",
        "gastown_tracing.shims.tmux.spawn",
    ),
    "output": ("gastown_tracing.shims.tmux.output",),
}
PROGRAM = "gastown_tracing/shims/main.py"


class Finder(Loader):
    """Finds the bundle's modules, a part at a time (importlib's finder and loader protocols).

    importlib takes 0.1 ms a module; a module that is in `sys.modules` already costs nothing.
    """

    __slots__ = ("_left", "_root", "stale")

    def __init__(self, root: str) -> None:
        self._root = root
        #: The parts that have not been looked for yet.
        self._left = dict(GROUPS)
        #: The root, once a part of the bundle has been found not to fit the sources.
        self.stale = ""

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":  # noqa: ARG002  # the protocol's
        """Load the part of the bundle that has a module; return its spec, None where there is none."""
        for part, names in self._left.items():
            if name in names:
                del self._left[part]
                modules = read(self._root, part)
                if not modules or not fits(self._root, modules):
                    self.stale = self._root
                    return None  # its source is found as usual
                self.load(modules)
                return sys.modules[name].__spec__
        return None

    def load(self, modules: "Modules") -> None:
        """Run the modules that are not loaded yet."""
        for name, file, _, _, code in modules:
            if not name or name in sys.modules:
                continue
            parent, _, leaf = name.rpartition(".")
            if parent and parent not in sys.modules:  # parts can be loaded in any order
                __import__(parent)
            spec = ModuleSpec(name, self, origin=f"{self._root}/{file}")
            spec.has_location = True
            module = type(sys)(name)
            module.__spec__, module.__file__, module.__loader__ = spec, spec.origin, self
            module.__package__ = parent
            if file.endswith("/__init__.py"):
                module.__package__ = name
                module.__path__ = spec.submodule_search_locations = [f"{self._root}/{file[:-12]}"]
            sys.modules[name] = module
            exec(code, module.__dict__)  # noqa: S102  # as importlib does with a .pyc
            if parent:
                setattr(sys.modules[parent], leaf, module)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """Return the module, which has been loaded with its part."""
        return sys.modules[spec.name]

    def exec_module(self, module: "ModuleType") -> None:
        """Do nothing: the module has run."""


def install(root: str, modules: "Modules") -> bool:
    """Let imports use the bundle; False, and nothing is done, where a source has changed since."""
    if not fits(root, modules):
        return False
    finder = Finder(root)
    finder.load(modules)
    sys.meta_path.insert(0, finder)
    return True


def fits(root: str, modules: "Modules") -> bool:
    """Say whether the sources are still those that the modules were made of."""
    try:
        for _, file, mtime, size, _ in modules:
            found = posix.stat(f"{root}/{file}")
            if found.st_mtime_ns != mtime or found.st_size != size:
                return False
    except OSError:
        return False
    return True


def path(root: str, part: str = "", tag: str = "") -> str:
    """Return where the bundle is; each of its parts is a file of its own. `tag`: another interpreter's."""
    name = f"{tag or sys.implementation.cache_tag}{part and '.'}{part}.bundle"
    return f"{root}/gastown_tracing/shims/__pycache__/{name}"


def read(root: str, part: str) -> "Modules":
    """Return the modules of a part of the bundle; none where there is none that is whole."""
    try:
        descriptor = posix.open(path(root, part), posix.O_RDONLY | posix.O_CLOEXEC)
        data = posix.read(descriptor, 1 << 24)
        posix.close(descriptor)
        found = marshal.loads(memoryview(data)[16:]) if data[:16] == header(len(data) - 16) else ()  # noqa: S302  # ours
    except (OSError, ValueError, EOFError, TypeError, OverflowError):
        return ()
    return found if isinstance(found, tuple) else ()


def header(length: int) -> bytes:
    """Return the sixteen bytes before code of this length: for this very interpreter, and whole."""
    return sys.hexversion.to_bytes(4, "little") + length.to_bytes(4, "little") + b"gt-trace"


def run(root: str, modules: "Modules", stat: str, arguments: list[str]) -> None:
    """Run a command as the launcher asks; `modules` are the bundle's, none where there is no bundle."""
    gc.disable()  # loading code makes thousands of objects, and none of them is garbage
    program = None
    try:
        if modules and not install(root, modules):
            # An old bundle: what was installed since has its own program.
            program = compile(_source(f"{root}/{PROGRAM}"), f"{root}/{PROGRAM}", "exec", dont_inherit=True)
        else:
            if not modules:
                sys.path.insert(0, root)
            if arguments[:1] == ["--hook"]:
                from gastown_tracing.hooks import claude  # no command, and nobody's parent

                claude.run("".join(arguments[1:2]))
            from gastown_tracing.shims.exec import run_launched
    except Exception:  # in the middle of an upgrade, say: the command runs as it is
        without_us(arguments)
    if program is not None:
        exec(program, {"__name__": "__main__", "MASK": MASK})  # noqa: S102  # our own source
        return
    ahead = None
    if arguments[:1] == ["--ahead"]:
        ahead, arguments = started(arguments[1]), arguments[2:]
    try:
        run_launched(stat, arguments, set(MASK), "" if modules else root, ahead)
    except Exception:  # the same; once we have started the command nothing is raised
        without_us(arguments, ahead)


def _source(file: str) -> str:
    with open(file, encoding="utf-8") as stream:
        return stream.read()


def started(ahead: str) -> "Ahead | None":
    """Return the command that the launcher has started before us, None where it could not. Never raises.

    `ahead` names its trace, its span, the descriptor on which it says who it is, the slot of its note, and
    those of its pipes: `ID:ID:NUMBER:SLOT[:NUMBER:NUMBER:NUMBER]`.
    """
    MASK.clear()  # it was env(1) that blocked signals for us, in a process that had blocked none
    said, pipes = b"", list[int]()
    # Before it has spoken the terminal may stop it, and so us: nobody else would see the job stopped.
    stops = (_signal.SIGTSTP, _signal.SIGTTIN, _signal.SIGTTOU)
    try:
        trace_id, span_id, number, slot, *numbers = ahead.split(":")
        pipes = [int(name) for name in numbers]
        _signal.pthread_sigmask(_signal.SIG_UNBLOCK, stops)
        while b"\n" not in said and (more := posix.read(int(number), 64)):
            said += more
        posix.close(int(number))
        pid, _, seconds = said.decode().partition(" ")  # the decimal point is the locale's
        begun = int(pid), int("".join(filter(str.isdigit, seconds))) * 1000
    except (OSError, ValueError):
        for pipe in pipes:
            posix.close(pipe)
        return None  # it has ended, and may have been waited for already
    finally:
        _signal.pthread_sigmask(_signal.SIG_BLOCK, stops)
    return trace_id, span_id, *begun, slot, pipes


def without_us(arguments: list[str], ahead: "Ahead | None" = None) -> "NoReturn":
    """Become the command that these arguments of `gt-trace exec` name; exits with 127 where there is none.

    Where it has been started `ahead`, end as it ends.
    """
    if arguments[:1] == ["--ahead"]:
        ahead = started(arguments[1])
    rest, file = list(arguments), ""
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option == "--":
            break
        if "=" not in option and rest:
            value = rest.pop(0)
            file = value if option == "--file" else file  # a shim's: its name means the shim itself
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT):
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, MASK)
    if ahead is not None:
        _end_as(ahead[2], ahead[5])
    found = posix.environ.get(b"PATH", b"/bin:/usr/bin").decode("utf-8", "surrogateescape")
    if file:
        try:
            posix.execve(file, rest, posix.environ)
        except OSError:
            posix._exit(127)
    for directory in [""] if rest and "/" in rest[0] else [f"{entry or '.'}/" for entry in found.split(":")]:
        try:
            posix.execve(directory + rest[0], rest, posix.environ)
        except (OSError, IndexError):
            continue
    posix._exit(127)


def _end_as(pid: int, pipes: list[int]) -> "NoReturn":
    """Wait for a command, and end as it ends. Once we let go of its pipes others hand on what it writes."""
    for descriptor in (*pipes, 1, 2) if pipes else ():
        try:
            posix.close(descriptor)
        except OSError:
            continue  # it has a pump
    code = posix.waitstatus_to_exitcode(posix.waitpid(pid, 0)[1])
    if code < 0:
        posix.kill(posix.getpid(), -code)
    posix._exit(code & 0xFF)


#: What `write` puts the modules in the place of.
CONTENT: object = "gastown_tracing.shims.main: the modules"

if __name__ == "__main__":
    run(
        sys.argv[0].rpartition("/gastown_tracing/")[0],
        CONTENT if isinstance(CONTENT, tuple) else (),
        sys.argv[1],
        sys.argv[2:],
    )
