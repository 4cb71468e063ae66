"""Nobody waits longer than the deadline for Verato, also not for somebody else's call to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

from tests.support.api import Api, serving
from tests.support.hybrid import MADE, PROBABLE, TWINS, hybrid, reconcile
from tests.support.verato import SOURCE, Verato
from tests.support.verato_service import match

PATIENT_BATCHES = {
    "MPI_HYBRID_DEADLINE": "0.5",
    "VERATO_BATCH_TIMEOUT_READ": "3",
    "VERATO_BATCH_TIMEOUT_TOTAL": "3",
}
SLOW = {"VERATO_MAX_TPS": "1"}
"""A pace at which a batch of two waits for some seconds."""


async def batched(api: Api, rows: list[dict[str, str]]) -> list[dict[str, Any]]:
    patients = [
        {k: v for k, v in row.items() if v} | {"source": SOURCE, "source_id": str(n)}
        for n, row in enumerate(rows)
    ]
    answer = await api.client.post("/mpi/batch", json={"patients": patients})
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()["results"]
    return results


async def hanging(verato: Verato, others: asyncio.Task[Any]) -> None:
    """Until somebody else's call has arrived and hangs."""
    before = verato.calls("postIdentity")
    while verato.calls("postIdentity") == before:
        assert not others.done()
        await asyncio.sleep(0.02)


async def in_time(api: Api, row: dict[str, str], source_id: str) -> None:
    started = monotonic()
    assert (await match(api, row, source_id))["provisional"]
    assert monotonic() - started < 2


async def test_the_turn_behind_another_call_about_the_record_is_not_waited_for(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, "verato_first", **PATIENT_BATCHES)) as api:
        verato.plan("503", times=None)
        await match(api, PROBABLE[0] | {"phone": ""}, "1")
        verato.clear()
        verato.plan("hang", "postIdentity", times=None)
        telling = asyncio.create_task(reconcile(api))
        await hanging(verato, telling)
        await in_time(api, PROBABLE[0], "1")
        assert not telling.done()
        await telling


async def test_the_call_of_a_batch_about_somebody_in_doubt_is_not_waited_for(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, **PATIENT_BATCHES, **SLOW)) as api:
        await match(api, PROBABLE[0], "1")
        verato.plan("hang", "postIdentity", times=None)
        rows = [
            {k: v for k, v in row.items() if v} | {"source": SOURCE, "source_id": source_id}
            for row, source_id in ((PROBABLE[1], "2"), (TWINS[0], "3"))
        ]
        batch = asyncio.create_task(api.client.post("/mpi/batch", json={"patients": rows}))
        await hanging(verato, batch)
        await in_time(api, PROBABLE[1], "4")
        assert not batch.done()
        assert (await batch).status_code == 200


async def test_a_batch_waits_for_the_deadline_and_its_turns(verato: Verato, tmp_path: Path) -> None:
    chosen = hybrid(verato, "verato_first", MPI_HYBRID_DEADLINE="0.5")
    async with serving(tmp_path, **chosen) as api:
        verato.plan("hang", "postIdentity", times=None)
        started = monotonic()
        found = await batched(api, MADE[:5])
        assert monotonic() - started < 4
        assert [each["provisional"] for each in found] == [True] * 5


async def test_a_batch_has_the_time_that_its_turns_take(verato: Verato, tmp_path: Path) -> None:
    chosen = hybrid(verato, "verato_first", MPI_HYBRID_DEADLINE="0.5", VERATO_MAX_TPS="5")
    async with serving(tmp_path, **chosen) as api:
        found = await batched(api, MADE[:8])
        assert [each["provisional"] for each in found] == [False] * 8
