"""Every setting, once: its variable, its kind and what it means. Its default stands in `config`."""

from gastown_tracing.config import DEFAULTS, JOURNAL, LOGS_URL, METRICS_URL, RECEIVER, RELAY, TRACES_URL


class Setting:
    """One variable: its name, kind (`url`, `path`, `flag`, `bytes` or `number`), meaning and default.

    The default is "" where there is none.
    """

    __slots__ = ("default", "kind", "meaning", "name")

    def __init__(self, name: str, kind: str, meaning: str) -> None:
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.default = DEFAULTS.get(name, "")


SETTINGS = (
    Setting(TRACES_URL, "url", "OTLP/HTTP endpoint for traces; `none`: no traces are sent"),
    Setting(METRICS_URL, "url", "OTLP/HTTP endpoint for metrics; `none`: no metrics are sent"),
    Setting(LOGS_URL, "url", "OTLP/HTTP endpoint for logs; `none`: no logs are sent"),
    Setting(JOURNAL, "path", "directory of the local journal; alone it records locally and sends nothing"),
    Setting("OTEL_SDK_DISABLED", "flag", "`true`: telemetry is off, whatever else is set"),
    Setting("GT_OTEL_DEBUG", "flag", "`1`: say on stderr what was ignored or failed"),
    Setting("GT_OTEL_NATIVE", "flag", "`true`: also switch on the exporters of gt and bd themselves"),
    Setting(RECEIVER, "url", "base URL of the local receiver, put into sessions by us"),
    Setting(
        RELAY,
        "flag",
        "`false`: no relay is started on demand; `gt-trace relay start` starts one all the same",
    ),
    Setting(
        "GT_OTEL_RETENTION_DAYS",
        "number",
        "days that closed runs stay in the journal once they are shipped; 0: no matter how long",
    ),
    Setting(
        "GT_OTEL_RETENTION_BYTES",
        "bytes",
        "size of the journal beyond which the oldest closed and shipped runs go; 0: no matter how large",
    ),
    Setting(
        "GT_OTEL_HARD_CAP_BYTES",
        "bytes",
        "size of the journal beyond which the oldest data goes, shipped or not; 0: no matter how large",
    ),
    Setting(
        "OTEL_METRIC_EXPORT_INTERVAL",
        "number",
        "milliseconds between two exports of metrics: 10000 in the relay, 60000 elsewhere",
    ),
    Setting("GT_LOG_AGENT_OUTPUT", "flag", "`true`: record what agents say"),
    Setting("GT_LOG_BD_OUTPUT", "flag", "`true`: record the output of bd and its arguments unmasked"),
    Setting("GT_LOG_PANE_OUTPUT", "flag", "`true`: record what panes show"),
    Setting("GT_LOG_MAIL_BODY", "flag", "`true`: record mail bodies, 256 bytes of each"),
    Setting("GT_LOG_PROMPT_KEYS", "flag", "`true`: record prompts sent to agents, 256 bytes of each"),
    Setting("GT_LOG_PRIME_CONTEXT", "flag", "`true`: record the formula that a prime renders"),
    Setting(
        "GT_LOG_USER_ID",
        "flag",
        "`true`: record the ids, names and e-mail addresses of users that agents send to the receiver",
    ),
    Setting(
        "GT_LOG_AGENT_CONTENT_LIMIT", "bytes", "bytes of an agent's words; 0: as much as a journal line holds"
    ),
    Setting(
        "GT_LOG_BD_CONTENT_LIMIT",
        "bytes",
        "bytes of bd's stdout (2048) and stderr (1024); 0: as much as a journal line holds",
    ),
    Setting(
        "GT_LOG_PANE_CONTENT_LIMIT", "bytes", "bytes of a pane's output; 0: as much as a journal line holds"
    ),
)

NAMES = frozenset(setting.name for setting in SETTINGS)
