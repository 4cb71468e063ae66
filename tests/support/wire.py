"""A client that sends whatever bytes it is given and reads whatever comes back."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its status and all of its bytes, head included."""

    status: int
    raw: bytes

    @property
    def body(self) -> bytes:
        """What follows the head."""
        return self.raw.partition(b"\r\n\r\n")[2]


async def exchange(port: int, raw: bytes, *, seconds: float) -> list[Answer]:
    """Send ``raw``, say that no more will come, and read to the end; raises ``TimeoutError``."""
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            _, received = await asyncio.gather(_send(writer, raw), receive(reader))
        finally:
            writer.close()
    return answers(received)


async def _send(writer: asyncio.StreamWriter, raw: bytes) -> None:
    try:
        writer.write(raw)
        await writer.drain()
        writer.write_eof()
    except ConnectionError:
        return  # it was refused before its end, and perhaps with an answer


async def receive(reader: asyncio.StreamReader) -> bytes:
    """Everything that comes until the other side closes, in whichever way."""
    received = bytearray()
    try:
        while piece := await reader.read(65_536):
            received += piece
    except ConnectionError:
        pass
    return bytes(received)


def answers(received: bytes) -> list[Answer]:
    """The answers in what came back, one after the other."""
    found = []
    while match := _STATUS.match(received):
        head = received.index(b"\r\n\r\n") + 4
        length = _LENGTH.search(received[:head])
        end = head + int(length[1]) if length else len(received)
        found.append(Answer(int(match[1]), received[:end]))
        received = received[end:]
    return found
