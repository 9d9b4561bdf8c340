"""The dashboards and data sources are whole: what Grafana would find missing only when somebody looks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.registry import EVENTS

from .kit import DASHBOARDS, QUERIES, ROOT, STACK, compose, dashboard, load, provisioned

EACH = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
#: A dashboard each for these.
SUBJECTS = {"town", "sessions", "bd", "bd-storage", "refinery", "cost", "dolt", "relay"}
KINDS = {"timeseries", "stat", "table", "logs", "heatmap"}


def test_there_is_one_for_each_subject() -> None:
    """No subject is without a dashboard, and each has a uid and a title of its own."""
    assert {path.stem for path in DASHBOARDS} == SUBJECTS
    for key in ("uid", "title"):
        assert len({dashboard(path)[key] for path in DASHBOARDS}) == len(SUBJECTS)


@EACH
def test_a_panel_has_what_it_needs(path: Path) -> None:
    """Ids and titles are unique; a panel has a kind, a place, queries, and a provisioned data source."""
    sources = provisioned()
    panels = dashboard(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    for panel in panels:
        assert panel["type"] in KINDS
        assert panel["targets"], panel["title"]
        for target in (panel, *panel["targets"]):
            source = target["datasource"]
            assert sources[source["uid"]] == source["type"], panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references)


@EACH
def test_panels_do_not_overlap(path: Path) -> None:
    """Each cell of the grid, 24 wide, belongs to one panel at most."""
    taken: set[tuple[int, int]] = set()
    for panel in dashboard(path)["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        columns = range(place["x"], place["x"] + place["w"])
        cells = {(x, y) for x in columns for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells


@EACH
def test_a_variable_that_is_used_is_there(path: Path) -> None:
    """A query with $rig or $role stands where one can choose them, and what one can choose is used."""
    found = dashboard(path)
    texts = [str(target.get("expr")) for panel in found["panels"] for target in panel["targets"]]
    for variable in ("rig", "role"):
        used = any(f"${variable}" in text for text in texts)
        named = any(entry["name"] == variable for entry in found["templating"]["list"])
        assert not used or named, (path, variable)


@EACH
def test_a_link_leads_to_a_source_that_is_there(path: Path) -> None:
    """A curve's or a cell's link is a page of Explore: JSON, with data sources that are provisioned."""
    for panel in dashboard(path)["panels"]:
        for link in panel["fieldConfig"]["defaults"].get("links", ()):
            panes = json.loads(link["url"].partition("&panes=")[2])
            assert {pane["datasource"] for pane in panes.values()} <= set(provisioned())


def _sources() -> dict[str, dict[str, Any]]:
    found = load(STACK / "grafana/provisioning/datasources/gastown.yaml")["datasources"]
    return {source["uid"]: source for source in found}


def test_sources_lead_to_services() -> None:
    """A data source's address is that of a service, and of a port of it."""
    services = compose()["services"]
    for source in _sources().values():
        host, _, port = source["url"].removeprefix("http://").partition(":")
        assert port, source["url"]
        assert any(bound.endswith(f":{port}") for bound in services[host]["ports"]), source["url"]


def test_every_way_between_traces_logs_and_metrics_is_open() -> None:
    """Traces lead to logs and metrics, logs to traces, exemplars to traces: each to one that is there."""
    sources = _sources()
    for uid in ("jaeger", "tempo", "jaeger-scale"):
        to_logs = sources[uid]["jsonData"]["tracesToLogsV2"]
        assert to_logs["datasourceUid"] == "victorialogs"
        # Grafana takes a `$$` of a provisioned file as one `$`.
        assert to_logs["query"] == 'trace_id:="$${__span.traceId}" span_id:="$${__span.spanId}"'
        assert sources[uid]["jsonData"]["tracesToMetrics"]["datasourceUid"] == "victoriametrics"
    fields = sources["victorialogs"]["jsonData"]["derivedFields"]
    assert {field["datasourceUid"] for field in fields} == {"jaeger", "tempo"}
    exemplars = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert {target["datasourceUid"] for target in exemplars} == {"jaeger", "tempo"}


def test_dashboards_are_mounted_where_grafana_looks() -> None:
    """The provider's path, and the home page, are where the compose file mounts the dashboards."""
    grafana = compose()["services"]["grafana"]
    (provider,) = load(STACK / "grafana/provisioning/dashboards/gastown.yaml")["providers"]
    path = provider["options"]["path"]
    assert f"./jaeger/grafana/dashboards:{path}:ro" in grafana["volumes"]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == f"{path}/town.json"


def test_the_links_of_jaegers_pages_are_queries_of_its_spans() -> None:
    """A link of ui.json asks VictoriaLogs for what its own tag, or the trace, names."""
    for pattern in json.loads((STACK / "ui.json").read_text())["linkPatterns"]:
        assert pattern["url"].startswith("http://localhost:9428/select/vmui/#/?query=")
        named = {"#{traceID}"} if pattern["type"] == "traces" else {f"#{{{pattern['key']}}}", "#{run.id}"}
        assert any(name in pattern["url"] for name in named), pattern


#: What is a process's own affair: a town's dashboards do without it.
NOT_SHOWN = {"gastown.runtime.gc_pause_ms"}


def _unwritten() -> set[str]:
    """Return the metrics that no module writes yet, as the store would call them."""
    package = ROOT / "gastown_tracing"
    files = [path for path in package.rglob("*.py") if path != package / "events/metrics.py"]
    source = "\n".join(path.read_text(encoding="utf-8") for path in files)
    return {name.replace(".", "_") for name in METRICS if f'"{name}"' not in source}


def test_what_nothing_writes_yet_is_said_to_be_missing() -> None:
    """A panel of it, and the documentation, say so; and of nothing else."""
    unwritten = _unwritten()
    for path in DASHBOARDS:
        for panel in dashboard(path)["panels"]:
            texts = " ".join(str(target.get("expr")) for target in panel["targets"])
            missing = any(name in texts for name in unwritten)
            assert missing is ("Not there yet" in panel.get("description", "")), panel["title"]
    (said,) = re.findall(
        r"Not there yet, because nothing writes them: (.*?)\. What", QUERIES.read_text(), re.DOTALL
    )
    assert {name.strip("`").removesuffix("_total") for name in re.split(r",\s+", said)} == unwritten


def test_who_did_it_is_told_by_what_every_session_has() -> None:
    """BD_ACTOR need not be set; GT_ROLE is, and links lead from one store to the other by it."""
    for path in DASHBOARDS:
        assert "gt_actor" not in path.read_text(encoding="utf-8")
    for source in _sources().values():
        tags = source.get("jsonData", {}).get("tracesToMetrics", {}).get("tags", [])
        assert tags in ([], [{"key": "gt.role", "value": "gt_role"}])


def test_every_metric_of_the_data_model_is_shown() -> None:
    """What is measured stands on a dashboard, under the name that the store has for it."""
    texts = "\n".join(path.read_text(encoding="utf-8") for path in DASHBOARDS)
    names = {metric.name for event in EVENTS.values() for metric in event.metrics} | set(METRICS)
    missing = [name for name in sorted(names - NOT_SHOWN) if name.replace(".", "_") not in texts]
    assert missing == []
