"""The fast path's program: `python -I -S -E main.py STAT [--event E] [--name N] [--attr K=V …] -- CMD …`.

STAT is the line of /proc/self/stat that the launcher read before Python started, or `-`.

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

    #: By module name: the source's path below the root, its mtime in ns, its size, its code.
    Modules = dict[str, tuple[str, int, int, bytes]]
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
from errno import EACCES

#: What is loaded at one go, each module after those that it imports. First what may be needed before the
#: command runs: what decides, what finds the context, what reads JSON, command lines and output.
EARLY = (
    (
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
        "gastown_tracing.shims.exec",
    ),
    (
        "propagation.baggage",
        "propagation.resource",
        "propagation.environ",
        "propagation.rules",
        "propagation.work",
        "gastown_tracing._version",
        "gastown_tracing.identity",
        "gastown_tracing.shims.handing",
    ),
    ("propagation.scan",),
    (
        "gastown_tracing.shims.lines",
        "gastown_tracing.shims.lines.seen",
        "gastown_tracing.shims.lines.classify",
    ),
    (
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.lines.cobra",
        "gastown_tracing.shims.lines.bd_table",
        "gastown_tracing.shims.lines.bd",
    ),
    (
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.lines.cobra",
        "gastown_tracing.shims.lines.gt_table",
        "gastown_tracing.shims.lines.gt",
    ),
    (
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.lines.git_table",
        "gastown_tracing.shims.lines.git",
    ),
    ("propagation.tmux",),
    ("gastown_tracing.sessions",),
    (
        "gastown_tracing.sessions.documents",
        "gastown_tracing.shims.tmux",
        "gastown_tracing.shims.tmux.table",
        "gastown_tracing.shims.tmux.line",
        "gastown_tracing.shims.tmux.place",
        "gastown_tracing.shims.tmux.running",
    ),
    ("gastown_tracing.shims.tmux.keys", "gastown_tracing.shims.tmux.prompt"),
    ("gastown_tracing.shims.tmux.notes",),
    ("gastown_tracing.sessions.stops",),
    ("gastown_tracing.shims.tmux.stop",),
    ("gastown_tracing.shims.tmux.kill",),
    ("gastown_tracing.shims.asking",),
    ("gastown_tracing.shims.tee",),
)
#: What is needed once it runs, or is rare: what encodes, what knows the events of commands, what records; all
#: other events; what masks; what a prime does beside its record; hooks; what ends and begins sessions.
LATE = (
    ("gastown_tracing.journal.otlp", "gastown_tracing.journal.writer"),
    ("gastown_tracing.events",),
    (
        "gastown_tracing.events.schema",
        "gastown_tracing.events.outcomes",
        "gastown_tracing.events.commands",
        "gastown_tracing.events.values",
        "gastown_tracing.events.semconv",
    ),
    ("gastown_tracing.shims.waking",),
    ("gastown_tracing.shims.entry", "gastown_tracing.shims.record", "gastown_tracing.shims.waking"),
    ("gastown_tracing.events.panes",),
    ("gastown_tracing.events.town", "gastown_tracing.events.registry"),
    ("gastown_tracing.words", "gastown_tracing.masking"),
    ("gastown_tracing.events.shell",),
    ("gastown_tracing.events.cleaning",),
    ("gastown_tracing.sessions.records",),
    ("gastown_tracing.shims.tmux.prompt_span",),
    ("gastown_tracing.shims.tmux.looks",),
    ("gastown_tracing.sessions.processes",),
    ("gastown_tracing.relay", "gastown_tracing.relay.daemon"),
    ("gastown_tracing.beads", "gastown_tracing.shims.outputs"),
    ("gastown_tracing.journal.index",),
    ("gastown_tracing.journal.hooks", "gastown_tracing.shims.linking"),
    (
        "gastown_tracing.beads",
        "gastown_tracing.shims.asking",
        "gastown_tracing.shims.lines.saying",
        "gastown_tracing.shims.priming",
    ),
    ("gastown_tracing.hooks", "gastown_tracing.hooks.agents"),
    ("gastown_tracing.hooks.agent", "gastown_tracing.hooks.claude"),
    ("gastown_tracing.shims.real",),
    ("gastown_tracing.hooks.primes",),
    (
        "gastown_tracing.journal.otlp",
        "gastown_tracing.journal.writer",
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
        "gastown_tracing.sessions.liveness",
        "gastown_tracing.shims.tmux.killed",
    ),
    (
        "gastown_tracing.journal.otlp",
        "gastown_tracing.journal.writer",
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
        "gastown_tracing.events.shell",
        "gastown_tracing.sessions.receiver",
        "gastown_tracing.shims.real",
        "gastown_tracing.shims.tmux.spawn",
    ),
    ("gastown_tracing.shims.tmux.output",),
)
GROUPS = (*EARLY, *LATE)
PROGRAM = "gastown_tracing/shims/main.py"


class Finder(Loader):
    """Finds the bundle's modules, a group at a time (importlib's finder and loader protocols).

    importlib takes 0.1 ms a module; a module that is in `sys.modules` already costs nothing.
    """

    __slots__ = ("_modules", "_root", "_whole", "stale")

    def __init__(self, root: str, modules: "Modules") -> None:
        self._root = root
        self._modules = modules
        self._whole = False
        #: The root, once the late half of the bundle has been found not to fit the sources.
        self.stale = ""

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":  # noqa: ARG002  # the protocol's
        """Load the group of a module of the bundle; return its spec."""
        for group in GROUPS:
            if name in group:
                if name not in self._modules and not self._complete():
                    return None  # its source is found as usual
                self.load(group)
                return sys.modules[name].__spec__
        return None

    def _complete(self) -> bool:
        """Read the late half of the bundle; False where it cannot be used."""
        if not self._whole:
            self._whole = True
            found = _late(self._root)
            if found is None or not fits(self._root, found):
                self.stale = self._root
                return False
            self._modules.update(found)
        return not self.stale

    def load(self, group: "tuple[str, ...]") -> None:
        """Run the modules of a group that are not loaded yet."""
        for name in group:
            if name in sys.modules:
                continue
            parent, _, leaf = name.rpartition(".")
            if parent and parent not in sys.modules:  # groups can be loaded in any order
                self.load((parent,))
            file, _, _, code = self._modules[name]
            spec = ModuleSpec(name, self, origin=f"{self._root}/{file}")
            spec.has_location = True
            module = type(sys)(name)
            module.__spec__, module.__file__, module.__loader__ = spec, spec.origin, self
            module.__package__ = name.rpartition(".")[0]
            if file.endswith("/__init__.py"):
                module.__package__ = name
                module.__path__ = spec.submodule_search_locations = [f"{self._root}/{file[:-12]}"]
            sys.modules[name] = module
            exec(marshal.loads(code), module.__dict__)  # noqa: S102, S302  # as importlib does with a .pyc
            if parent:
                setattr(sys.modules[parent], leaf, module)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """Return the module, which has been loaded with its group."""
        return sys.modules[spec.name]

    def exec_module(self, module: "ModuleType") -> None:
        """Do nothing: the module has run."""


def install(root: str, modules: "Modules") -> bool:
    """Let imports use the bundle; False, and nothing is done, where a source has changed since."""
    if not fits(root, modules):
        return False
    finder = Finder(root, modules)
    finder.load(GROUPS[0])
    sys.meta_path.insert(0, finder)
    return True


def fits(root: str, modules: "Modules") -> bool:
    """Say whether the sources are still those that the modules were made of."""
    try:
        for file, mtime, size, _ in modules.values():
            found = posix.stat(f"{root}/{file}")
            if found.st_mtime_ns != mtime or found.st_size != size:
                return False
    except OSError:
        return False
    return True


def path(root: str, half: str = "") -> str:
    """Return where the bundle for this interpreter is; its `half` "late" is a file of its own."""
    name = f"{sys.implementation.cache_tag}{half and '.'}{half}.bundle"
    return f"{root}/gastown_tracing/shims/__pycache__/{name}"


def _late(root: str) -> "Modules | None":
    """Return the modules of the bundle's late half; None where there is none that is whole."""
    try:
        descriptor = posix.open(path(root, "late"), posix.O_RDONLY | posix.O_CLOEXEC)
        data = posix.read(descriptor, 1 << 24)
        posix.close(descriptor)
        found = marshal.loads(data[16:]) if data[:16] == header(len(data) - 16) else None  # noqa: S302  # ours
    except (OSError, ValueError, EOFError, TypeError, OverflowError):
        return None
    return found if isinstance(found, dict) else None


