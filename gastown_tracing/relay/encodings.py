"""Which encoding an endpoint takes: found out once by an empty request, and again when it is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gastown_tracing.relay.http import CONTENT_TYPES, JSON, PROTOBUF, Answer, Kind

if TYPE_CHECKING:
    from gastown_tracing.relay.http import Client
    from gastown_tracing.relay.settings import Endpoint

_EMPTY = {
    "traces": {JSON: b'{"resourceSpans":[]}', PROTOBUF: b""},
    "logs": {JSON: b'{"resourceLogs":[]}', PROTOBUF: b""},
}
#: Answers that say nothing of encodings: none at all (0), a web page, what passes or an operator puts right.
_UNTOLD = (0, 200, 401, 403, 404, 408, 429, 502, 503, 504)
_TOO_LARGE, _UNSUPPORTED = 413, 415


class Encodings:
    """What is known of endpoints for one signal. `known` is by URL {encoding, proven}, for the checkpoint.

    `proven` is one that has taken a batch: from then on what it refuses is a matter of the records.
    """

    def __init__(self, signal: str, known: dict[str, dict[str, Any]]) -> None:
        self._empty = _EMPTY[signal]
        self.known = known

    def of(self, endpoint: Endpoint) -> str:
        """Return `json` or `protobuf`: what is set, else what was found out; "" before that."""
        return endpoint.protocol.removeprefix("http/") or self.known.get(endpoint.url, {}).get("encoding", "")

    def find(self, client: Client) -> tuple[str, Answer | None]:
        """Return the encoding to use; "" and the answer where the endpoint did not say."""
        endpoint = client.endpoint
        if found := self.of(endpoint):
            return found, None
        answer = client.post(self._empty[JSON], JSON)
        if answer.taken and answer.media_type == CONTENT_TYPES[JSON]:
            return self._learn(endpoint, JSON), None
        if answer.taken or answer.refused:
            return self._learn(endpoint, PROTOBUF), None
        if answer.status in _UNTOLD:
            return "", answer
        return PROTOBUF, None  # what it answers to that decides

    def taken(self, endpoint: Endpoint, encoding: str) -> None:
        """Take note that records were taken."""
        self.known[endpoint.url] = {"encoding": encoding, "proven": True}

    def proven(self, endpoint: Endpoint) -> bool:
        """Say whether records were ever taken there: before that it may be the wrong place."""
        return bool(self.known.get(endpoint.url, {}).get("proven"))

    def refused(self, client: Client, encoding: str, answer: Answer) -> Answer:
        """Return what a refusal means: `answer` itself where the records are why, else one to try again on.

        An endpoint that refuses a request without records, too, refuses all: that is for its operator to put
        right, and must not cost a record.
        """
        endpoint = client.endpoint
        if answer.status == _TOO_LARGE:
            return answer
        empty = client.post(self._empty[encoding], encoding) if answer.status != _UNSUPPORTED else answer
        if empty.kind is Kind.RETRY:
            return empty
        if empty.taken and (encoding == PROTOBUF or empty.media_type == CONTENT_TYPES[JSON]):
            return answer
        if not endpoint.protocol and encoding == JSON:
            self._learn(endpoint, PROTOBUF)
        elif answer.status != _UNSUPPORTED and self.proven(endpoint):
            return answer
        elif not endpoint.protocol:
            self.known.pop(endpoint.url, None)
        return Answer(Kind.RETRY, answer.status, f"{answer.message} ({encoding})", answer.retry_after)

    def _learn(self, endpoint: Endpoint, encoding: str) -> str:
        self.known[endpoint.url] = {"encoding": encoding, "proven": False}
        return encoding
