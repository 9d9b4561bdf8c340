"""The events of agents' panes, apart from all others: keys sent to one, looks at one, what one showed."""

from gastown_tracing.events.commands import counts
from gastown_tracing.events.schema import FLOAT, INTEGER, INTERNAL, Attribute, Event

SESSION = Attribute("session", "The session, by its name in tmux.", required=True)

PANES = {
    event.name: event
    for event in (
        Event(
            "prompt.send",
            "Keys were sent to an agent's pane.",
            (
                SESSION,
                Attribute("keys_len", "How many characters.", INTEGER),
                Attribute("debounce_ms", "The pause before Enter, in milliseconds.", FLOAT),
                Attribute("keys", "The keys themselves.", gate="GT_LOG_PROMPT_KEYS", limit=256),
            ),
            kind=INTERNAL,
            metrics=(counts("gastown.prompt.sends.total", "Prompts sent."),),
        ),
        Event(
            "pane.read",
            "An agent's pane was looked at.",
            (
                SESSION,
                Attribute("lines_requested", "How many lines were asked for.", INTEGER),
                Attribute("content_len", "How many characters came back.", INTEGER),
            ),
            metrics=(counts("gastown.pane.reads.total", "Looks at panes."),),
        ),
        Event(
            "pane.output",
            "What an agent's pane showed.",
            (
                SESSION,
                Attribute(
                    "content",
                    "The text, without escape sequences.",
                    limit=8192,
                    limit_setting="GT_LOG_PANE_CONTENT_LIMIT",
                    clean="screen",
                    gate="GT_LOG_PANE_OUTPUT",
                ),
            ),
            metrics=(counts("gastown.pane.output.total", "Pieces of output recorded."),),
            outcome=False,
            gate="GT_LOG_PANE_OUTPUT",
        ),
    )
}