def write(root: str) -> None:
    """Make the bundle of the modules below `root`. Raises OSError, at once where it may not be written."""
    place = path(root).rpartition("/")[0]
    if not posix.access(place, posix.W_OK):
        raise OSError(EACCES, "not writable", place)
    early = _compiled(root, [name for group in EARLY for name in group])
    late = [name for group in LATE for name in group if name not in early]
    _save(path(root, "late"), marshal.dumps(_compiled(root, late)))
    program = _compile(root, PROGRAM)
    filled = tuple(early if constant == CONTENT else constant for constant in program.co_consts)
    _save(path(root), marshal.dumps(program.replace(co_consts=filled)))


def _compiled(root: str, names: "list[str]") -> "Modules":
    modules: Modules = {}
    for name in names:
        base = name.replace(".", "/")
        file = f"{base}/__init__.py" if _is_directory(f"{root}/{base}") else f"{base}.py"
        found = posix.stat(f"{root}/{file}")
        modules[name] = (file, found.st_mtime_ns, found.st_size, marshal.dumps(_compile(root, file)))
    return modules


def _save(file: str, code: bytes) -> None:
    """Put code into a file of the bundle, at once and whole. Raises OSError."""
    temporary = f"{file}.{posix.getpid()}"
    try:
        with open(temporary, "wb") as stream:
            stream.write(header(len(code)) + code)
            stream.flush()
            posix.fsync(stream.fileno())  # a machine that goes down leaves the old one or the whole new one
        posix.rename(temporary, file)
    except OSError:
        if _exists(temporary):
            posix.unlink(temporary)
        raise


