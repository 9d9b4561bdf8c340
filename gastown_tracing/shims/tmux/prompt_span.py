"""A prompt that has been sent, as its span and its log record."""

from gastown_tracing.config import Config
from gastown_tracing.events.panes import PANES
from gastown_tracing.events.values import recordable
from gastown_tracing.journal import otlp
from gastown_tracing.journal.layout import read_text
from gastown_tracing.sessions.records import FLAGS, common_attributes, event_log, write_records
from gastown_tracing.shims.tmux.keys import SENDING
from gastown_tracing.shims.tmux.place import links_to
from gastown_tracing.shims.tmux.prompt import KEYS, number
from propagation.traceparent import SpanContext, is_id
from propagation.work import in_force

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from gastown_tracing.shims.tmux.place import Place
    from gastown_tracing.shims.tmux.prompt import Pending


def record(
    place: "Place",
    prompt: "Pending",
    config: "Config",
    note: "Callable[[str], None]",
    error: str,
) -> None:
    """Write a prompt's span and log record; `error` is why tmux did not send it. Raises OSError."""
    lines = [line for line in prompt.lines if line.get("time")]
    start, end = number(prompt.texts[0], "time"), number(lines[-1], "time")
    given: dict[str, object] = {
        "session": prompt.texts[0].get("session") or place.session,
        "keys_len": sum(number(text, "length") for text in prompt.texts),
    }
    if lines[-1].get("what") == SENDING:
        given["debounce_ms"] = (end - number(prompt.texts[-1], "time")) / 1e6
    elif not error:
        given["submitted"] = False  # no Enter has come
    keys = "".join([text.get("keys", "") for text in prompt.texts])
    if keys:  # whoever typed them was asked: who records them now may have other settings
        given["keys"] = keys
        config = Config({**config.env, KEYS: "true"})
    work = in_force(read_text(f"{place.directory}/work.jsonl") or "", start)
    attributes = {
        **common_attributes(place.info),
        **(work.attributes() if work else {}),
        **recordable(PANES["prompt.send"], given, config, note),
        "status": "error" if error else "ok",
        "error": error,
    }
    span = otlp.Span(
        place.run_id,
        prompt.span_id,
        str(place.info["root_span_id"]),
        "prompt.send",
        start_ns=start,
        end_ns=max(start, end),
        attributes=attributes,
        status_code=otlp.ERROR if error else otlp.UNSET,
        status_message=error,
        flags=FLAGS,
        links=links_to(_cause(prompt.texts[0].get("sender", "")), place.run_id),
    )
    log = event_log("prompt.send", span, span.end_ns, attributes)
    write_records(place.directory, place.info, [span], [log])


def _cause(sender: str) -> "SpanContext | None":
    trace_id, _, span_id = sender.partition("/")[0].partition("-")
    return SpanContext(trace_id, span_id) if is_id(trace_id, 32) and is_id(span_id, 16) else None
