"""What comes through a pipe, as a file: a load reads its rows twice, and once more when it goes on."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mpi.bulk.files import shown
from mpi.errors import ConfigurationError

_PROCESSES = Path("/proc")


@contextmanager
def as_file(path: Path, folder: Path) -> Iterator[Path]:
    """The file at ``path``, or all that a pipe gives, in a private file in ``folder`` for as long as the block lasts.

    Raises ``ConfigurationError`` when there is neither file nor pipe, or no room.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise ConfigurationError(f"the file cannot be read: {error.strerror}") from None
    if not stat.S_ISFIFO(mode):
        # Standard input that comes from a file has another name in another process.
        yield path.resolve()
        return
    with _copied(path, folder) as copy:
        yield copy


@contextmanager
def _copied(pipe: Path, folder: Path) -> Iterator[Path]:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Readable by its owner only, and gone with the block. Where the system gives open files a name of their own,
        # it has no other: what is killed leaves no patients behind.
        nameless = (_PROCESSES / "self" / "fd").is_dir()
        make = tempfile.TemporaryFile if nameless else tempfile.NamedTemporaryFile
        copy = make(dir=folder, prefix=".piped-")
    except OSError as error:
        raise ConfigurationError(f"{folder} cannot be written: {error.strerror}") from None
    with copy:
        try:
            with pipe.open("rb") as source:
                shutil.copyfileobj(source, copy)
            copy.flush()
        except OSError as error:
            raise ConfigurationError(
                f"what comes through the pipe cannot be kept in {shown(folder)}: {error.strerror}; "
                "make room there, or name another folder in XDG_DATA_HOME"
            ) from None
        number = copy.fileno()
        yield _PROCESSES / str(os.getpid()) / "fd" / str(number) if nameless else Path(copy.name)
