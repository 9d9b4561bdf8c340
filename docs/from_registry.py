"""What is written from the registry: typed functions, their names in the package, the reference of events."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from gastown_tracing.events.commands import AGES, DEPTHS, DURATIONS
from gastown_tracing.events.metrics import METRICS
from gastown_tracing.events.registry import COMMON, EVENTS, OUTCOME
from gastown_tracing.events.schema import FLAG, FLOAT, INTEGER, WORDS, Attribute, Event, Metric
from gastown_tracing.events.semconv import MAIL_KINDS, MESSAGING, PROGRAMS

#: Other names of typed functions, by the names that they have.
ALIASES = {"record_mail": "record_mail_message"}
#: The helpers of the package that are named like their event.
HELPERS = ("bd_call", "mail", "sling", "nudge", "done", "prime")
TYPES = {INTEGER: "int", FLOAT: "float", FLAG: "bool", WORDS: "Sequence[str]"}
WIDTH = 110

HEADER = '''"""One typed function for each event of the data model.

Written by `python -m docs.generate` from the registry: change that, and generate this again. What each of
them does is what `record` does (see there); while telemetry is off that is nothing.
"""

from __future__ import annotations

from gastown_tracing import context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
'''


def function_name(event: Event) -> str:
    """Return the name of the typed function of an event."""
    return f"record_{event.parameter}"


def function_names() -> list[str]:
    """Return the names of all typed functions, sorted."""
    return sorted([*map(function_name, EVENTS.values()), *ALIASES.values()])


def recorders() -> str:
    """Return the module of typed functions."""
    aliases = [
        f"#: The same by the name that says what is recorded.\n{other} = {name}\n"
        for name, other in ALIASES.items()
    ]
    return "\n\n".join([HEADER, *map(function, EVENTS.values()), *aliases])


def function(event: Event) -> str:
    """Return the typed function of an event."""
    wanted = sorted(event.attributes, key=lambda attribute: not attribute.required)
    parameters = [f"    {found.parameter}: {annotation(found)}," for found in wanted]
    passed = [f"            {found.parameter}={found.parameter}," for found in wanted]
    if event.outcome:
        parameters.append('    error: str = "",')
        passed.append("            error=error,")
    return "\n".join(
        [
            f"def {function_name(event)}(",
            "    *,",
            *parameters,
            ") -> None:",
            docstring(event, wanted),
            "    if context.runtime is not None:",
            "        from gastown_tracing.events.recorder import record",
            "",
            "        record(",
            f'            "{event.name}",',
            *passed,
            "        )",
            "",
        ]
    )


def annotation(attribute: Attribute) -> str:
    """Return the type of a parameter, and its default unless it is required."""
    kind = "str | Sequence[str]" if attribute.several else TYPES.get(attribute.type, "str")
    return kind if attribute.required else f"{kind} | None = None"


def docstring(event: Event, attributes: Iterable[Attribute]) -> str:
    """Return the docstring of a typed function, indented."""
    items = [(found.parameter, described(found)) for found in attributes]
    if event.outcome:
        items.append(("error", "Why it failed; empty where it did not."))
    first = f"Record `{event.name}`: {event.doc[0].lower()}{event.doc[1:]}"
    lines = [f'    """{first}', ""]
    if event.gate:
        lines += [f"    Only with {event.gate}.", ""]
    for name, text in items:
        lines += textwrap.wrap(
            f"- `{name}`: {text}", WIDTH, initial_indent="    ", subsequent_indent="      "
        )
    return "\n".join([*lines, '    """'])


def described(attribute: Attribute, mark: str = "") -> str:
    """Return what an attribute is, and on what it depends; `mark` goes around settings and values."""
    parts = [attribute.doc]
    if attribute.values:
        parts.append(f"One of {', '.join(f'{mark}{value}{mark}' for value in attribute.values)}.")
    if attribute.gate:
        parts.append(f"Only with {mark}{attribute.gate}{mark}.")
    if attribute.limit:
        setting = (
            f", else as many as {mark}{attribute.limit_setting}{mark} says" if attribute.limit_setting else ""
        )
        parts.append(f"{attribute.limit} bytes at most{setting}.")
    if attribute.default:
        parts.append(
            f"By default {' or '.join(f'{mark}{name}{mark}' for name in attribute.default)} of the record."
        )
    return " ".join(parts)


def names() -> str:
    """Return the entries of `__all__`."""
    return "".join(f'    "{name}",\n' for name in function_names())


def imports() -> str:
    """Return what type checkers read of the typed functions."""
    names = "".join(f"        {name},\n" for name in function_names())
    return f"    from gastown_tracing.events.recorders import (\n{names}    )\n\n"


def reference() -> str:
    """Return the reference of events and metrics as Markdown."""
    parts = [
        INTRODUCTION,
        "| event | span | |\n|---|---|---|",
        *[
            f"| [`{found.name}`](#{anchor(found.name)}) | {found.kind} | {found.doc} |"
            for found in EVENTS.values()
        ],
        *map(section, EVENTS.values()),
        f"\n## On every record\n\n{ON_EVERY_RECORD}\n\n{attributes_table([*COMMON, *OUTCOME])}",
        f"\n## OpenTelemetry's own names\n\n{THEIR_NAMES}\n\n{their_names()}",
        f"\n## Other metrics\n\n{OTHER_METRICS}\n\n{metrics_table(METRICS.values())}",
        f"\n## What backends should index\n\n{', '.join(f'`{name}`' for name in indexed())}.",
        f"\n## Buckets\n\n{buckets()}",
    ]
    return "\n".join(parts) + "\n"


