"""Set-up either works or says in one sentence what is missing and what installs it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# Answers like a Python of that pace, whose build or distribution left one module out.
PYTHON = """#!/bin/sh
case "$2" in
    *"{missing}"*) exit 1 ;;
    *timeit*) echo {pace} "$3" ;;
    *print*version_info*) echo 3.11 ;;
esac
"""


@pytest.fixture
def bare(checkout: Path, tmp_path: Path) -> Path:
    """A checkout with nothing set up."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(checkout / "scripts/set_up.sh", tmp_path / "scripts")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(checkout / name, tmp_path)
    return tmp_path


def _set_up(folder: Path, python: str = "", path: str = "") -> subprocess.CompletedProcess[str]:
    chosen = {"PYTHON": python, "PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", "scripts/set_up.sh"],
        cwd=folder,
        env=os.environ | chosen,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def _python(file: Path, *, pace: int = 1, missing: str = "no module") -> str:
    text = PYTHON.replace("{missing}", missing).replace("{pace}", str(pace))
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return str(file)


def _python_without(module: str, folder: Path) -> str:
    return _python(folder / "incomplete-python", missing=module)


def _sentence(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_no_python_is_named_with_the_command_that_installs_one(bare: Path) -> None:
    sentence = _sentence(_set_up(bare, "no-such-python"))
    assert "Python 3.11 or newer" in sentence
    assert "apt-get install python3" in sentence


def test_a_missing_venv_module_is_named_with_its_package(bare: Path) -> None:
    sentence = _sentence(_set_up(bare, _python_without("venv", bare)))
    assert sentence.endswith("apt-get install python3.11-venv")


def test_a_python_built_without_sqlite_is_refused(bare: Path) -> None:
    assert "without sqlite3" in _sentence(_set_up(bare, _python_without("sqlite3", bare)))


@pytest.mark.parametrize(
    ("paces", "chosen"),
    [
        ({"python3": 30, "python3.13": 20}, "python3.13"),
        ({"python3": 21, "python3.13": 20}, "python3"),
        ({"python3.12": 20, "python3.11": 10}, "python3.11"),
    ],
)
def test_a_clearly_quicker_python_goes_before_the_first(
    bare: Path, paces: dict[str, int], chosen: str
) -> None:
    for name, pace in {"python3": 900_000, **paces}.items():
        _python(bare / name, pace=pace)
    done = _set_up(bare, path=str(bare))
    assert done.stdout.startswith("Creating .venv with")
    assert done.stdout.splitlines()[0].endswith(f"{bare}/{chosen}")


def _finished(folder: Path) -> Path:
    """Leave what a set-up leaves, with a Python that runs but could not install; its stamp."""
    binaries = folder / ".venv/bin"
    binaries.mkdir(parents=True)
    shutil.move(_python_without("import pip", folder), binaries / "python")
    stamp = folder / ".venv/.installed"
    stamp.write_text(f"{folder}\n", encoding="utf-8")
    return stamp


def test_an_environment_that_is_up_to_date_is_left_alone(bare: Path) -> None:
    _finished(bare)
    done = _set_up(bare, "no-such-python")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("change", ["moved", "pyproject.toml", "constraints.txt", "python gone"])
def test_an_environment_that_is_out_of_date_is_made_anew(bare: Path, change: str) -> None:
    """Each change alone starts an install, which then finds no Python to do it with."""
    stamp = _finished(bare)
    if change == "moved":
        stamp.write_text("/elsewhere\n", encoding="utf-8")
    elif change == "python gone":
        (bare / ".venv/bin/python").unlink()
    else:
        later = stamp.stat().st_mtime + 10
        os.utime(bare / change, (later, later))

    assert "none was found" in _sentence(_set_up(bare, "no-such-python"))
    assert not stamp.exists()
