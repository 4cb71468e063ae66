"""SQLite's write-ahead log as it lies on a disk, and what a power cut may do to its end.

The format is documented at https://www.sqlite.org/walformat.html: a header of 32 bytes, then frames
of a header of 24 bytes and a page. The last frame of a transaction holds the size of the database.

SQLite is not asked here what a log holds: it is told by what SQLite makes of the same log.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from random import Random

_HEADER, _FRAME_HEADER = 32, 24
_INDEX_SALT, _ATTEMPTED = slice(32, 40), 128
"""Where the log's index has its salt, and the number of frames that somebody has begun to copy."""


@dataclass(frozen=True, slots=True)
class Log:
    """The bytes of a log, and where its frames in force end."""

    raw: bytes
    page_size: int
    pages: tuple[int, ...]
    commits: tuple[int, ...]
    """Offsets behind each transaction, in order."""
    sizes: tuple[int, ...]
    """Pages of the database after each of them."""

    @property
    def salt(self) -> bytes:
        """Another one whenever the log begins anew."""
        return self.raw[16:24]

    @property
    def end(self) -> int:
        """The offset behind the last whole frame in force."""
        return _HEADER + len(self.pages) * (_FRAME_HEADER + self.page_size)

    def frames(self, offset: int) -> int:
        """How many end there or before."""
        return max(0, offset - _HEADER) // (_FRAME_HEADER + self.page_size)

    def whole(self, other: bytes) -> int:
        """The offset behind the last transaction that another log has just as this one."""
        same = [at for at in self.commits if other[:at] == self.raw[:at]]
        return same[-1] if same else 0

    def image(self, database: bytes, offset: int) -> bytes:
        """The database as it is after the transaction that ends there, which no page of it may be ahead of."""
        if not offset:
            return database
        pages = bytearray(database)
        for number, page in enumerate(self.pages[: self.frames(offset)]):
            at = _HEADER + number * (_FRAME_HEADER + self.page_size) + _FRAME_HEADER
            start = (page - 1) * self.page_size
            pages.extend(bytes(max(0, start - len(pages))))
            pages[start : start + self.page_size] = self.raw[at : at + self.page_size]
        return bytes(pages[: self.sizes[self.commits.index(offset)] * self.page_size])

    def folded(self, index: bytes) -> int:
        """The offset behind the last transaction of which the database may hold pages, by the log's shared index.

        Those are on the disk: the log is synchronised before any of it is copied.
        """
        if index[_INDEX_SALT] != self.salt:
            return self.commits[-1] if self.commits else 0  # the log is about to begin anew
        (attempted,) = struct.unpack_from("=I", index, _ATTEMPTED)
        return next((at for at in self.commits if self.frames(at) >= attempted > 0), 0)


def read_log(raw: bytes) -> Log:
    """The frames that carry the salt of the header; those behind are left over from an earlier round.

    Of the last transaction all may be there but the page itself: then it counts as not written.
    """
    if len(raw) < _HEADER:
        return Log(raw, 0, (), (), ())
    _, _, page_size, _, *salt = struct.unpack(">6I", raw[:24])
    pages, commits, sizes, at = list[int](), list[int](), list[int](), _HEADER
    while at + _FRAME_HEADER + page_size <= len(raw):
        page, size, *own_salt = struct.unpack(">4I", raw[at : at + 16])
        if own_salt != salt:
            break
        at += _FRAME_HEADER + page_size
        pages.append(page)
        if size:
            commits.append(at)
            sizes.append(size)
    begun = commits[-2] if len(commits) > 1 else _HEADER
    if commits and not _is_whole(raw, page_size, begun, commits[-1]):
        del pages[(begun - _HEADER) // (_FRAME_HEADER + page_size) :], commits[-1], sizes[-1]
    return Log(raw, page_size, tuple(pages), tuple(commits), tuple(sizes))


def _is_whole(raw: bytes, page_size: int, begun: int, end: int) -> bool:
    """Whether the checksums of the frames in between go on from that of the frame, or the header, before."""
    words = ">" if raw[3] & 1 else "<"
    before = 24 if begun == _HEADER else begun - page_size - 8
    first, second = struct.unpack_from(">2I", raw, before)
    for at in range(begun, end, _FRAME_HEADER + page_size):
        summed = raw[at : at + 8] + raw[at + _FRAME_HEADER : at + _FRAME_HEADER + page_size]
        for left, right in struct.iter_unpack(f"{words}2I", summed):
            first = (first + left + second) & 0xFFFFFFFF
            second = (second + right + first) & 0xFFFFFFFF
        if (first, second) != struct.unpack_from(">2I", raw, at + 16):
            return False
    return True


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
    damaged = bytearray(database)
    for page in set(log.pages[: log.frames(durable)]):
        start = (page - 1) * log.page_size
        if start < len(damaged) and chance.random() < 0.3:
            half = start + chance.randrange(log.page_size)
            damaged[half : start + log.page_size] = chance.randbytes(start + log.page_size - half)
    return bytes(damaged)
