"""Promises that the checkout itself keeps, whatever the code does."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

# A module is to be readable in one sitting.
LONGEST_MODULE = 400

# Places on one person's machine; "/tmp/" is left to tests, which may name it in an example.
PRIVATE_PLACE = re.compile(r"/(?:root|home|Users|work)/[\w.]")
# Whoever clones this has a registry of their own: none may be named in what installs it.
HOST = re.compile(r"://|\b(?:[\w-]+\.)+(?:org|com|net|io|dev)\b|--(?:extra-)?index|--find-links")
# Work left undone belongs in the tracker. Spelled apart, so that this file does not find itself.
NOTE_TO_SELF = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X)\b")

TARGETS = {
    "help", "install", "run", "test", "pytest", "proof", "lint", "format", "bench", "profile", "memprofile",
    "constraints", "generate", "clean",
}  # fmt: skip


def _tracked(checkout: Path, *patterns: str) -> list[Path]:
    if not (checkout / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *patterns], cwd=checkout, capture_output=True, check=True
    )
    names = listed.stdout.decode().split("\0")[:-1]
    # A file that is deleted but not yet committed is still listed.
    return [path for path in map(checkout.joinpath, names) if path.is_file()]


def _lines_with(pattern: re.Pattern[str], files: list[Path], checkout: Path) -> list[str]:
    return [
        f"{file.relative_to(checkout)}:{number}: {match[0]}"
        for file in files
        for number, line in enumerate(_text(file).splitlines(), start=1)
        if (match := pattern.search(line))
    ]


def _text(file: Path) -> str:
    # Binary assets hold no prose.
    content = file.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8")


def _project(checkout: Path) -> dict[str, Any]:
    document = tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))
    project: dict[str, Any] = document["project"]
    return project


def _names(lines: list[str]) -> set[str]:
    """The requirements of *lines* without versions, comments and options; extras are kept."""
    wanted = [line for line in lines if line and not line.startswith(("#", "-"))]
    return {str(_unpinned(Requirement(line))) for line in wanted}


def _unpinned(requirement: Requirement) -> Requirement:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return Requirement(requirement.name + extras)


@pytest.mark.parametrize(
    "name",
    [
        "constraints.txt",
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-bench.txt",
        "Makefile",
        "Dockerfile",
        "docker-compose.yml",
    ],
)
def test_what_installs_the_service_names_no_registry(checkout: Path, name: str) -> None:
    text = (checkout / name).read_text("utf-8").replace("http://127.0.0.1", "")
    assert HOST.findall(text) == []


def test_every_constraint_is_one_exact_version(checkout: Path) -> None:
    for line in (checkout / "constraints.txt").read_text("utf-8").splitlines():
        if not line.startswith("#"):
            specifiers = list(Requirement(line).specifier)
            assert [specifier.operator for specifier in specifiers] == ["=="], line


def test_every_direct_dependency_is_pinned(checkout: Path) -> None:
    project = _project(checkout)
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    pinned = {
        Requirement(line).name
        for line in (checkout / "constraints.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    }
    assert {Requirement(line).name for line in wanted} - pinned == set()


@pytest.mark.parametrize("extra", ["", "dev"])
def test_requirements_files_agree_with_pyproject(checkout: Path, extra: str) -> None:
    project = _project(checkout)
    wanted = project["optional-dependencies"][extra] if extra else project["dependencies"]
    file = checkout / (f"requirements-{extra}.txt" if extra else "requirements.txt")
    assert _names(file.read_text("utf-8").splitlines()) == _names(wanted)


def test_the_versions_of_python_agree(checkout: Path) -> None:
    workflow = (checkout / ".github/workflows/ci.yml").read_text("utf-8")
    for classifier in _project(checkout)["classifiers"]:
        if version := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier):
            assert f'"{version[1]}"' in workflow


def test_make_without_a_target_lists_every_target(checkout: Path) -> None:
    listed = subprocess.run(["make"], cwd=checkout, capture_output=True, check=True, text=True)
    assert set(re.findall(r"^  make ([a-z-]+) +\S", listed.stdout, re.MULTILINE)) == TARGETS


def test_modules_are_readable_in_one_sitting(checkout: Path) -> None:
    lengths = {
        str(file.relative_to(checkout)): len(_text(file).splitlines())
        for file in _tracked(checkout, "src/*.py", "bench/*.py", "scripts/*.py")
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_no_file_names_a_place_on_somebodys_machine(checkout: Path) -> None:
    files = _tracked(checkout)
    assert _lines_with(PRIVATE_PLACE, files, checkout) == []
    outside_tests = [file for file in files if "tests" not in file.parts]
    assert _lines_with(re.compile(r"/tmp/\w"), outside_tests, checkout) == []


def test_no_work_is_left_undone_in_the_code(checkout: Path) -> None:
    files = _tracked(checkout, "*.py", "*.sh", "*.toml", "*.yml", "Makefile", ".ci/run")
    assert _lines_with(NOTE_TO_SELF, files, checkout) == []


def test_no_module_is_named_for_leftovers(checkout: Path) -> None:
    leftovers = {"utils", "util", "helpers", "helper", "common", "misc"}
    named = {file.stem for file in _tracked(checkout, "*.py")}
    assert named & leftovers == set()


def test_no_database_or_key_is_tracked(checkout: Path) -> None:
    kept_out = {".db", ".sqlite", ".sqlite3", ".pem", ".key", ".env"}
    assert [file for file in _tracked(checkout) if file.suffix in kept_out] == []
