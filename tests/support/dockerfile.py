"""A Dockerfile read as data, and its steps carried out without Docker.

A step runs in a folder that stands for the stage's file system: paths that the file names through ``ARG`` lie
below it, the working directory is a folder of its own, and only what ``.dockerignore`` lets in can be copied.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_ALLOWED_SURROUNDINGS = re.compile(
    r"PIP_\w+|https?_proxy|no_proxy|SSL_CERT_\w+|HOME", re.IGNORECASE
)
_MOUNT = re.compile(r"--mount=\S+\s+")


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction, such as ``RUN``, and what follows it."""

    instruction: str
    text: str


def stages(dockerfile: Path) -> dict[str, list[Step]]:
    """The steps of each stage, by the stage's name."""
    text = re.sub(r"^\s*#.*\n", "", dockerfile.read_text("utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    found: dict[str, list[Step]] = {}
    current: list[Step] = []
    for line in filter(None, map(str.strip, lines)):
        instruction, _, rest = line.partition(" ")
        if instruction == "FROM":
            current = found.setdefault(rest.split(" AS ")[1], [])
        else:
            current.append(Step(instruction, rest.strip()))
    return found


def build(checkout: Path, steps: list[Step], root: Path, arguments: dict[str, str]) -> None:
    """Carry out ``steps`` below ``root``; ``arguments`` stand for those of ``--build-arg``."""
    work = root / "work"
    work.mkdir(parents=True)
    variables = surroundings() | arguments
    for step in steps:
        match step.instruction:
            case "RUN":
                _run(_MOUNT.sub("", step.text), work, variables)
            case "COPY":
                *sources, target = step.text.split()
                for source in sources:
                    _copy(checkout, source, work / target)
            case "WORKDIR" | "ARG":
                pass  # a folder of our own, and values of our own
            case _:
                raise NotImplementedError(step.instruction)


def surroundings() -> dict[str, str]:
    """An environment of nothing but how packages are found, with this Python as the base image's."""
    kept = {
        name: value for name, value in os.environ.items() if _ALLOWED_SURROUNDINGS.fullmatch(name)
    }
    return kept | {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}


def _run(command: str, work: Path, variables: dict[str, str]) -> None:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=work,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def _copy(checkout: Path, source: str, target: Path) -> None:
    ignored = (checkout / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    assert f"!{source}" in ignored, f".dockerignore keeps {source} out"
    if (checkout / source).is_dir():
        patterns = [line.removeprefix("**/") for line in ignored if line.startswith("**/")]
        shutil.copytree(checkout / source, target, ignore=shutil.ignore_patterns(*patterns))
    else:
        shutil.copy(checkout / source, target)
