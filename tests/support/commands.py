"""The commands on an index of their own, and files for them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import stat
from pathlib import Path
from typing import Any

from tests.support.service import run_mpi

JOHN = {
    "first_name": "John",
    "last_name": "Smith",
    "dob": "1980-01-02",
    "sex": "M",
    "ssn": "424-19-7908",
    "address": "12 Main Street",
    "city": "Los Angeles",
    "state": "CA",
    "zip": "90001",
    "phone": "323-432-4979",
}
ROWS = [
    JOHN | {"source": "HOSP-A", "source_id": "1"},
    JOHN | {"source": "HOSP-B", "source_id": "7", "first_name": "Jon"},
    {
        "source": "HOSP-A",
        "source_id": "2",
        "first_name": "Maria",
        "last_name": "Garcia",
        "dob": "1955-O6-07",
        "sex": "F",
        "city": "Reno",
    },
]


def mpi(folder: Path, *arguments: str, stdin: str = "", code: int = 0) -> str:
    done = run_mpi(folder, *arguments, "--embedded", stdin=stdin)
    assert done.returncode == code, done.stderr
    return done.stdout


def mpi_json(folder: Path, *arguments: str, stdin: str = "", code: int = 0) -> Any:
    return json.loads(mpi(folder, *arguments, "--json", stdin=stdin, code=code))


def as_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
    table.writeheader()
    table.writerows(rows)
    return _write(path, text.getvalue())


def as_ndjson(path: Path, rows: list[dict[str, str]]) -> Path:
    return _write(path, "".join(json.dumps(row) + "\n" for row in rows))


def _write(path: Path, text: str) -> Path:
    raw = text.encode()
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def crosswalk(folder: Path) -> dict[tuple[str, str], str]:
    path = folder / "crosswalk.csv"
    mpi(folder, "export", "crosswalk", str(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with path.open() as file:
        assert next(file) == "source,source_id,mpi_id\n"
        return {(source, source_id): mpi_id for source, source_id, mpi_id in csv.reader(file)}
