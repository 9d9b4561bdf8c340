"""What one metric takes from the record of an event: an amount and labels.

The one rule of everybody who measures events: a process that measures its own, and the relay, which derives
metrics from log records.
"""

from gastown_tracing.events.schema import STATUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from gastown_tracing.events.schema import Metric, Value


class Reading:
    """How one metric reads the record of an event. `names` are the attributes that it looks at."""

    __slots__ = ("_fixed", "_labels", "_status", "_value", "metric", "names")

    def __init__(self, metric: "Metric") -> None:
        self.metric = metric
        self._fixed = metric.fixed
        self._value = metric.value
        self._status = STATUS in metric.labels
        self._labels = tuple([pair for pair in metric.labels.items() if pair[0] != STATUS])
        self.names = tuple([name for _, name in self._labels] + ([metric.value] if metric.value else []))

    def read(
        self, attributes: "Mapping[str, Value]", failed: bool
    ) -> "tuple[int | float, dict[str, str]] | None":
        """Return (amount, labels) of a record; None where the attribute that is measured is unknown."""
        amount = attributes.get(self._value) if self._value else 1
        if amount is None or isinstance(amount, str):
            return None
        labels = dict(self._fixed)
        if self._status:
            labels[STATUS] = "error" if failed else "ok"
        for label, name in self._labels:
            value = attributes.get(name)
            if value is not None and value != "":
                labels[label] = value if type(value) is str else label_text(value)
        return amount, labels


def label_text(value: "Value") -> str:
    """Return an attribute's value as a label has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
