"""The fast path's modules in one file: found, read and checked once instead of twenty times.

That is two of the three milliseconds that importing them costs. The bundle is a cache, like the `.pyc` files
beside it:
made by whoever may write there, ignored when it does not fit this interpreter or these sources, and never
needed.
"""

import marshal
import posix
import sys
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import MAGIC_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType, ModuleType

    #: By module name: the source's path below the root, its mtime in ns, its size, its code.
    Modules = dict[str, tuple[str, int, int, bytes]]

MODULES = (
    "gastown_tracing",
    "gastown_tracing._version",
    "gastown_tracing.config",
    "gastown_tracing.identity",
    "gastown_tracing.journal",
    "gastown_tracing.journal.layout",
    "gastown_tracing.journal.otlp",
    "gastown_tracing.journal.writer",
    "gastown_tracing.masking",
    "gastown_tracing.shims",
    "gastown_tracing.shims.child",
    "gastown_tracing.shims.exec",
    "gastown_tracing.shims.record",
    "propagation",
    "propagation.baggage",
    "propagation.environ",
    "propagation.resource",
    "propagation.rules",
    "propagation.run",
    "propagation.tmux",
    "propagation.traceparent",
    "propagation.work",
)
LOADER = "gastown_tracing/shims/bundle.py"


class Finder:
    """Finds the bundle's modules (importlib's finder and loader protocols)."""

    __slots__ = ("_modules", "_root")

    def __init__(self, root: str, modules: "Modules") -> None:
        self._root = root
        self._modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> "ModuleSpec | None":  # noqa: ARG002  # the protocol's
        """Return the spec of a module of the bundle."""
        if name not in self._modules:
            return None
        file = f"{self._root}/{self._modules[name][0]}"
        package = file.endswith("/__init__.py")
        spec = ModuleSpec(name, self, origin=file, is_package=package)  # type: ignore[arg-type]  # no base class: importlib.abc is slow
        spec.has_location = True
        if package:
            spec.submodule_search_locations = [file.rpartition("/")[0]]
        return spec

    def create_module(self, spec: "ModuleSpec") -> None:
        """Leave making the module to importlib."""

    def exec_module(self, module: "ModuleType") -> None:
        """Run a module's code."""
        exec(marshal.loads(self._modules[module.__name__][3]), module.__dict__)  # noqa: S102, S302  # as importlib does with a .pyc


def install(root: str, modules: "Modules") -> bool:
    """Let imports use the bundle; False, and nothing is done, where a source has changed since."""
    for file, mtime, size, _ in modules.values():
        found = posix.stat(f"{root}/{file}")
        if found.st_mtime_ns != mtime or found.st_size != size:
            return False
    sys.meta_path.insert(0, Finder(root, modules))
    return True


def path(root: str) -> str:
    """Return where the bundle for this interpreter is."""
    return f"{root}/gastown_tracing/shims/__pycache__/exec.{sys.implementation.cache_tag}.bundle"


def write(root: str) -> None:
    """Make the bundle of the modules below `root`. Raises OSError."""
    modules: Modules = {}
    for name in MODULES:
        base = name.replace(".", "/")
        file = f"{base}/__init__.py" if _is_directory(f"{root}/{base}") else f"{base}.py"
        found = posix.stat(f"{root}/{file}")
        modules[name] = (file, found.st_mtime_ns, found.st_size, marshal.dumps(_compile(root, file)))
    content = MAGIC_NUMBER + marshal.dumps((_compile(root, LOADER), modules))
    temporary = f"{path(root)}.{posix.getpid()}"
    with open(temporary, "wb") as stream:
        stream.write(content)
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
