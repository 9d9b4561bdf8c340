"""`gt-trace doctor`: what is set up, what works, and what to do about the rest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gastown_tracing import config
from gastown_tracing.cli import reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from gastown_tracing.cli.reading import Looks

_Command = TypeVar("_Command", bound="Callable[..., Any]")

#: Seconds after which what has not answered counts as silent.
LONGEST = 16.0


def _query(signal: str, backends: str) -> Callable[[_Command], _Command]:
    meaning = f"Where {backends} is asked, the base of its API."
    return click.option(
        f"--{signal}-query", default="", type=reading.Word(empty=True), metavar="URL", help=meaning
    )


@click.command()
@reading.journal_option
@click.option("--offline", is_flag=True, help="Open no connection.")
@_query("traces", "Jaeger, Tempo or VictoriaTraces")
@_query("logs", "VictoriaLogs or Loki")
@_query("metrics", "VictoriaMetrics or Prometheus")
@click.option("--all", "whole", is_flag=True, help="Show the settings at their defaults, too.")
@click.option("--quiet", is_flag=True, help="Show problems and warnings only: nothing where all is well.")
@reading.json_option
@reading.look_options
def command(
    *,
    journal: str | None,
    offline: bool,
    traces_query: str,
    logs_query: str,
    metrics_query: str,
    whole: bool,
    quiet: bool,
    as_json: bool,
    looks: Looks,
) -> None:
    """Check the settings, the journal, the relay, the endpoints and the programs around them.

    Each check says what is and what to do; problems and warnings come first. To each endpoint goes one
    canary (service.name gastown-doctor), which is read back where the backend is one that can be asked: at
    the endpoint's host and the backend's usual port, or where --traces-query, --logs-query and
    --metrics-query say. Records that were lost or refused are a problem for 24 hours.

    \b
    Exit codes: 0 no problem, though there may be warnings; 1 a problem; 2 wrong use.
    """  # noqa: D301  # click's \b
    from gastown_tracing.cli.paths import absolute  # only here
    from gastown_tracing.doctor import examination  # only here

    env = {**os.environ, **({config.JOURNAL: absolute(journal)} if journal else {})}
    queries = {"traces": traces_query, "logs": logs_query, "metrics": metrics_query}
    checks = examination.examine(config.load(env), env, None if offline else queries, LONGEST)
    if as_json:
        reading.say_list(
            {
                "group": group,
                "check": check.name,
                "state": check.state,
                "found": check.found,
                "advice": check.advice,
            }
            for group, check in checks
        )
    else:
        from gastown_tracing.doctor.report import report  # only here

        reading.say(report(checks, looks.style(), whole=whole, quiet=quiet))
    if any(check.state == "problem" for _, check in checks):
        raise SystemExit(1)