def header(length: int) -> bytes:
    """Return the sixteen bytes before code of this length: for this very interpreter, and whole."""
    return sys.hexversion.to_bytes(4, "little") + length.to_bytes(4, "little") + b"gt-trace"


def _compile(root: str, file: str) -> "CodeType":
    with open(f"{root}/{file}", encoding="utf-8") as stream:
        # Without docstrings: nobody reads them here, and they are a third of what has to be loaded.
        return compile(stream.read(), f"{root}/{file}", "exec", dont_inherit=True, optimize=2)


def _exists(name: str) -> bool:
    try:
        posix.stat(name)
    except OSError:
        return False
    return True


def _is_directory(name: str) -> bool:
    try:
        return posix.stat(name).st_mode & 0o170000 == 0o040000
    except FileNotFoundError:
        return False


def run(root: str, modules: "Modules", stat: str, arguments: list[str]) -> None:
    """Run a command as the launcher asks; `modules` are the bundle's, none where there is no bundle."""
    gc.disable()  # loading code makes thousands of objects, and none of them is garbage
    try:
        if modules and not install(root, modules):
            # An old bundle: what was installed since has its own program.
            exec(_compile(root, PROGRAM), {"__name__": "__main__", "MASK": MASK})  # noqa: S102  # our own source
            return
        if not modules:
            sys.path.insert(0, root)
        if arguments[:1] == ["--hook"]:
            from gastown_tracing.hooks import claude  # no command, and nobody's parent

            claude.run("".join(arguments[1:2]))
        from gastown_tracing.shims.exec import run_launched
    except Exception:  # in the middle of an upgrade, say: the command runs as it is
        without_us(arguments)
        return
    run_launched(stat, arguments, set(MASK), "" if modules else root)


def without_us(arguments: list[str]) -> None:
    """Become the command that these arguments of `gt-trace exec` name; exits with 127 where there is none."""
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


#: What `write` puts the modules in the place of.
CONTENT: object = "gastown_tracing.shims.main: the modules"

if __name__ == "__main__":
    run(
        sys.argv[0].rpartition("/gastown_tracing/")[0],
        CONTENT if isinstance(CONTENT, dict) else {},
        sys.argv[1],
        sys.argv[2:],
    )
