"""The reject file of a load: a draft that grows with the load, survives its death, and is shown when it is whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mpi.bulk.files import check_replaceable, writing
from mpi.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Draft:
    """The first ``size`` bytes of a draft that are known to be on disk."""

    path: Path
    size: int


def draft_of(path: Path) -> Path:
    """Where the reject file ``path`` grows."""
    return path.with_name(f".{path.name}.draft")


class RejectFile:
    """Unusable rows as NDJSON, mode 0600. There is no file while there is nothing to reject."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._draft = draft_of(path)
        self._file: BinaryIO | None = None

    def write(self, line: str) -> None:
        """Add one line. This and all that follows raise ``ConfigurationError`` when the file cannot be written."""
        if self._file is None:
            self._file = self._opened(os.O_CREAT | os.O_TRUNC)
        with writing(self.path):
            self._file.write(line.encode())

    def go_on(self, draft: Draft) -> bool:
        """Take up a draft of an earlier run, without what it wrote after ``draft`` was noted. False if it is lost."""
        if draft.size == 0:
            return True
        try:
            if draft.path != self._draft or draft.path.stat().st_size < draft.size:
                return False
            self._file = self._opened(0)
        except (OSError, ConfigurationError):
            return False
        self._file.truncate(draft.size)
        self._file.seek(draft.size)
        return True

    def _opened(self, flags: int) -> BinaryIO:
        check_replaceable(self.path)
        with writing(self.path):
            self._draft.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(self._draft, os.O_WRONLY | flags, 0o600)
        return os.fdopen(handle, "wb")

    def noted(self) -> Draft:
        """What is written so far, on disk when this returns."""
        if self._file is None:
            return Draft(self._draft, 0)
        with writing(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
        return Draft(self._draft, self._file.tell())

    def finish(self) -> None:
        """Let the file take its place; it was whole only now."""
        if self._file is not None:
            self.noted()
            self.close()
            with writing(self.path):
                self._draft.replace(self.path)

    def close(self) -> None:
        """Leave the draft as it is, for a load that is resumed."""
        file, self._file = self._file, None
        if file is not None:
            with writing(self.path):
                file.close()
