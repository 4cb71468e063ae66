"""The whole application over a real index, without a socket between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from mpi.api.app import create_app
from mpi.bootstrap.container import Container, build
from mpi.settings import EMBEDDED, read_settings


@dataclass(frozen=True, slots=True)
class Api:
    """An application, its parts, and a client on the same machine."""

    app: FastAPI
    parts: Container
    client: AsyncClient

    def caller(
        self, address: str = "127.0.0.1", host: str = "127.0.0.1", **headers: str
    ) -> AsyncClient:
        """Another client: from an address, for a host name, with headers of its own."""
        transport = ASGITransport(app=self.app, client=(address, 50000))
        return AsyncClient(transport=transport, base_url=f"http://{host}", headers=headers)


@asynccontextmanager
async def serving(folder: Path, **settings: str) -> AsyncIterator[Api]:
    """An application over an index in ``folder``; ``settings`` are named as in the environment."""
    chosen = {**EMBEDDED, "MPI_SQLITE_PATH": str(folder / "index.sqlite3"), **settings}
    parts = build(read_settings(chosen))
    await parts.open()
    app = create_app(parts)
    transport = ASGITransport(app=app, client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        yield Api(app, parts, client)
    await parts.close()