INTRODUCTION = """\
# Events and metrics

Generated by `python -m docs.generate` from `gastown_tracing/events/`.

Every event is a log record, whose body and event name are the event's name. Those with a kind of span are a
span as well, and what is measured of an event is measured in the span's context, so that exemplars lead to
it. From Python an event is recorded by its typed function (`gt.record_bd_call(…)`) or by
`gt.record("bd.call", …)`, and one that is a span around a block of code by `with gt.event("bd.call", …)`;
from a shell by `gt-trace event bd.call KEY=VALUE…`. Keywords in Python have `_` for `.`. Required attributes
are bold, those that backends should index have a †. What is in *development* may change with a minor version,
what is *stable* does not.

Text is cut at 4,096 bytes where no other limit is named. With 0 a `…_LIMIT` setting cuts nothing. Numbers are
not negative; only an exit code is, for a signal. Of a bd command line that is masked a bead's id is shown
where it has the usual form: a prefix of two or three letters and digits. Every other word is its length, also
an id with a longer prefix or one that equals the work in force.
"""
ON_EVERY_RECORD = """\
As far as they are known. An event's own attribute of the same name goes before. Only events that can fail
have `status` and `error`. Each log record has a `log.record.uid`, 32 hex digits, so that a repeated delivery
can be told."""
THEIR_NAMES = (
    "Spans, and they alone, also say these facts by the names of OpenTelemetry's semantic conventions."
)
OTHER_METRICS = """\
They belong to no event: probes, the relay and long-lived processes measure them. What is measured has not
succeeded or failed, and so they have no `status`."""


def anchor(name: str) -> str:
    """Return the fragment that GitHub gives a heading."""
    return name.replace(".", "").replace("`", "")


def section(event: Event) -> str:
    """Return what there is to know about one event."""
    facts = [f"span: {kinds(event)}" if event.is_span else "no span", event.stability]
    if event.gate:
        facts.append(f"only with `{event.gate}`")
    if not event.outcome:
        facts.append("cannot fail")
    about = f"{event.doc} *{' · '.join(facts)}* · {' · '.join(ways(event))}"
    lines = [f"\n## {event.name}\n", f"{about}\n", attributes_table(event.attributes)]
    if event.metrics:
        lines += ["", metrics_table(event.metrics)]
    return "\n".join(lines)


def kinds(event: Event) -> str:
    """Return the kind of an event's span, and on what it depends."""
    other = [f"{kind} for {operation}" for operation, kind in MAIL_KINDS.items() if event.name == "mail"]
    return ", ".join([event.kind, *other])


def their_names() -> str:
    """Return which events have which names of OpenTelemetry's, as a table."""
    mail = [f"`{theirs}` (`{ours}`)" for theirs, ours in MESSAGING.items()]
    command = ["`process.executable.name`", "`process.pid`", "`process.exit.code` (`exit_code`)"]
    rows = [
        ("`mail`", ["`messaging.system`: `gastown`", *mail]),
        (", ".join(f"`{name}`" for name in PROGRAMS), command),
        ("any that failed", ["`error.type`: an exception's type, an exit code or a signal's name"]),
    ]
    lines = [f"| {events} | {', '.join(found)} |" for events, found in rows]
    return "\n".join(["| event | attributes |", "|---|---|", *lines])


def ways(event: Event) -> Iterator[str]:
    """Return how an event is recorded from Python."""
    yield f"`gt.{function_name(event)}(…)`"
    if function_name(event) in ALIASES:
        yield f"`gt.{ALIASES[function_name(event)]}(…)`"
    if event.parameter in HELPERS:
        yield f"`with gt.{event.parameter}(…)`"
    elif event.is_span:
        yield f'`with gt.event("{event.name}", …)`'


def attributes_table(attributes: Iterable[Attribute]) -> str:
    """Return attributes as a table; the required ones are bold."""
    rows = ["| attribute | type | |", "|---|---|---|"]
    for found in attributes:
        name = f"**`{found.name}`**" if found.required else f"`{found.name}`"
        mark = " †" if found.index else ""
        rows.append(f"| {name}{mark} | {found.type} | {described(found, '`')} |")
    return "\n".join(rows)


def metrics_table(metrics: Iterable[Metric]) -> str:
    """Return metrics as a table."""
    rows = ["| metric | kind | labels | |", "|---|---|---|---|"]
    for found in metrics:
        value = f" Adds `{found.value}`." if found.value and found.kind == "counter" else ""
        value = f" Of `{found.value}`." if found.value and not value else value
        stability = " *development*" if found.stability != "stable" else ""
        rows.append(
            f"| `{found.name}` | {found.kind} | {', '.join(labels(found))} | {found.doc}{value}{stability} |"
        )
    return "\n".join(rows)


def labels(metric: Metric) -> Iterator[str]:
    """Return each label, with where it comes from unless that is an attribute of the same name."""
    for label, attribute in metric.labels.items():
        yield f"`{label}`" if attribute == label else f"`{label}` (`{attribute}`)"
    for label, value in metric.fixed.items():
        yield f"`{label}={value}`"


def indexed() -> list[str]:
    """Return the names of the attributes that backends should index."""
    everything = [*COMMON, *[found for event in EVENTS.values() for found in event.attributes]]
    return sorted({found.name for found in everything if found.index})


def buckets() -> str:
    """Return the upper bounds of histograms, as a table."""
    named = ((DURATIONS, "durations"), (AGES, "ages and completion"), (DEPTHS, "depths"))
    other = [(found.buckets, f"`{found.name}`") for found in METRICS.values()]
    known = [bounds for bounds, _ in named]
    rows = [*named, *[row for row in other if row[0] and row[0] not in known]]
    lines = [f"| {what} | {', '.join(f'{bound:.12g}' for bound in bounds)} |" for bounds, what in rows]
    return "\n".join(["| of | upper bounds |", "|---|---|", *lines])
