"""The image without a container engine: install commands in a clean folder, user, health check, and the manifests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from settings import PREFIX, Settings
from tests.deploy.test_build_context import is_sent
from tests.tracked import tracked_files

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text("utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
DEPLOYMENT, SERVICE, *_ = yaml.safe_load_all((DEPLOY / "kubernetes" / "runtime.yaml").read_text("utf-8"))
POD = DEPLOYMENT["spec"]["template"]["spec"]
KNOWN = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}


@pytest.mark.timeout(300)
def test_the_install_commands_make_a_command_that_starts(tmp_path: Path) -> None:
    app = tmp_path / "app"
    for name in filter(is_sent, tracked_files()):
        (app / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, app / name)
    commands = re.findall(r"^RUN (uv .+)$", DOCKERFILE, re.MULTILINE)
    assert len(commands) == 2
    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    environment |= {"UV_PROJECT_ENVIRONMENT": str(app / ".venv")}
    for command in commands:
        done = subprocess.run(
            command.split(), cwd=app, env=environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stderr
    exec_form = json.loads(re.findall(r"^CMD (\[.+\])$", DOCKERFILE, re.MULTILINE)[-1])
    program = app / ".venv" / "bin" / exec_form[0]
    told = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    assert (told.returncode, told.stdout.strip()) == (0, Settings.load().version), told.stderr
    refused = subprocess.run(
        [program, *exec_form[1:]],
        cwd=tmp_path,
        env={**environment, "AGENT_RUNTIME__HOST": "0.0.0.0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert "INTERNAL_API_KEY" in refused.stderr


def test_the_image_has_a_numeric_user_a_volume_and_a_health_check_that_exists() -> None:
    final = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER \d+:\d+$", final, re.MULTILINE)
    assert re.search(r"^VOLUME /app/data$", final, re.MULTILINE)
    check = re.search(r"^HEALTHCHECK .*?CMD (\[.+?\])$", final, re.MULTILINE | re.DOTALL)
    assert check is not None
    assert json.loads(check[1])[0] == "curl"
    assert "install -y --no-install-recommends curl" in final


def environment_names(value: Any) -> set[str]:
    return {name for name in value if name.startswith(PREFIX)}


def test_compose_and_kubernetes_name_settings_that_there_are() -> None:
    runtime = COMPOSE["services"]["runtime-a"]
    assert environment_names(runtime["environment"]) <= KNOWN
    [container] = POD["containers"]
    assert environment_names(entry["name"] for entry in container["env"]) <= KNOWN


def test_nothing_runs_as_root_or_writes_outside_its_volumes() -> None:
    [container] = POD["containers"]
    assert POD["securityContext"]["runAsUser"] == 10001
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp", "/app/data"}  # noqa: S108 mounts
    for name in ("runtime-a", "runtime-b"):
        assert COMPOSE["services"][name]["read_only"]


def test_probes_and_grace_fit_the_drain() -> None:
    from server import DRAIN_S

    [container] = POD["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert POD["terminationGracePeriodSeconds"] > pause + DRAIN_S + 10
    assert container["livenessProbe"]["httpGet"]["path"] == "/health"
    assert container["readinessProbe"]["httpGet"]["path"] == "/ready"
    port = SERVICE["spec"]["ports"][0]["targetPort"]
    assert port in {entry["name"] for entry in container["ports"]}


def test_every_mounted_file_of_compose_is_there() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DEPLOY / source).exists(), source
