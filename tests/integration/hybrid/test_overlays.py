"""What waits as an overlay is told to Verato when a steward makes it current, as any registration would be."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.domain.record import RecordKey
from tests.support.api import Api, serving
from tests.support.hybrid import MADE, PROBABLE, hybrid, reconcile
from tests.support.verato import SOURCE, Verato
from tests.support.verato_service import match


async def decided(api: Api, task_id: str, outcome: str) -> None:
    body = {"outcome": outcome, "reason": "looked it up"}
    answer = await api.client.post(f"/mpi/tasks/{task_id}/decide", json=body)
    assert answer.status_code == 200, answer.text


async def overlaid(api: Api, verato: Verato) -> str:
    """A record whose new content is another patient, while Verato is away: the task that it waits for."""
    await match(api, PROBABLE[0], "1")
    await match(api, MADE[5], "2")
    verato.plan("503", times=None)
    task: str = (await match(api, {**PROBABLE[1], "recorded_at": ""}, "2"))["task_id"]
    verato.clear()
    return task


async def owner(api: Api, source_id: str) -> str | None:
    record = await api.parts.store.record(RecordKey(SOURCE, source_id))
    return None if record is None else record.mpi_id


@pytest.mark.parametrize("outcome", ["accept", "new"])
async def test_verato_is_told_of_what_a_steward_accepted(
    verato: Verato, tmp_path: Path, outcome: str
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await decided(api, await overlaid(api, verato), outcome)
        await reconcile(api)
        assert verato.link_of((SOURCE, "2")) == verato.link_of((SOURCE, "1"))
        assert await owner(api, "2") == await owner(api, "1")
        posted = verato.calls("postIdentity")
        assert await reconcile(api) == 0
        assert verato.calls("postIdentity") == posted


@pytest.mark.parametrize(("feed", "told"), [("grey", 0), ("all", 2)])
async def test_what_is_clear_is_told_as_the_feed_says(
    verato: Verato, tmp_path: Path, feed: str, told: int
) -> None:
    async with serving(tmp_path, **hybrid(verato, MPI_HYBRID_FEED=feed)) as api:
        await match(api, MADE[5], "2")
        await reconcile(api)
        overlay = await match(api, {**MADE[2], "recorded_at": ""}, "2")
        await decided(api, overlay["task_id"], "accept")
        await reconcile(api)
        # It refuses to overlay what it knows; being told of it is what counts.
        assert verato.calls("postIdentity") == told


async def test_where_verato_had_the_content_before_is_no_answer_about_this_one(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato, MPI_HYBRID_FEED="all")) as api:
        await match(api, MADE[5], "2")
        await reconcile(api)
        overlay = await match(api, {**MADE[2], "recorded_at": ""}, "2")
        await decided(api, overlay["task_id"], "accept")
        verato.plan("503", "postIdentity", times=None)
        key = RecordKey(SOURCE, "2")
        await api.parts.store.queue([Errand(ErrandKind.FOLLOW, (key,))])
        await reconcile(api)
        verato.clear()
        posted = verato.calls("postIdentity")
        await api.parts.store.queue([Errand(ErrandKind.POST, (key,))])
        await reconcile(api)
        assert verato.calls("postIdentity") == posted + 1


async def test_what_verato_has_answered_about_is_not_told_again(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        await match(api, PROBABLE[0], "1")
        await match(api, MADE[5], "2")
        overlay = await match(api, {**PROBABLE[1], "recorded_at": ""}, "2")
        assert verato.calls("postIdentity") == 0
        await decided(api, overlay["task_id"], "accept")
        await reconcile(api)
        assert verato.calls("postIdentity") == 2
        await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(SOURCE, "2"),))])
        await reconcile(api)
        assert verato.calls("postIdentity") == 2
