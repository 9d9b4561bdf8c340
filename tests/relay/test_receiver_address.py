"""The receiver's address: drawn once a journal, kept in config.json, taken again, never changed by us."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from gastown_tracing.config import RECEIVER
from gastown_tracing.journal.configuring import change
from gastown_tracing.journal.layout import create
from gastown_tracing.relay.receiver import address
from gastown_tracing.relay.settings import Settings
from tests.processes import wait_until

from .receiver_kit import Receiving, receiving

OURS = "http://127.0.0.1:{port}/" + "t" * 22


def config(found: Receiving) -> dict[str, Any]:
    """Return what config.json says."""
    said: dict[str, Any] = json.loads(Path(found.journal.config_path).read_text())
    return said


def reread(found: Receiving) -> None:
    """Do what the relay does when config.json has changed."""
    found.receiver.reconfigure(Settings.read(found.journal))


def test_an_address_is_drawn_and_everything_else_kept(journal_root: Path) -> None:
    """Also what is no text and so no setting; the path has 128 bits at least."""
    create(str(journal_root))
    (journal_root / "config.json").write_text('{"GT_OTEL_LOGS_URL": "none", "note": ["of", "mine"]}')
    with receiving(journal_root) as found:
        said = config(found)
        assert said.pop(RECEIVER) == found.url
        assert said == {"GT_OTEL_LOGS_URL": "none", "note": ["of", "mine"]}
        drawn = address.parse(found.url)
        assert drawn is not None
        assert len(drawn.token) * 6 >= 128
        assert found.status["endpoint"] == f"http://127.0.0.1:{drawn.port}"
        assert drawn.token not in json.dumps(found.status)
    assert (journal_root / "config.json").stat().st_mode & 0o777 == 0o600


def test_two_journals_have_two_addresses(journal_root: Path) -> None:
    """Port and path are random."""
    with receiving(journal_root / "a") as one, receiving(journal_root / "b") as other:
        assert one.port != other.port
        assert one.path("traces") != other.path("traces")


def test_a_restart_takes_the_same_address(journal_root: Path) -> None:
    """At once, though a connection of before is left half closed."""
    with receiving(journal_root) as found:
        url = found.url
        assert found.post("traces", {}).status == 200
    with receiving(journal_root) as found:
        assert found.url == url
        assert found.post("traces", {}).status == 200


def test_a_port_that_somebody_has_is_waited_for(journal_root: Path) -> None:
    """Status says so, the address stays, and it is taken when it is free."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        url = OURS.format(port=other.getsockname()[1])
        found = Receiving(create(str(journal_root), {RECEIVER: url}))
        found.receiver.start()
        wait_until(lambda: found.status["last_error"], "it cannot listen")
        assert found.status["state"] == "waiting"
        assert "in use" in found.status["last_error"]["message"]
    wait_until(lambda: found.status["state"] == "listening", "it listens")
    assert found.url == url
    assert found.post("traces", {}).status == 200
    found.receiver.stop(10)


def test_an_address_that_was_lost_is_put_back(journal_root: Path) -> None:
    """Somebody wrote a config.json that he had read before: sessions know the address, so it is the same."""
    with receiving(journal_root) as found:
        url = found.url
        found.journal.write_config({"GT_LOG_BD_OUTPUT": "true"})
        reread(found)
        wait_until(lambda: RECEIVER in config(found), "it is back")
        assert config(found) == {"GT_LOG_BD_OUTPUT": "true", RECEIVER: url}
        assert found.post("traces", {}).status == 200


def test_the_operator_may_choose_another_address(journal_root: Path) -> None:
    """Then that is taken, and the old one is free."""
    with receiving(journal_root) as found:
        before = found.port
        with socket.create_server(("127.0.0.1", 0)) as free:
            chosen = OURS.format(port=free.getsockname()[1])
        change(found.journal, lambda _: {RECEIVER: chosen})
        reread(found)
        wait_until(lambda: found.status["endpoint"].endswith(str(found.port)), "it has moved")
        assert found.port != before
        assert found.post("traces", {}).status == 200
        with socket.create_server(("127.0.0.1", before)):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "http://0.0.0.0:4318/" + "t" * 22,
        "http://example.org:4318/" + "t" * 22,
        "https://127.0.0.1:4318/" + "t" * 22,
        "http://127.0.0.1:4318",
        "http://127.0.0.1:4318/short",
        "http://127.0.0.1:0/" + "t" * 22,
        "http://127.0.0.1:99999/" + "t" * 22,
        "http://127.0.0.1:4318/" + "t" * 22 + "/v1/traces",
        "nonsense",
    ],
)
def test_an_address_that_is_not_ours_is_left_alone(journal_root: Path, url: str) -> None:
    """It is the operator's: nothing listens, nothing is changed, status says why."""
    found = Receiving(create(str(journal_root), {RECEIVER: url}))
    found.receiver.start()
    wait_until(lambda: found.status["last_error"], "it says why")
    assert found.status["state"] == "off"
    assert RECEIVER in found.status["last_error"]["message"]
    assert config(found) == {RECEIVER: url}
    change(found.journal, lambda _: {RECEIVER: ""})
    reread(found)
    wait_until(lambda: found.status["state"] == "listening", "it listens where there is none")
    found.receiver.stop(10)


def test_a_broken_config_is_not_replaced(journal_root: Path) -> None:
    """The operator is writing it, or has made a mistake that is his to repair."""
    create(str(journal_root))
    (journal_root / "config.json").write_text('{"GT_OTEL_LOGS_URL": ')
    found = Receiving(create(str(journal_root)))
    found.receiver.start()
    wait_until(lambda: found.status["last_error"], "it says why")
    assert found.status["state"] == "waiting"
    assert (journal_root / "config.json").read_text() == '{"GT_OTEL_LOGS_URL": '
    (journal_root / "config.json").write_text("{}")
    wait_until(lambda: found.status["state"] == "listening", "it listens")
    found.receiver.stop(10)


def test_changes_at_once_do_not_undo_each_other(journal_root: Path) -> None:
    """Twenty writers, each with a setting of its own: all are there in the end."""
    journal = create(str(journal_root))
    threads = [
        threading.Thread(target=change, args=(journal, lambda _, name=f"S{number}": {name: "x"}))
        for number in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads(Path(journal.config_path).read_text())) == {f"S{number}" for number in range(20)}
