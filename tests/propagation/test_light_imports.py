"""propagation stays light: what each of its imports loads, in an interpreter without site."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import propagation

ROOT = Path(propagation.__file__).resolve().parent.parent
MODULES = sorted(path.stem for path in (ROOT / "propagation").glob("*.py") if path.stem != "__init__")
BARE = [sys.executable, "-I", "-S", "-E", "-c"]


def loaded(code: str) -> set[str]:
    """Return the modules that `code` loads in a bare interpreter, beyond those that it starts with."""
    program = (
        f"import sys\nbefore = set(sys.modules)\nsys.path.insert(0, {str(ROOT)!r})\n{code}\n"
        "names = sorted(set(sys.modules) - before)\nimport json\nprint(json.dumps(names))"
    )
    said = subprocess.run([*BARE, program], capture_output=True, text=True, check=True).stdout
    return set(json.loads(said))


def test_all_modules_together_load_themselves_and_nothing_else() -> None:
    imports = "\n".join(f"import propagation.{name}" for name in MODULES)
    assert loaded(imports) == {"propagation"} | {f"propagation.{name}" for name in MODULES}


def test_the_work_of_a_traced_command_loads_nothing_more() -> None:
    """Reading, resolving and handing on a context needs no module that importing did not load."""
    code = (
        "from propagation import environ, rules, run, work\n"
        f"env = {{'GT_RUN': '{'3' * 32}', 'BAGGAGE': 'a=%20', 'OTEL_RESOURCE_ATTRIBUTES': 'a=%20'}}\n"
        "found = rules.resolve(env)\n"
        "span = environ.SpanContext(found.trace_id, run.new_span_id(), found.flags, found.tracestate)\n"
        "environ.child_env(env, span, baggage={'gt.rig': 'é'}, resource={'gt.rig': 'é'})\n"
        "work.WorkContext.from_env(env).attributes()\n"
    )
    needed = {"baggage", "environ", "resource", "rules", "run", "traceparent", "work"}
    assert loaded(code) == {"propagation"} | {f"propagation.{name}" for name in needed}


def test_a_work_jsonl_costs_the_c_scanner_alone() -> None:
    code = (
        "from propagation import work\n"
        "assert work.parse_line(work.format_line(1, work.WorkContext('r'), 'prime'))"
    )
    assert loaded(code) - {f"propagation.{name}" for name in MODULES} == {"propagation", "_json"}


def test_the_package_loads_nothing_by_itself() -> None:
    assert loaded("import propagation") == {"propagation"}
    assert loaded("import propagation; propagation.SpanContext") == {"propagation", "propagation.traceparent"}


@pytest.mark.parametrize("name", propagation.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(propagation, name) is not None
    assert f"propagation.{name}" in sys.modules or callable(getattr(propagation, name))


def test_all_is_sorted_and_names_every_module_and_nothing_else_is_there() -> None:
    assert propagation.__all__ == sorted(propagation.__all__)
    assert set(MODULES) <= set(propagation.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        propagation.nothing  # noqa: B018 # the access is what is tested
