"""The fast path's program: `python -I -S -E main.py STAT [--event E] [--name N] [--attr K=V …] -- CMD …`.

STAT is the line of /proc/self/stat that the launcher read before Python started, or `-`.

The launcher runs it as a bundle: this program and all modules of the fast path in one `.pyc`, loaded at once
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

#: Signals wait from the first moment on: one that comes now is handed on to the command.
MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals()) if __name__ == "__main__" else ()

import gc
import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

#: What is loaded at one go, each module after those that it imports: what decides, what finds the context,
#: what records.
GROUPS = (
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
    ),
    (
        "gastown_tracing.journal.otlp",
        "gastown_tracing.journal.writer",
        "gastown_tracing.masking",
        "gastown_tracing.shims.record",
    ),
)
PROGRAM = "gastown_tracing/shims/main.py"


class Finder(Loader):
    """Finds the bundle's modules, a group at a time (importlib's finder and loader protocols).

    importlib takes 0.1 ms a module; a module that is in `sys.modules` already costs nothing.
    """

    __slots__ = ("_modules", "_root")

    def __init__(self, root: str, modules: "Modules") -> None:
        self._root = root
        self._modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":  # noqa: ARG002  # the protocol's
        """Load the group of a module of the bundle; return its spec."""
        for group in GROUPS:
            if name in group:
                self.load(group)
                return sys.modules[name].__spec__
        return None

    def load(self, group: "tuple[str, ...]") -> None:
        """Run the modules of a group that are not loaded yet."""
        for name in group:
            if name in sys.modules:
                continue
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
            parent, _, leaf = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], leaf, module)

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """Return the module, which has been loaded with its group."""
        return sys.modules[spec.name]

    def exec_module(self, module: "ModuleType") -> None:
        """Do nothing: the module has run."""


def install(root: str, modules: "Modules") -> bool:
    """Let imports use the bundle; False, and nothing is done, where a source has changed since."""
    try:
        for file, mtime, size, _ in modules.values():
            found = posix.stat(f"{root}/{file}")
            if found.st_mtime_ns != mtime or found.st_size != size:
                return False
    except OSError:
        return False
    finder = Finder(root, modules)
    finder.load(GROUPS[0])
    sys.meta_path.insert(0, finder)
    return True


def path(root: str) -> str:
    """Return where the bundle for this interpreter is."""
    return f"{root}/gastown_tracing/shims/__pycache__/bundled.{sys.implementation.cache_tag}.pyc"


def write(root: str) -> None:
    """Make the bundle of the modules below `root`. Raises OSError."""
    modules: Modules = {}
    for name in [name for group in GROUPS for name in group]:
        base = name.replace(".", "/")
        file = f"{base}/__init__.py" if _is_directory(f"{root}/{base}") else f"{base}.py"
        found = posix.stat(f"{root}/{file}")
        modules[name] = (file, found.st_mtime_ns, found.st_size, marshal.dumps(_compile(root, file)))
    program = _compile(root, PROGRAM)
    filled = tuple(modules if constant == CONTENT else constant for constant in program.co_consts)
    temporary = f"{path(root)}.{posix.getpid()}"
    with open(temporary, "wb") as stream:
        # A .pyc is a magic number, twelve bytes that only importing looks at, and the code (PEP 552).
        stream.write(MAGIC_NUMBER + bytes(12) + marshal.dumps(program.replace(co_consts=filled)))
    posix.rename(temporary, path(root))


def _compile(root: str, file: str) -> "CodeType":
    with open(f"{root}/{file}", encoding="utf-8") as stream:
        # Without docstrings: nobody reads them here, and they are a third of what has to be loaded.
        return compile(stream.read(), f"{root}/{file}", "exec", dont_inherit=True, optimize=2)


def _is_directory(name: str) -> bool:
    try:
        return posix.stat(name).st_mode & 0o170000 == 0o040000
    except FileNotFoundError:
        return False


def run(root: str, modules: "Modules", stat: str, arguments: list[str]) -> None:
    """Run a command as the launcher asks; `modules` are the bundle's, none where there is no bundle."""
    gc.disable()  # loading code makes thousands of objects, and none of them is garbage
    bundled = bool(modules) and install(root, modules)
    if not bundled:
        sys.path.insert(0, root)
    from gastown_tracing.shims.exec import run_launched

    run_launched(stat, arguments, set(MASK), "" if bundled else root)


#: What `write` puts the modules in the place of.
CONTENT: object = "gastown_tracing.shims.main: the modules"

if __name__ == "__main__":
    run(
        sys.argv[0].rpartition("/gastown_tracing/")[0],
        CONTENT if isinstance(CONTENT, dict) else {},
        sys.argv[1],
        sys.argv[2:],
    )
