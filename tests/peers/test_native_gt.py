"""A gt that exports by itself, through the shims, the receiver and the relay: each event is counted once."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from gastown_tracing.journal.layout import Journal
from gastown_tracing.journal.reader import list_runs, read_loose, read_run
from tests.peers.real_town import RIG, RealTown, needs_town, real_town
from tests.processes import wait_until
from tests.relay.otlp_server import OtlpServer
from tests.relay.service_kit import Town

pytestmark = [pytest.mark.peer, needs_town, pytest.mark.xdist_group("native gt")]

GT_TRACE = [sys.executable, "-m", "gastown_tracing.cli"]
#: What an operator has set, where nobody listens: what is sent there is lost.
LOST = "http://127.0.0.1:9"
OPERATORS = {"GT_OTEL_LOGS_URL": f"{LOST}/logs", "GT_OTEL_METRICS_URL": f"{LOST}/metrics"}


#: What happens once, and its counter.
ONCE = {
    "sling": "gastown.sling.dispatches.total",
    "nudge": "gastown.nudge.total",
    "convoy.create": "gastown.convoy.creates.total",
    "mol.cook": "gastown.mol.cooks.total",
}


@dataclass
class Seen:
    """What came of it: the real bd's calls, the journal's log records by event, the relay, the metrics."""

    calls: list[str]
    events: Counter[str]
    relay: Town
    totals: Counter[str]


def work(town: RealTown) -> None:
    """Do what gt has events for, as the operator."""
    bead = town.ok("bd", "create", "A task", "-t", "task", "--json", at=RIG).json()["id"]
    town.ok("gt", "mail", "send", "mayor/", "-s", "Question", "-m", "Which login?")
    town.ok("gt", "mail", "inbox", "mayor/")
    town.run("gt", "nudge", "nobody", "a word")
    town.ok("gt", "sling", bead, RIG)


def totals(server: OtlpServer) -> Counter[str]:
    """Return what each counter of the backend adds up to."""
    found: Counter[str] = Counter()
    for series in server.metrics()["series"]:
        found[series["name"]] += int(series["point"].get("asInt", 0))
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Seen]:
    """Work in a town whose operator has switched gt's exporter on."""
    base = tmp_path_factory.mktemp("native")
    with OtlpServer(base / "server") as server, real_town(base / "t", counted=("bd",)) as town:
        town.ok(*GT_TRACE, "shims", "install")
        shims = town.home / ".local" / "share" / "gastown-tracing" / "shims"
        town.first = [str(shims / program) for program in ("bd", "gt", "git", "tmux")]
        (root,) = (town.home / ".local" / "state" / "gastown-tracing").iterdir()
        relay = Town(root, {**town.env, "GT_ROOT": str(town.root)})
        relay.configure(**{f"GT_OTEL_{name.upper()}_URL": server.url(name) for name in ("metrics", "logs")})
        request.addfinalizer(relay.end)  # noqa: PT021  # it is known here alone
        assert relay("relay", "start").returncode == 0
        relay.running()
        (town.base / "calls").unlink()
        town.settings = {**town.settings, **OPERATORS}
        work(town)
        town.end()
        journal = Journal(str(root))
        logs = [log for run in list_runs(journal) for log in read_run(journal, run.trace_id).logs]
        events = Counter(log.event_name for log in [*logs, *read_loose(journal).logs])
        counted = {"bd.call": "gastown.bd.calls.total", **ONCE}
        last: list[Counter[str]] = []

        def all_is_counted() -> bool:
            last[:] = [totals(server)]
            return all(last[0][metric] >= events[name] for name, metric in counted.items())

        wait_until(all_is_counted, f"all is counted: {events}", 60)
        yield Seen([call.arguments for call in town.calls()], events, relay, last[0])


def test_gt_did_export(seen: Seen) -> None:
    """It sent its own records to the receiver, and those that a shim has as well were left out."""
    dropped = seen.relay.status()["receiver"]["dropped"]
    assert {"bd.call", "mail", "nudge", "sling"} <= dropped.keys()


def test_each_bd_process_counts_once(seen: Seen) -> None:
    """As many as there were, in the records and in the metric that the relay derives."""
    assert seen.events["bd.call"] == seen.totals["gastown.bd.calls.total"] == len(seen.calls)


def test_each_event_counts_once(seen: Seen) -> None:
    """One sling, one nudge, one convoy, one formula cooked, and as many wisps as bd was asked for."""
    found = {name: (seen.events[name], seen.totals[metric]) for name, metric in ONCE.items()}
    assert found == dict.fromkeys(ONCE, (1, 1))
    wisps = [call for call in seen.calls if call.startswith("mol wisp ")]
    assert seen.events["mol.wisp"] == len(wisps)
