"""The image, without Docker: the Dockerfile's own steps, and the service in what they made."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.dockerfile import Step, build, stages
from tests.support.service import command, environment, free_port
from tests.support.workers import handles

NOBODY = 10001
# What Debian's smallest image and Python's own slim one bring.
IN_THE_BASE = re.compile(
    r"linux-vdso|ld-linux|lib(?:c|m|dl|rt|util|pthread|gcc_s|stdc\+\+|z|ssl|crypto|ffi|sqlite3)\.so|libpython3"
)


@pytest.fixture
def image(checkout: Path) -> Iterator[Path]:
    """A folder that holds what the runtime stage copies from the builder; nobody may write into it."""
    # Not below pytest's own folder, which only its user may enter.
    root = Path(tempfile.mkdtemp(prefix="mpi-image-"))
    try:
        venv = root / "venv"
        build(checkout, stages(checkout / "Dockerfile")["builder"], root, {"VENV": str(venv)})
        # What was built must not need what it was built from.
        shutil.rmtree(root / "work")
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                path.chmod(path.stat().st_mode & ~0o222 | 0o444 | (0o111 if path.is_dir() else 0))
        yield root
    finally:
        subprocess.run(["chmod", "-R", "u+w", str(root)], check=True)
        shutil.rmtree(root)


@pytest.fixture
def runtime(checkout: Path) -> list[Step]:
    """The steps of the stage that is shipped."""
    return stages(checkout / "Dockerfile")["runtime"]


def test_the_dockerfile_builds_a_service_that_serves_as_nobody_and_nothing_else(
    image: Path, runtime: list[Step], checkout: Path, tmp_path: Path
) -> None:
    """One test, because building takes longer than everything that is looked at in what was built."""
    _assert_nothing_builds_or_tests(image, checkout)
    _assert_tested_versions(image, checkout)
    _assert_libraries_of_the_base(image)
    _assert_serves_as_nobody(image, runtime, tmp_path / "log")


def _inside(image: Path, *command: str) -> str:
    return subprocess.run(
        [str(image / "venv/bin/python"), "-I", *command],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _value(steps: list[Step], instruction: str) -> str:
    return next(step.text for step in steps if step.instruction == instruction)


def _assert_nothing_builds_or_tests(image: Path, checkout: Path) -> None:
    listing = "import importlib.metadata as m, json; print(json.dumps([d.name for d in m.distributions()]))"
    installed = {canonicalize_name(name) for name in json.loads(_inside(image, "-c", listing))}
    project = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]
    needed = {canonicalize_name(Requirement(line).name) for line in project["dependencies"]}
    assert needed <= installed
    extra = project["optional-dependencies"]["dev"]
    kept_out = {canonicalize_name(Requirement(line).name) for line in extra} - {"packaging"}
    # PyYAML comes with uvicorn, which reads log configurations in that form.
    assert installed & (kept_out | {"pip", "setuptools", "wheel", "hatchling"}) <= {"pyyaml"}
    assert not list(image.rglob("mongod"))


def _assert_tested_versions(image: Path, checkout: Path) -> None:
    listing = (
        "import importlib.metadata as m, json;"
        "print(json.dumps([f'{d.name}=={d.version}' for d in m.distributions() if d.name != 'mpi-service']))"
    )
    pins = {}
    for line in (checkout / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            pins[canonicalize_name(requirement.name)] = str(requirement.specifier)
    for line in json.loads(_inside(image, "-c", listing)):
        requirement = Requirement(line)
        assert str(requirement.specifier) == pins[canonicalize_name(requirement.name)], line


def _assert_serves_as_nobody(image: Path, runtime: list[Step], log: Path) -> None:
    port, data = free_port(), Path(tempfile.mkdtemp(prefix="mpi-data-"))
    if os.geteuid() == 0:
        os.chown(data, NOBODY, NOBODY)
    given = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', _value(runtime, "ENV")))
    variables = given | {
        "PATH": f"{image}/venv/bin:/usr/bin:/bin",
        "HOME": str(data),
        "XDG_DATA_HOME": str(data),
        "MPI_PORT": str(port),
    }
    entry, arguments = (json.loads(_value(runtime, name)) for name in ("ENTRYPOINT", "CMD"))
    check = json.loads(_value(runtime, "HEALTHCHECK").partition("CMD ")[2])
    with log.open("wb") as output:
        service = subprocess.Popen(
            [*_as_nobody(), str(image / "venv/bin" / entry[0]), *arguments, "--embedded"],
            env=variables,
            cwd=data,
            stderr=output,
        )
    try:
        assert _healthy_within(30, check, variables), log.read_text()
        assert httpx2.get(f"http://127.0.0.1:{port}/health/ready").json()["status"] == "ok"
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
        assert not _healthy_within(0, check, variables), "healthy, though nobody serves"
    finally:
        service.kill()
        service.wait()
        shutil.rmtree(data)


def _as_nobody() -> list[str]:
    """What starts a command as the image's user; whoever is no root already is somebody harmless.

    It may read what root may read, because this machine's Python can lie where only root gets, but write nothing.
    """
    if os.geteuid() != 0:
        return []
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *reading]


def _healthy_within(seconds: float, check: list[str], environment: dict[str, str]) -> bool:
    deadline = time.monotonic() + seconds
    program = shutil.which(check[0], path=environment["PATH"]) or ""
    while True:
        done = subprocess.run(
            [program, *check[1:]], env=environment, capture_output=True, check=False
        )
        if done.returncode == 0 or time.monotonic() > deadline:
            return done.returncode == 0


def _assert_libraries_of_the_base(image: Path) -> None:
    needed = set()
    for library in (image / "venv").rglob("*.so*"):
        listed = subprocess.run(["ldd", str(library)], capture_output=True, text=True, check=True)
        needed |= {
            line.split()[0].rpartition("/")[2]
            for line in listed.stdout.splitlines()
            if str(image) not in line and "statically" not in line
        }
    assert needed, "nothing was looked at"
    assert {name for name in needed if not IN_THE_BASE.match(name)} == set()


def test_the_image_runs_as_a_number_that_is_not_root(runtime: list[Step]) -> None:
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", _value(runtime, "USER"))
    assert f"{NOBODY}:{NOBODY}" == _value(runtime, "USER")


def test_process_1_heeds_sigterm_while_it_is_starting(tmp_path: Path) -> None:
    """The kernel drops a signal to process 1 of a container unless the process handles it."""
    port = free_port()
    service = subprocess.Popen(
        command("serve", "--embedded", "--demo", "--port", str(port)),
        env=environment(tmp_path),
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        while not handles(service.pid, signal.SIGTERM):
            assert service.poll() is None
            time.sleep(0.01)
        with socket.socket() as client:
            assert client.connect_ex(("127.0.0.1", port)) != 0, "it serves already"
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
    finally:
        service.kill()
        service.wait()
