"""The files for containers: valid by their schemas, and in agreement with the bridge."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from bridge.app.tested_versions import KAFKA, MONGODB, with_note
from bridge.app.wait_reporter import CLOSING_SECONDS
from bridge.settings import Settings, load

CONFIG = Path(__file__).parents[2] / "config"
DOCKER, KUBERNETES = CONFIG / "docker", CONFIG / "k8s"
DOCKERFILE = (DOCKER / "Dockerfile").read_text()
LABELS = {"app.kubernetes.io/name": "job-bridge"}
#: The oldest and the newest version whose schema is tried.
VERSIONS = ("1.32.0", "1.37.0")


def document(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    return content


COMPOSE = document(DOCKER / "compose.yml")
MANIFESTS = {
    path.stem: document(path)
    for path in sorted(KUBERNETES.glob("*.yaml"))
    if path.name != "kustomization.yaml"
}
POD = MANIFESTS["deployment"]["spec"]["template"]["spec"]
CONTAINER = POD["containers"][0]


def settings_of(variables: Mapping[str, str]) -> Settings:
    """Fails for a variable that is not a setting."""
    return load(None, {}, variables)


def shutdown_seconds() -> float:
    return load(None, {}, {}).delivery.drain_seconds + CLOSING_SECONDS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", sorted(MANIFESTS.keys() - {"servicemonitor"}))
def test_manifests_fit_the_schemas(name: str, version: str) -> None:
    """The ServiceMonitor belongs to the Prometheus operator, whose schema is not at hand."""
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


def test_the_kustomization_contains_every_manifest() -> None:
    listed = document(KUBERNETES / "kustomization.yaml")["resources"]

    assert sorted(listed) == [f"{name}.yaml" for name in MANIFESTS]


def test_every_selector_selects_the_bridge() -> None:
    specs = {name: manifest.get("spec", {}) for name, manifest in MANIFESTS.items()}
    selectors = [
        specs["deployment"]["selector"]["matchLabels"],
        specs["networkpolicy"]["podSelector"]["matchLabels"],
        specs["poddisruptionbudget"]["selector"]["matchLabels"],
        specs["servicemonitor"]["selector"]["matchLabels"],
        specs["service"]["selector"],
    ]

    assert selectors == [LABELS] * len(selectors)
    assert specs["deployment"]["template"]["metadata"]["labels"] == LABELS
    assert MANIFESTS["service"]["metadata"]["labels"] == LABELS


def test_the_pods_have_valid_settings() -> None:
    variables = {**MANIFESTS["configmap"]["data"], **MANIFESTS["secret"]["stringData"]}
    named = [kind["name"] for source in CONTAINER["envFrom"] for kind in source.values()]

    assert settings_of(variables).checkpoint.store in ("mongo", "kafka"), "a standby needs it"
    assert named == [MANIFESTS[name]["metadata"]["name"] for name in ("configmap", "secret")]


def test_an_update_has_a_standby_that_is_ready() -> None:
    spec = MANIFESTS["deployment"]["spec"]

    assert CONTAINER["readinessProbe"]["httpGet"]["path"] == "/readyz?standby=ok"
    assert CONTAINER["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["replicas"] > MANIFESTS["poddisruptionbudget"]["spec"]["maxUnavailable"]


def test_a_stop_has_the_time_it_needs() -> None:
    compose = COMPOSE["services"]["bridge"]["stop_grace_period"]

    assert POD["terminationGracePeriodSeconds"] >= shutdown_seconds()
    assert int(compose.removesuffix("s")) >= shutdown_seconds()


def test_the_container_has_no_privileges() -> None:
    (user,) = re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.M)

    assert POD["securityContext"]["runAsUser"] == int(user) != 0
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_base_image_is_pinned() -> None:
    (base,) = re.findall(r"^ARG BASE=(.+)$", DOCKERFILE, re.M)

    assert re.fullmatch(r"python:3\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)) == {"${BASE}"}


def test_the_image_copies_what_exists() -> None:
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M)
    sources = {name for line in copied for name in line.split()}
    kept = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()

    assert [name for name in sources if not (CONFIG.parent / name).exists()] == []
    assert sources == {line[1:] for line in kept if line.startswith("!")}


def test_the_composition_fits_its_schema() -> None:
    program = [sys.executable, "-m", "check_jsonschema"]
    schema = ["--builtin-schema", "vendor.compose-spec", str(DOCKER / "compose.yml")]
    done = subprocess.run([*program, *schema], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_composition_names_settings_and_files() -> None:
    settings_of(COMPOSE["services"]["bridge"]["environment"])
    mounted = [
        volume.partition(":")[0]
        for service in COMPOSE["services"].values()
        for volume in service.get("volumes", [])
    ]

    assert [path for path in mounted if not (DOCKER / path).exists()] == []
    assert (DOCKER / COMPOSE["services"]["bridge"]["build"]["context"]).resolve() == CONFIG.parent


@pytest.mark.parametrize(("service", "tested"), [("mongodb", MONGODB), ("kafka", KAFKA)])
def test_the_composition_runs_tested_servers(service: str, tested: tuple[str, ...]) -> None:
    version = COMPOSE["services"][service]["image"].partition(":")[2]

    assert "not tested" not in with_note(version, tested)
