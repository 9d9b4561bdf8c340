"""The Aspire dashboard, an OTLP receiver nobody here wrote, and what it gives back of what it took.

Spans and log records it gives back by its telemetry API. That has no metrics (microsoft/aspire issue 16266):
those come out of the dashboard's own export, a button of its pages.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.api.sink import VARIABLES
from tests.processes import wait_until

from .rotel import free_port

needs_aspire = pytest.mark.skipif(
    shutil.which("aspire") is None,
    reason="aspire is not on PATH (npm install @microsoft/aspire-cli-linux-x64)",
)
#: The browser that presses its button for an export.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
#: It sends nothing to its makers, and needs no ICU library.
SETTINGS = {
    "ASPIRE_CLI_TELEMETRY_OPTOUT": "true",
    "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "true",
    "DOTNET_SYSTEM_GLOBALIZATION_PREDEFINED_CULTURES_ONLY": "false",
}


class Aspire:
    """A running dashboard: `otlp` takes OTLP/HTTP, `url` is where it is read."""

    def __init__(self) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.otlp = f"http://127.0.0.1:{free_port()}"

    def env(self) -> dict[str, str]:
        """Return the variables that send all three signals here."""
        return {variable: f"{self.otlp}/v1/{signal}" for signal, variable in VARIABLES.items()}

    def post(self, kind: str, line: bytes) -> int:
        """Send one line of OTLP JSON to /v1/`kind` and return the answer's status."""
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.otlp}/v1/{kind}", line, headers)  # noqa: S310 # loopback
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 # loopback
            return int(answer.status)

    def read(self, what: str) -> Any:
        """Return all `traces`, `spans` or `logs` as OTLP JSON."""
        return self._get(f"{what}?limit=10000")["data"]

    def resources(self) -> Any:
        """Return who has sent something, and which signals."""
        return self._get("resources")

    def _get(self, what: str) -> Any:
        with urllib.request.urlopen(f"{self.url}/api/telemetry/{what}", timeout=30) as answer:  # noqa: S310 # loopback
            return json.load(answer)

    def export(self, chromium: str) -> list[Any]:
        """Return what the dashboard exports of all that it holds: OTLP JSON, a file a signal and resource.

        The clicks are events of the document, because a page without a network lacks the styles that show it.
        """
        with sync_playwright() as playwright:
            quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            browser = playwright.chromium.launch(executable_path=chromium, args=quiet)
            page = browser.new_page()
            page.goto(self.url)
            for button in ("Settings", "Manage"):
                page.locator(f"fluent-button[title='{button}']").dispatch_event("click")
            with page.expect_download() as download:
                page.locator("fluent-button[title='Export selected']").dispatch_event("click")
            with zipfile.ZipFile(download.value.path()) as archive:
                found = [json.loads(archive.read(name)) for name in archive.namelist()]
            browser.close()
        return found

    def answers(self) -> bool:
        """Return whether it can be read by now."""
        try:
            self.read("traces")
        except (OSError, urllib.error.URLError, ValueError):
            return False
        return True


@contextlib.contextmanager
def running_aspire(home: Path) -> Iterator[Aspire]:
    """Run a dashboard that unpacks itself (300 MB) into `home`; both are gone after the block."""
    dashboard = Aspire()
    command = ["aspire", "dashboard", "run", "--allow-anonymous", "--non-interactive"]
    command += ["--frontend-url", dashboard.url, "--otlp-http-url", dashboard.otlp]
    command += ["--otlp-grpc-url", f"http://127.0.0.1:{free_port()}"]
    environment = {**os.environ, "HOME": str(home), **SETTINGS}
    output = home / "aspire.out"
    with open(output, "wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment, start_new_session=True)
    try:
        wait_until(lambda: dashboard.answers() or process.poll() is not None, "the dashboard answers")
        assert process.poll() is None, output.read_text(errors="replace")
        yield dashboard
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)
        shutil.rmtree(home, ignore_errors=True)
