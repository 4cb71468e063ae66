"""What stewards find on their desk: persons to merge, records in doubt, overwritten ones."""

from __future__ import annotations

from typing import TypedDict

from mpi.domain.identity import AssertionKind
from tests.support.index import MARGA, MARGA_IN_DOUBT, OTTO, Index, key


class Because(TypedDict):
    """Who decides, and why."""

    reason: str
    actor: str


BECAUSE: Because = {"reason": "seen the passport", "actor": "eve"}


async def two_persons(index: Index) -> tuple[str, str]:
    """Marga under 1, Otto under 2."""
    one, other = await index.add(MARGA, "1"), await index.add(OTTO, "2")
    return one.mpi_id or "", other.mpi_id or ""


async def doubtful(index: Index) -> tuple[str, str, str]:
    """A record in doubt under 2: the candidate, its own person, the task."""
    one, other = await index.add(MARGA, "1"), await index.add(MARGA_IN_DOUBT, "2")
    return one.mpi_id or "", other.mpi_id or "", other.task_id or ""


async def overlaid(index: Index, company: bool = False) -> str:
    """Record 1, overwritten with another patient: the task."""
    await index.add(MARGA, "1")
    if company:
        await index.add(MARGA, "2")
    return (await index.add(OTTO, "1")).task_id or ""


async def kinds(index: Index, source_id: str) -> list[AssertionKind]:
    """What is asserted of a record."""
    return [a.kind for a in await index.store.assertions([key(source_id)])]
