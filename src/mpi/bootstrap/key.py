"""The key of keyed digests: given, or generated beside the database."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from mpi.errors import ConfigurationError
from mpi.settings import RUN_EMBEDDED, Settings
from mpi.stores.sqlite.backup import key_file

_KEY_BYTES = 32


def hmac_key(settings: Settings, *, create: bool) -> bytes:
    """``MPI_HMAC_KEY``, or the generated key beside the database.

    Raises:
        ConfigurationError: the key file is missing beside an existing database, or unreadable.
    """
    if settings.hmac_key is not None:
        return settings.hmac_key.get_secret_value().encode()
    if settings.store == "mongodb":
        raise ConfigurationError(
            "MPI_HMAC_KEY is needed with MPI_STORE=mongodb, the same in every process that shares the "
            f"index; make one with `openssl rand -hex 32` and keep it safe; {RUN_EMBEDDED}"
        )
    path = key_file(settings.sqlite_path)
    try:
        if create and not settings.sqlite_path.exists():
            _generate_key(path)
        key = path.read_bytes()
    except FileNotFoundError:
        raise ConfigurationError(_missing_key(settings.sqlite_path)) from None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be used ({error.strerror}); name a database in a writable folder in "
            "MPI_SQLITE_PATH"
        ) from None
    if len(key) < _KEY_BYTES:
        raise ConfigurationError(f"{path} is damaged; put the key file of a backup in its place")
    return key


def _missing_key(database: Path) -> str:
    if not database.exists():
        return (
            f"there is no index at {database} yet; make one with `mpi load FILE` or `mpi serve`, "
            "or name another in MPI_SQLITE_PATH"
        )
    if not database.is_file():
        return f"{database} is not a file; name a file in MPI_SQLITE_PATH"
    return (
        f"the key file of {database} is missing; put it back beside it, set MPI_HMAC_KEY, or name another database "
        "in MPI_SQLITE_PATH"
    )


def _generate_key(path: Path) -> None:
    """Another process may do the same at this moment; the first one's key counts."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(_KEY_BYTES).encode())
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
