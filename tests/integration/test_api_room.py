"""Many large bodies at once are refused before they fill the memory; small ones still get through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from httpx2 import Response

from tests.support.api import serving

LIMIT = 100_000
BODY = b'{"patient_data": {"last_name": "Ada"}}'
JSON = {"content-type": "application/json"}


async def test_large_bodies_wait_outside_while_others_are_held(tmp_path: Path) -> None:
    arrived, go_on = asyncio.Barrier(9), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b" " * (LIMIT - len(BODY))
        await arrived.wait()
        await go_on.wait()
        yield BODY

    async with serving(tmp_path, MPI_BODY_LIMIT=str(LIMIT)) as api:

        async def post(content: bytes | AsyncIterator[bytes]) -> Response:
            return await api.client.post("/mpi/match", content=content, headers=JSON)

        holding = [asyncio.create_task(post(slow())) for _ in range(8)]
        await arrived.wait()
        refused = await post(b" " * (LIMIT - len(BODY)) + BODY)
        assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
        assert refused.headers["retry-after"] == "1"
        assert (await post(b" " * 10_000 + BODY)).status_code == 200
        go_on.set()
        assert [answer.status_code for answer in await asyncio.gather(*holding)] == [200] * 8
        assert (await post(b" " * (LIMIT - len(BODY)) + BODY)).status_code == 200
