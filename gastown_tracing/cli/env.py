"""`gt-trace env`: the shell lines that switch telemetry on, as the original setup script did."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from gastown_tracing import config
from gastown_tracing.cli.paths import absolute
from gastown_tracing.cli.reading import Failure, WrongUse, journal_option
from gastown_tracing.journal.configuring import change
from gastown_tracing.journal.layout import Journal, create, write_atomic

if TYPE_CHECKING:
    from collections.abc import Mapping


@click.command()
@journal_option
@click.option("--traces-url", metavar="URL", help="Where traces go by OTLP/HTTP; `none`: nowhere.")
@click.option("--metrics-url", metavar="URL", help="The same for metrics.")
@click.option("--logs-url", metavar="URL", help="The same for logs.")
@click.option("--on", "switch_on", is_flag=True, help="Switch a journal on again that was switched off.")
@click.option(
    "--shell",
    type=click.Choice(["sh", "fish"]),
    default=None,
    help="Whose syntax; default: what SHELL names.",
)
def command(
    *,
    journal: str | None,
    traces_url: str | None,
    metrics_url: str | None,
    logs_url: str | None,
    switch_on: bool,
    shell: str | None,
) -> None:
    """Print the lines that switch telemetry on in a shell: eval "$(gt-trace env)".

    Makes the journal where there is none, and keeps in its config.json where to send: the URLs given here or
    in GT_OTEL_*_URL, and OTEL_EXPORTER_OTLP_*. They are not exported to the shell, or gt and bd would send
    the same facts a second time.
    """
    env = dict(os.environ)
    where = absolute(journal) if journal else config.load(env).journal.root
    urls = dict(zip(config.URLS, (traces_url, metrics_url, logs_url), strict=True))
    given = {**config.for_journal(env), **{name: url for name, url in urls.items() if url}}
    _check(config.Config(given, Journal(where).config_path))
    try:
        made = prepare(where, given, switch_on)
    except OSError as error:
        raise Failure(f"{error.filename or where}: {error.strerror}; --journal DIR takes another") from error
    telemetry = config.load({**env, config.JOURNAL: made.root})
    if not telemetry.on:
        click.echo(f"gt-trace: telemetry stays off: {telemetry.why}", err=True)
    click.echo(assignment(config.JOURNAL, made.root, shell or shell_of(env)))


def _check(found: config.Config) -> None:
    """Refuse a URL that the relay would not send to; what is in config.json already is not asked about."""
    from gastown_tracing.relay.addresses import URLS, problems

    reasons = problems({signal: found.endpoint(name) for signal, name in URLS.items()})
    for signal, reason in reasons.items():
        if reason and URLS[signal] in found.env:
            raise WrongUse(reason)


def prepare(where: str, given: Mapping[str, str], switch_on: bool) -> Journal:
    """Make the journal, keep the settings in it, and return it. Raises OSError."""
    journal = create(where, given)
    if not journal.owned():
        raise PermissionError(13, "belongs to another user", where)
    change(journal, lambda _: given)
    if switch_on and not journal.is_on():
        write_atomic(journal.on_path, "")
    return journal


def shell_of(env: Mapping[str, str]) -> str:
    """Return whose syntax the user's shell has, `sh` or `fish`."""
    return "fish" if os.path.basename(env.get("SHELL", "")) == "fish" else "sh"


def assignment(name: str, value: str, shell: str) -> str:
    r"""Return the line that exports a variable, its value quoted for the shell (`sh` or `fish`).

    In fish's single quotes `\` and `'` are escaped; sh knows no escape there.
    """
    if shell == "fish":
        return f"set -gx {name} {quoted_for_fish(value)}"
    quoted = value.replace("'", "'\"'\"'")
    return f"export {name}='{quoted}'"


def quoted_for_fish(value: str) -> str:
    """Return a value as one word of fish's."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
