"""SQLite's write-ahead log as it lies on a disk, and what a power cut may do to its end.

The format is documented at https://www.sqlite.org/walformat.html: a header of 32 bytes, then frames
of a header of 24 bytes and a page. The last frame of a transaction holds the size of the database.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random

_HEADER, _FRAME_HEADER = 32, 24


@dataclass(frozen=True, slots=True)
class Log:
    """The bytes of a log, and where its frames in force end."""

    raw: bytes
    page_size: int
    pages: tuple[int, ...]
    commits: tuple[int, ...]
    """Offsets behind each transaction, in order."""

    @property
    def end(self) -> int:
        """The offset behind the last whole frame in force."""
        return _HEADER + len(self.pages) * (_FRAME_HEADER + self.page_size)


def read_log(raw: bytes) -> Log:
    """The frames that carry the salt of the header; those behind are left over from an earlier round."""
    if len(raw) < _HEADER:
        return Log(raw, 0, (), ())
    _, _, page_size, _, *salt = struct.unpack(">6I", raw[:24])
    pages, commits, at = [], [], _HEADER
    while at + _FRAME_HEADER + page_size <= len(raw):
        page, size, *own_salt = struct.unpack(">4I", raw[at : at + 16])
        if own_salt != salt:
            break
        at += _FRAME_HEADER + page_size
        pages.append(page)
        if size:
            commits.append(at)
    return Log(raw, page_size, tuple(pages), tuple(commits))


def torn(log: Log, durable: int, chance: Random) -> bytes:
    """The log after a power cut: all up to ``durable`` is on the disk, what follows in part or wrongly."""
    tail = bytearray(log.raw[durable:])
    # Something was always about to be written: more frames, which look like those before.
    tail += log.raw[_HEADER : _HEADER + chance.randrange(3) * (_FRAME_HEADER + log.page_size)]
    tail += chance.randbytes(7)
    kind = chance.randrange(5)
    at = chance.randrange(len(tail))
    if kind == 0:
        del tail[at:]
    elif kind == 1:
        tail[at:] = bytes(len(tail) - at)
    elif kind == 2:
        tail[at:] = chance.randbytes(len(tail) - at)
    elif kind == 3:
        for _ in range(chance.randrange(1, 9)):
            tail[chance.randrange(len(tail))] ^= 1 << chance.randrange(8)
    else:
        # Sectors reach the disk in any order: one is missing, later ones are there.
        sector = at - at % 512
        tail[sector : sector + 512] = bytes(len(tail[sector : sector + 512]))
    return log.raw[:durable] + bytes(tail)


def torn_pages(database: bytes, log: Log, durable: int, chance: Random) -> bytes:
    """The database after a power cut while the log was being copied into it.

    Only pages that stand in the durable part of the log may be wrong: they are written before it is.
    """
    frames = (durable - _HEADER) // (_FRAME_HEADER + log.page_size) if durable > _HEADER else 0
    damaged = bytearray(database)
    for page in set(log.pages[:frames]):
        start = (page - 1) * log.page_size
        if start < len(damaged) and chance.random() < 0.3:
            half = start + chance.randrange(log.page_size)
            damaged[half : start + log.page_size] = chance.randbytes(start + log.page_size - half)
    return bytes(damaged)
