"""The gates: which texts of a record pass, and what stands for those that do not.

Anything can carry content: attributes of records, events, links, resources and scopes, bodies, names and
status messages. A program that is known passes by allow-list, any other but for what is known to be content.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

import orjson

from gastown_tracing.config import Config
from gastown_tracing.events.cleaning import parts
from gastown_tracing.events.values import ORDINARY_LIMIT
from gastown_tracing.journal.otlp import cut_text
from gastown_tracing.masking import command_words, mask, masked, opened, without_credentials
from gastown_tracing.relay.receiver.allowed import BEADS, CLAUDE, GT, OPEN
from gastown_tracing.relay.receiver.attributes import texts
from gastown_tracing.relay.receiver.rules import OUTPUT, PROMPT, VERSION, Rule, Rules
from gastown_tracing.relay.receiver.transcode import Json

_SCHEMA = re.compile(r"https://opentelemetry\.io/schemas/\d{1,3}\.\d{1,3}\.\d{1,3}")
#: The scopes of programs that are known, by how their names begin, and the service that such a program is.
_KNOWN = {"com.anthropic.claude_code": CLAUDE, "github.com/steveyegge/beads": BEADS, "bd": BEADS}
_SERVICES = {"claude-code": CLAUDE, "bd": BEADS}
#: gt's scopes, of log records and metrics.
GT_LOGS, GT_METRICS = "gastown", "github.com/steveyegge/gastown"

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,79}")
_UNIT = re.compile(r"[A-Za-z%]{0,10}|\{[a-z_]{1,20}\}|1")
_SEVERITIES = frozenset(
    f"{word}{number}"
    for name in ("trace", "debug", "info", "warn", "warning", "error", "fatal", "notice", "critical")
    for word in (name, name.upper(), name.capitalize())
    for number in ("", "2", "3", "4")
)
_STATUS = frozenset(("", "Shell command failed"))


def rules_of(scope: Json, resource: Mapping[str, str]) -> Rules:
    """Return the rules for what a scope of a program says."""
    name = str(scope.get("name", ""))
    for prefix, rules in _KNOWN.items():
        if name == prefix or name.startswith((f"{prefix}.", f"{prefix}/")):
            return rules
    if name == GT_LOGS or name.startswith(GT_METRICS):
        return GT
    return _SERVICES.get(resource.get("service.name", ""), OPEN)


class Gates:
    """The gates as the settings have them. `masked` counts the texts that did not pass."""

    def __init__(self, settings: Config) -> None:
        self.settings = settings
        self.masked = 0

    def resource(self, resource: Json, rules: Rules) -> Json:
        """Return a resource as it may be recorded."""
        found = {**resource, "attributes": self.attributes(resource.get("attributes", ()), rules)}
        if rules.known:
            found.pop("entityRefs", None)
        return found

    def scope(self, scope: Json, rules: Rules) -> Json:
        """Return a scope as it may be recorded: of a known program its name stands for the program."""
        found = {**scope}
        if "attributes" in scope:
            found["attributes"] = self.attributes(scope["attributes"], rules)
        if rules.known and not VERSION.harmless(found.get("version", "")):
            found.pop("version", None)
        return found

    def schema(self, url: str, rules: Rules) -> str:
        """Return a schema's URL as it may be recorded: of a known program only OpenTelemetry's own."""
        return url if not rules.known or _SCHEMA.fullmatch(url) else ""

    def span(self, span: Json, rules: Rules) -> None:
        """Take out of a span what may not be recorded."""
        self._record(span, rules)
        for event in span.get("events", ()):
            self._record(event, rules)
        for link in span.get("links", ()):
            self._record(link, rules)
        status = span.get("status", {})
        message = status.get("message", "")
        if rules.known and message not in _STATUS:
            status["message"] = self.text(message, rules.of("error") or OUTPUT)

    def log(self, record: Json, rules: Rules) -> None:
        """Take out of a log record what may not be recorded."""
        self._record(record, rules)
        if rules.known:
            self._named(record, "eventName", rules)
            if record.get("severityText", "") not in _SEVERITIES | {""}:
                record["severityText"] = ""
        if "body" in record:
            body = self._body(record, rules)
            if body:
                record["body"] = body
            else:  # strict receivers refuse a value that is empty
                del record["body"]

    def metric(self, metric: Json, rules: Rules) -> bool:
        """Take out of a metric what may not be recorded; say whether anything is left."""
        if rules.known:
            if not _is_name(metric.get("name", ""), rules):
                return False
            metric.pop("description", None)
            if not _UNIT.fullmatch(metric.get("unit", "")):
                metric.pop("unit")
        self._attributes_of(metric, "metadata", rules)
        for kind in ("gauge", "sum", "histogram", "exponentialHistogram", "summary"):
            for point in metric.get(kind, {}).get("dataPoints", ()):
                self._attributes_of(point, "attributes", rules)
                for exemplar in point.get("exemplars", ()):
                    self._attributes_of(exemplar, "filteredAttributes", rules)
        return True

    def attributes(self, pairs: Any, rules: Rules) -> list[Json]:
        """Return a list of attributes as it may be recorded."""
        kept = []
        for pair in pairs:
            key, value = pair.get("key", ""), pair.get("value")
            if not value or (rules.known and not _KEY.fullmatch(key)):
                continue
            rule = rules.of(key)
            shown = value if rule is None and not _holds_more(value) else self._value(value, rule, rules)
            if shown is not None:
                kept.append({"key": key, "value": shown})
        return kept

    def text(self, text: str, rule: Rule) -> str:
        """Return a text as a rule lets it pass, else its length."""
        if rule.harmless(text):
            return text
        if rule.clean:
            whole = "://" in text  # else it is a part of a URL: it may begin with a host, or be a path
            return without_credentials(text if whole else text.partition("?")[0].partition("#")[0])
        if rule.gate and self.settings.flag(rule.gate):
            limit = rule.limit
            if rule.limit_setting:
                limit = self.settings.limit(rule.limit_setting, limit)
            return cut_text(text, limit) if limit else text
        self.masked += 1
        return mask(text)

    def _record(self, record: Json, rules: Rules) -> None:
        """Gate what spans, their events and links, and log records have in common."""
        self._attributes_of(record, "attributes", rules)
        if rules.known:
            self._named(record, "name", rules)
            record.pop("traceState", None)

    def _attributes_of(self, holder: Json, name: str, rules: Rules) -> None:
        if name in holder:
            holder[name] = self.attributes(holder[name], rules)

    def _named(self, record: Json, key: str, rules: Rules) -> None:
        """Mask a name that a known program has not got."""
        if key in record and not _is_name(record[key], rules):
            self.masked += 1
            record[key] = mask(record[key])

    def _value(self, value: Json, rule: Rule | None, rules: Rules) -> Json | None:
        """Return an attribute's value as it may be recorded; None leaves the attribute out."""
        if rule is not None and rule.omit and not self.settings.flag(rule.gate):
            self.masked += 1
            return None
        if rule is not None and rule.command:
            return self._command(value)
        if "stringValue" in value:
            return value if rule is None else {"stringValue": self.text(value["stringValue"], rule)}
        if "arrayValue" in value:
            items = [self._value(item, rule, rules) for item in value["arrayValue"].get("values", ()) if item]
            return {"arrayValue": {"values": [item for item in items if item is not None]}}
        return self._compound(value, rule, rules)

    def _compound(self, value: Json, rule: Rule | None, rules: Rules) -> Json:
        if "kvlistValue" in value and rule is None:
            return {"kvlistValue": {"values": self.attributes(value["kvlistValue"].get("values", ()), rules)}}
        if "kvlistValue" in value and rule is not None:
            return {"stringValue": self.text(orjson.dumps(value).decode(), rule)}
        if "bytesValue" in value and rule is not None:
            self.masked += 1
            return {"stringValue": f"‹{len(b64decode(value['bytesValue']))} bytes›"}
        return value

    def _command(self, value: Json) -> Json:
        """Return a command line, as text or a list of words, as our own are shown."""
        if "arrayValue" in value:
            items = value["arrayValue"].get("values", ())
            words = [str(item.get("stringValue", "")) for item in items]
        else:
            words = parts(str(value.get("stringValue", "")))[0]
        shown = self._shown(words)
        if "arrayValue" not in value:
            return {"stringValue": " ".join(shown)}
        return {"arrayValue": {"values": [{"stringValue": word} for word in shown]}}

    def _shown(self, words: list[str]) -> list[str]:
        """Return a program and its command line: two texts."""
        if not words:
            return []
        if self.settings.flag("GT_LOG_BD_OUTPUT"):
            return [cut_text(opened(part), ORDINARY_LIMIT) for part in (words[:1], words[1:])]
        program = words[0].rpartition("/")[2]
        self.masked += 1
        if program == "bd":
            return [program, cut_text(masked("bd", words[1:])[1], ORDINARY_LIMIT)]
        if program in ("git", "gt"):
            return [program, command_words(program, words[1:])]
        return [mask(" ".join(words))]

    def _body(self, record: Json, rules: Rules) -> Json | None:
        """Return a log record's body. A known program's is its event's name, and nothing else."""
        body: Json = record["body"]
        if not rules.known:
            name = record.get("eventName") or texts(record).get("event.name", "")
            if not name.startswith("gen_ai."):
                return self._value(body, None, rules)
            rule = PROMPT if name in ("gen_ai.user.message", "gen_ai.system.message") else OUTPUT
            return self._value(body, rule, rules)
        text = body.get("stringValue")
        if isinstance(text, str) and _is_name(text, rules):
            return body
        whole = text if isinstance(text, str) else orjson.dumps(body).decode()
        return {"stringValue": self.text(whole, OUTPUT)}


def _is_name(text: str, rules: Rules) -> bool:
    return rules.names is None or rules.names.fullmatch(text) is not None


def _holds_more(value: Json) -> bool:
    """Return whether a value may hold attributes of its own."""
    return "kvlistValue" in value or "arrayValue" in value
