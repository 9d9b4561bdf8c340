"""What an event of the data model consists of: attributes, a span or none, the metrics that it feeds.

Plain data for every part that needs it: the helpers, the fast path, the relay, the docs and the tests.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    #: The value of an attribute, in the type that the data model gives it.
    Value = str | bool | int | float

#: The types of attributes. WORDS is a command line: given as words, recorded as one text, masked.
TEXT, INTEGER, FLOAT, FLAG, WORDS = "text", "integer", "float", "flag", "words"
#: The kinds of instruments (OpenTelemetry metrics API, "Instrument").
COUNTER, HISTOGRAM, GAUGE = "counter", "histogram", "gauge"
#: The kinds of spans (OpenTelemetry tracing API, "SpanKind"). NO_SPAN: the event is a log record only.
NO_SPAN, INTERNAL, CLIENT, PRODUCER, CONSUMER = "", "internal", "client", "producer", "consumer"
#: How settled a name is (OpenTelemetry's "Stability levels"): development may change with a minor version.
STABLE, DEVELOPMENT = "stable", "development"

#: The counters' label that says whether what is counted succeeded: `ok` or `error`.
STATUS = "status"


class Attribute:
    """One attribute of an event.

    `type` is one of TEXT, INTEGER, FLOAT, FLAG and WORDS. `required`: the event says nothing without it.
    `values` are the only ones allowed, none for any. `gate` is the setting that opts in to recording it.
    `limit` is how many bytes of it are recorded (0: as many as a journal line holds) and `limit_setting` the
    setting that replaces the limit. `clean` is what happens to the text: `url` (without credentials),
    `screen` (without escape sequences), `bd`, `git` or `gt` (nothing but a known command of theirs) or
    `program` (the name of a program's file, without arguments). `minimum` is the least that a number may be.
    `default` names the common attributes that stand in for it. `elapsed` marks how long the event itself
    took: so long is its span. `index` marks what backends should index,
    `several` a text that Python takes as several, too, `empty` one that says something when it is empty.
    """

    __slots__ = (
        "clean",
        "default",
        "doc",
        "elapsed",
        "empty",
        "gate",
        "index",
        "limit",
        "limit_setting",
        "minimum",
        "name",
        "ordinary",
        "parameter",
        "required",
        "several",
        "type",
        "values",
    )

    def __init__(
        self,
        name: str,
        doc: str,
        type: str = TEXT,  # noqa: A002 # the data model's word
        *,
        required: bool = False,
        values: "Sequence[str]" = (),
        gate: str = "",
        limit: int = 0,
        limit_setting: str = "",
        clean: str = "",
        minimum: int = 0,
        default: "Sequence[str]" = (),
        elapsed: bool = False,
        index: bool = False,
        several: bool = False,
        empty: bool = False,
    ) -> None:
        self.name = name
        #: The keyword that stands for it in Python.
        self.parameter = name.replace(".", "_")
        self.doc = doc
        self.type = type
        self.required = required
        self.values = tuple(values)
        self.gate = gate
        self.limit = limit
        self.limit_setting = limit_setting
        self.clean = clean
        self.minimum = minimum
        self.default = tuple(default)
        self.elapsed = elapsed
        self.index = index
        self.several = several
        self.empty = empty
        #: Whether it is text of which nothing else is asked.
        self.ordinary = type == TEXT and not (values or gate or limit or limit_setting or clean)


class Metric:
    """One instrument. Its name has no unit, because names end in it already (`_ms`, `_bytes`).

    `labels` maps each label to the attribute that it is taken from. `fixed` are labels that are always the
    same. `status`: the first label is how the event ended. `value` names the attribute that is measured, ""
    to count the event itself. `buckets` are the upper bounds of a histogram.
    """

    __slots__ = ("buckets", "doc", "fixed", "kind", "labels", "name", "stability", "value")

    def __init__(
        self,
        name: str,
        kind: str,
        doc: str,
        labels: "Sequence[str] | Mapping[str, str]" = (),
        *,
        fixed: "Mapping[str, str] | None" = None,
        value: str = "",
        buckets: "Sequence[float]" = (),
        status: bool = False,
        stability: str = STABLE,
    ) -> None:
        named = labels if isinstance(labels, dict) else {label: label for label in labels}
        self.name = name
        self.kind = kind
        self.doc = doc
        self.labels = {**({STATUS: STATUS} if status else {}), **named}
        self.fixed = dict(fixed or ())
        self.value = value
        self.buckets = tuple(buckets)
        self.stability = stability

    def label_names(self) -> "tuple[str, ...]":
        """Return the names of all labels that a measurement of it can have."""
        return (*self.labels, *self.fixed)


class Event:
    """One event: a log record always, a span of `kind` unless that is NO_SPAN, and its metrics.

    `outcome` says whether it can fail, and so has `status` and `error`. `gate` is the setting without which
    it is not recorded at all. `positional` are the attributes that `gt-trace NAME` takes without their names.
    """

    __slots__ = (
        "attributes",
        "by_key",
        "defaults",
        "doc",
        "elapsed",
        "gate",
        "kind",
        "metrics",
        "name",
        "outcome",
        "positional",
        "required",
        "stability",
    )

    def __init__(
        self,
        name: str,
        doc: str,
        attributes: "Sequence[Attribute]",
        *,
        kind: str = NO_SPAN,
        metrics: "Sequence[Metric]" = (),
        outcome: bool = True,
        gate: str = "",
        positional: "Sequence[str]" = (),
        stability: str = STABLE,
    ) -> None:
        self.name = name
        self.doc = doc
        self.attributes = tuple(attributes)
        self.kind = kind
        self.metrics = tuple(metrics)
        self.outcome = outcome
        self.gate = gate
        self.positional = tuple(positional)
        self.stability = stability
        self.required = tuple([found.name for found in self.attributes if found.required])
        self.defaults = tuple([found for found in self.attributes if found.default])
        #: The attribute that says how long its span lasted, in milliseconds; "" for none.
        self.elapsed = "".join([found.name for found in self.attributes if found.elapsed])
        #: Attributes by their name and by the keyword that stands for it in Python.
        self.by_key = {found.name: found for found in self.attributes}
        self.by_key.update({found.parameter: found for found in self.attributes})

    @property
    def is_span(self) -> bool:
        """Return whether the event is also a span."""
        return self.kind != NO_SPAN

    @property
    def parameter(self) -> str:
        """Return its name as part of a Python name: `bd_call` for `bd.call`."""
        return self.name.replace(".", "_")
