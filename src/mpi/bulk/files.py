"""Files that hold patient data: readable by their owner only, and there whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mpi.errors import ConfigurationError
from mpi.stores.sqlite.files import DRAFT, hold, remove_abandoned

_OF_INDEX = ("", ".key", "-wal", "-shm", "-journal")
"""What the names of the files of an index end with after that of its database."""
_DATABASE = b"SQLite format 3\0"


def check_outputs(
    *outputs: Path | None, inputs: Iterable[Path | None] = (), index: Path | None = None
) -> None:
    """Raise ``ConfigurationError`` unless a command may write each of its outputs, where it names one.

    None may be one of its ``inputs``, another output or a file of the database ``index``, nor what
    :func:`check_replaceable` refuses.
    """
    taken = [path for path in inputs if path is not None]
    for output in outputs:
        if output is None:
            continue
        check_replaceable(output, index)
        if any(_is_same(output, other) for other in taken):
            raise ConfigurationError(
                f"{shown(output)} would be written over what this command reads or writes itself; "
                "name another file"
            )
        taken.append(output)


def check_replaceable(path: Path, index: Path | None = None) -> None:
    """Raise ``ConfigurationError`` if a file at ``path`` would take the place of what must stay.

    That is a folder, a pipe or a device, and any file of an index: of the database ``index``, or of one that is there.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = stat.S_IFREG
    except OSError as error:
        raise ConfigurationError(f"{shown(path)} cannot be written: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise ConfigurationError(
            "the file cannot be written: its name is that of a folder or a device"
        )
    if _is_of_index(path, index):
        raise ConfigurationError(f"{shown(path)} is a file of an index; name another file")


def _is_of_index(path: Path, index: Path | None) -> bool:
    if index is not None and any(
        _is_same(path, index.with_name(index.name + ending)) for ending in _OF_INDEX
    ):
        return True
    names = (path, Path(_real(path)))
    return any(_is_database(database) for name in names for database in _databases_of(name))


def _databases_of(path: Path) -> Iterator[Path]:
    """Where the database lies, if ``path`` is a file of an index."""
    for ending in _OF_INDEX:
        if path.name.endswith(ending) and path.name != ending:
            yield path.with_name(path.name.removesuffix(ending))


def _is_database(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_DATABASE)) == _DATABASE
    except OSError:
        return False


def _is_same(one: Path, other: Path) -> bool:
    """Whether both name one file, there already or not."""
    if _real(one) == _real(other):
        return True
    try:
        return one.samefile(other)
    except OSError:
        return False


def _real(path: Path) -> str:
    return os.path.realpath(path)  # a circle of links is no error here, as it is for Path.resolve


def shown(value: Path | str) -> str:
    """A path or text as any terminal, log and JSON document takes it: a file's name may be of any bytes."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in str(value))


def check_whole(path: Path) -> None:
    """Raise ``ConfigurationError`` if ``path`` is a pipe or a device, which may have no end and no beginning again.

    What is not there is left to whoever opens it.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}") from None
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise ConfigurationError("the file cannot be read: it is a pipe or a device")


@contextmanager
def private_file(path: Path) -> Iterator[TextIO]:
    """A text file that takes its place at ``path`` (mode 0600) when the block ends without error.

    Raises:
        ConfigurationError: the folder cannot be made or written to, there is no room, or ``path`` is what
            :func:`check_replaceable` refuses.
    """
    check_replaceable(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}{DRAFT}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            hold(handle)
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses in this block about the file at ``path`` or its folder becomes ``ConfigurationError``."""
    try:
        yield
    except OSError as error:
        if not _is_about(error, path):
            raise
        raise ConfigurationError(
            f"{shown(path)} cannot be written: {error.strerror}; make room there, or name another place"
        ) from None


def _is_about(error: OSError, path: Path) -> bool:
    """Writing to an open file names none; another file's error names it, and a network's has no file."""
    if isinstance(error, ConnectionError | TimeoutError):
        return False
    named = error.filename
    return (
        not isinstance(named, str)
        or Path(named).parent == path.parent
        or Path(named) in path.parents
    )
