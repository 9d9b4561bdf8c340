"""What the launcher runs: `python -I -S -E main.py STAT [--event E] [--name N] [--attr K=V …] -- CMD …`.

STAT is the launcher's line of /proc/self/stat, or `-`. As a script this file is compiled at
every start, so it holds next to nothing. Signals are blocked before all else: one that comes now is handed on
later.
"""

import _signal  # type: ignore[import-not-found]  # the C half of signal

MASK = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())

import marshal  # noqa: E402  # the signals first
import posix  # noqa: E402
import sys  # noqa: E402

ROOT = __file__.rpartition("/gastown_tracing/")[0]
BUNDLE = f"{ROOT}/gastown_tracing/shims/__pycache__/exec.{sys.implementation.cache_tag}.bundle"

sys.path.insert(0, ROOT)
bundled = False
try:
    DATA = posix.read(posix.open(BUNDLE, posix.O_RDONLY | posix.O_CLOEXEC), 1 << 22)
    if DATA[:4] == sys.modules["_frozen_importlib_external"].MAGIC_NUMBER:
        CODE, MODULES = marshal.loads(DATA[4:])  # noqa: S302  # as importlib reads a .pyc
        LOADER = {"__name__": "gastown_tracing.shims.bundle"}
        exec(CODE, LOADER)  # noqa: S102  # the same
        bundled = LOADER["install"](ROOT, MODULES)  # type: ignore[operator]  # defined by CODE
except Exception:  # noqa: S110  # the modules are found one by one then
    pass

from gastown_tracing.shims.exec import run_launched  # noqa: E402  # found by the lines above

run_launched(sys.argv[1], sys.argv[2:], set(MASK), "" if bundled else ROOT)
