"""The composed stack is valid, contained, and made of settings and options that its parts take."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.daemons import Valkey
from mpi.settings import Settings, read_settings

Service = dict[str, Any]


@pytest.fixture
def composed(checkout: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((checkout / "docker-compose.yml").read_text("utf-8"))
    return document


@pytest.fixture
def services(composed: dict[str, Any]) -> dict[str, Service]:
    found: dict[str, Service] = composed["services"]
    return found


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _passes(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _filled(text: str) -> str:
    """A value as compose reads it where the operator has set nothing."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_files_that_others_read_fit_their_schemas(checkout: Path) -> None:
    check = _tool("check-jsonschema")
    _passes(check, "--builtin-schema", "vendor.compose-spec", f"{checkout}/docker-compose.yml")
    workflows = map(str, (checkout / ".github/workflows").glob("*.yml"))
    _passes(check, "--builtin-schema", "vendor.github-workflows", *workflows)


def test_the_dockerfile_and_every_shell_script_are_without_reproach(checkout: Path) -> None:
    _passes(_tool("hadolint"), f"{checkout}/Dockerfile")
    scripts = [
        *checkout.glob("scripts/*.sh"),
        *checkout.glob("deploy/**/*.sh"),
        checkout / ".ci/run",
    ]
    _passes(_tool("shellcheck"), *map(str, scripts))


@pytest.mark.parametrize(
    "name", ["mpi", "first-key", "secrets", "mongodb", "redis", "prometheus", "grafana"]
)
def test_a_part_of_the_stack_is_contained(services: dict[str, Service], name: str) -> None:
    service = services[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "cpus", "pids_limit"} <= set(service)
    assert re.fullmatch(r"\d+:\d+", service["user"])
    assert "privileged" not in service
    if name != "secrets":  # which gives every other part the files that only it may read
        assert not service["user"].startswith("0:")
        assert "cap_add" not in service


def test_every_part_is_looked_at(services: dict[str, Service]) -> None:
    assert set(services) == {
        "mpi", "first-key", "secrets", "mongodb", "redis", "prometheus", "grafana",
    }  # fmt: skip


def test_only_this_machine_is_served_unless_the_operator_says_otherwise(
    services: dict[str, Service],
) -> None:
    published = [
        _filled(port) for service in services.values() for port in service.get("ports", [])
    ]
    assert len(published) == 3
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []


def test_only_the_service_reaches_the_stores(
    services: dict[str, Service], composed: dict[str, Any]
) -> None:
    assert composed["networks"]["stores"] == {"internal": True}
    within = {name for name, service in services.items() if "stores" in service.get("networks", [])}
    assert within == {"mpi", "first-key", "mongodb", "redis"}
    assert services["secrets"]["network_mode"] == "none"


def test_the_service_is_given_settings_that_it_takes(services: dict[str, Service]) -> None:
    given = {name: _filled(str(value)) for name, value in services["mpi"]["environment"].items()}
    folder = given.pop("MPI_SECRETS_DIR")
    assert f"service-secrets:{folder}:ro" in services["mpi"]["volumes"]
    assert set(given) <= {str(field.validation_alias) for field in Settings.model_fields.values()}
    settings = read_settings(given)
    assert settings.workers == 2
    assert settings.redis_host in services
    grace = int(services["mpi"]["stop_grace_period"].removesuffix("s"))
    assert grace >= settings.shutdown_timeout + 15


def test_every_file_that_is_mounted_is_in_the_repository(
    checkout: Path, services: dict[str, Service]
) -> None:
    mounted = [
        volume.split(":")[0]
        for service in services.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    ]
    assert mounted
    assert [path for path in mounted if not (checkout / path).exists()] == []


def test_a_real_server_takes_the_options_of_the_cache(
    services: dict[str, Service], tmp_path: Path
) -> None:
    program, *options = services["redis"]["command"]
    assert program == "valkey-server"
    server = Valkey(tmp_path / "valkey", *options)
    server.start()
    server.stop()


def _prepare(checkout: Path, folder: Path, **settings: str) -> None:
    for name in ("service", "database"):
        (folder / name).mkdir(exist_ok=True)
    own = {"SERVICE_USER": str(os.getuid()), "DATABASE_USER": str(os.getuid())}
    _passes(
        "env", "-i", f"PATH={os.environ['PATH']}", *(f"{k}={v}" for k, v in (own | settings).items()),
        "sh", str(checkout / "deploy/compose/prepare.sh"), str(folder),
    )  # fmt: skip
    for name in ("service", "database"):
        (folder / name).chmod(0o700)  # the script's own user may enter always


def _read(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in folder.iterdir()}


def test_secrets_are_made_once_and_only_their_reader_can_open_them(
    checkout: Path, tmp_path: Path
) -> None:
    _prepare(checkout, tmp_path)
    service, database = _read(tmp_path / "service"), _read(tmp_path / "database")
    assert set(service) == {"MPI_HMAC_KEY", "MONGODB_URI", "MPI_PROVIDER"}
    assert len(service["MPI_HMAC_KEY"]) == 64
    assert database["service_password"] in service["MONGODB_URI"]
    assert database["root_password"] not in service["MONGODB_URI"]
    assert len({service["MPI_HMAC_KEY"], *database.values()}) == 4
    for file in (*(tmp_path / "service").iterdir(), *(tmp_path / "database").iterdir()):
        assert file.stat().st_mode & 0o777 == 0o400
    _prepare(checkout, tmp_path)
    assert (_read(tmp_path / "service"), _read(tmp_path / "database")) == (service, database)


@pytest.mark.parametrize(
    ("given", "provider"),
    [
        ({}, "internal"),
        ({"VERATO_API_KEY": "made-up"}, "verato"),
        ({"VERATO_API_KEY": "made-up", "MPI_PROVIDER": "hybrid"}, "hybrid"),
    ],
)
def test_the_provider_is_internal_unless_verato_is_configured(
    checkout: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    provider: str,
) -> None:
    _prepare(checkout, tmp_path, VERATO_API_KEY="before")
    _prepare(checkout, tmp_path, **given)
    monkeypatch.setenv("MPI_SECRETS_DIR", str(tmp_path / "service"))
    settings = read_settings()
    assert settings.provider == provider
    found = settings.verato_api_key
    assert (found.get_secret_value() if found else None) == given.get("VERATO_API_KEY")
    assert settings.mongodb_uri.get_secret_value().startswith("mongodb://mpi:")
