"""docker-compose.yml keeps its own rules: pinned, on loopback, watched, and nothing lost with a container."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from .kit import ROOT, compose, flags

FILE = compose()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
#: Images without any program that could ask; a side service asks for them.
ASKED_BY = {"collector": "collector-health", "agent": "", "gateway": "scale-health"}
#: Those that keep nothing.
STATELESS = {"collector-health", "scale-health", "gateway", "jaeger-scale"}
#: What a service may have, as the Compose specification calls it: a slip of the pen is no key.
KEYS = {
    *(
        "image",
        "command",
        "environment",
        "ports",
        "volumes",
        "healthcheck",
        "depends_on",
        "profiles",
        "restart",
    ),
    *("logging", "user", "cap_drop", "cap_add", "security_opt", "deploy", "ulimits"),
}
HEALTH_KEYS = {"test", "interval", "timeout", "retries", "start_period"}
EACH = pytest.mark.parametrize("name", SERVICES)


@EACH
def test_a_service_has_only_keys_that_there_are(name: str) -> None:
    """A service's keys, and those of its health check, are Compose's."""
    service = SERVICES[name]
    assert set(service) <= KEYS
    assert set(service.get("healthcheck", {})) <= HEALTH_KEYS
    assert all(isinstance(value, str) for value in service.get("environment", {}).values())


@EACH
def test_an_image_is_pinned(name: str) -> None:
    """The tag is a whole version: no `latest`, no variable, no major version alone."""
    image = SERVICES[name]["image"]
    assert re.fullmatch(r"[a-z0-9./-]+:v?\d+\.\d+\.\d+", image), image


@EACH
def test_a_port_is_bound_to_this_machine(name: str) -> None:
    """A published port names 127.0.0.1, its own number and the container's."""
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port), port


def test_no_two_services_publish_one_port() -> None:
    """All profiles can run at once."""
    published = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) == len(set(published))


def test_the_ports_are_those_that_are_told() -> None:
    """The default addresses of the settings, and Grafana's, lead to the default services."""
    ports = {
        name: service.get("ports", []) for name, service in SERVICES.items() if "profiles" not in service
    }
    assert set(ports) == {"jaeger", "victoria-metrics", "victoria-logs", "grafana"}
    assert "127.0.0.1:4318:4318" in ports["jaeger"]
    assert "127.0.0.1:8428:8428" in ports["victoria-metrics"]
    assert "127.0.0.1:9428:9428" in ports["victoria-logs"]
    assert "127.0.0.1:9429:3000" in ports["grafana"]


@EACH
def test_a_service_is_watched(name: str) -> None:
    """A health check runs without a shell, or a side service asks in its place."""
    if name in ASKED_BY:
        assert "healthcheck" not in SERVICES[name]
        return
    test = SERVICES[name]["healthcheck"]["test"]
    assert test[0] == "CMD"


@pytest.mark.parametrize("name", [name for name, asked in ASKED_BY.items() if asked])
def test_a_side_service_asks(name: str) -> None:
    """The side service asks that service's own address, and runs where it runs."""
    asked = SERVICES[ASKED_BY[name]]
    assert f"http://{name}:" in asked["healthcheck"]["test"][-1]
    assert asked["profiles"] == SERVICES[name]["profiles"]


@EACH
def test_what_is_kept_is_on_a_named_volume(name: str) -> None:
    """A volume of a service is named at the end of the file; a file of ours is read-only."""
    volumes = SERVICES[name].get("volumes", [])
    named = [volume.split(":")[0] for volume in volumes if volume[0] not in "./$"]
    assert set(named) <= set(FILE["volumes"])
    assert bool(named) is (name not in STATELESS)
    assert all(volume.endswith(":ro") for volume in volumes if volume[0] in "./$")


def test_every_volume_is_used() -> None:
    """No volume is left over, and no two services share one."""
    used = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert sorted(set(FILE["volumes"])) == sorted(name for name in used if name[0] not in "./$")


@EACH
def test_the_files_that_are_mounted_are_there(name: str) -> None:
    """A path of the repository that a container gets exists."""
    for volume in SERVICES[name].get("volumes", ()):
        if volume.startswith("./"):
            assert (ROOT / volume.split(":")[0]).exists(), volume


@EACH
def test_a_service_depends_on_what_runs_with_it(name: str) -> None:
    """What a service waits for is there in each of its profiles, and healthy where that can be told."""
    service = SERVICES[name]
    needed: Mapping[str, Any] | list[str] = service.get("depends_on", {})
    for other in needed:
        assert set(service.get("profiles", ())) <= set(
            SERVICES[other].get("profiles", service.get("profiles", ()))
        )
        if isinstance(needed, Mapping):
            assert needed[other] == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_the_profiles_are_those_that_are_told() -> None:
    """`tempo`, `collector` and `scale`, nothing else."""
    found = {profile for service in SERVICES.values() for profile in service.get("profiles", ())}
    assert found == {"tempo", "collector", "scale"}


def test_series_of_agents_stay_apart() -> None:
    """VictoriaMetrics has our names, and the four attributes of who did it."""
    chosen = flags("victoria-metrics")
    assert "-opentelemetry.usePrometheusNaming" in chosen
    assert "-opentelemetry.promoteResourceAttributes=gt.role,gt.rig,gt.actor,gt.agent" in chosen
