"""The measured index in MongoDB: moved there once by ``mpi migrate`` and kept; what is measured works on a copy."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bench.daemons import Mongod
from bench.indexes import Index, cache_directory
from bench.processes import mpi

DATABASE = "mpi_service"
_CACHE_GB = 3.0
"""What a machine for a million records would give its server; the indexes take two."""


@contextmanager
def copied(index: Index, folder: Path) -> Iterator[Mapping[str, str]]:
    """The settings with which a service finds a copy of the index, which ends with the block.

    Raises:
        RuntimeError: the index could not be moved.
    """
    kept = _kept(index)
    place = folder / f"mongodb-{index.records}"
    shutil.copytree(kept, place)
    server = Mongod(place, cache_gb=_CACHE_GB)
    server.start()
    try:
        yield _settings(server, index)
    finally:
        server.kill()
        shutil.rmtree(place)


def _settings(server: Mongod, index: Index) -> dict[str, str]:
    return {
        "MPI_STORE": "mongodb",
        "MPI_PROVIDER": "internal",
        "MPI_CACHE": "memory",
        "MONGODB_URI": server.uri,
        "MPI_DB": DATABASE,
        "MPI_HMAC_KEY": index.database.with_name("index.sqlite3.key").read_text("ascii"),
    }


def _kept(index: Index) -> Path:
    """The files of a mongod that holds this index; it is moved there when none does."""
    folder = cache_directory() / f"mongodb-{index.records}"
    facts = folder / "moved.json"
    if not facts.exists() or json.loads(facts.read_text("utf-8"))["built"] != index.built["at"]:
        _move(index, folder)
    return folder / "data"


def _move(index: Index, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    server = Mongod(folder / "data", cache_gb=_CACHE_GB)
    server.start()
    try:
        moving = ["migrate", "--from", "sqlite", "--to", "mongodb", "--json"]
        mpi(moving, index.database, settings=_settings(server, index))
    finally:
        server.stop()
    facts = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "built": index.built["at"],
    }
    (folder / "moved.json").write_text(json.dumps(facts), "utf-8")
