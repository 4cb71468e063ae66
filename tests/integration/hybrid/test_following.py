"""What changes at Verato moves nobody whom people have decided about: they are asked."""

from __future__ import annotations

from pathlib import Path

from tests.support.api import Api, serving
from tests.support.hybrid import POSSIBLE, STRANGERS, hybrid, reconcile
from tests.support.verato import SOURCE, Verato
from tests.support.verato_service import match

ONE, OTHER = (SOURCE, "1"), (SOURCE, "2")


async def poll(api: Api) -> None:
    """Say what waits to be said, and hear of what has changed there."""
    assert api.parts.courier is not None
    assert api.parts.courier.begin is not None
    await api.parts.courier.begin()
    await reconcile(api)


async def open_tasks(api: Api) -> list[tuple[str, str, str]]:
    found = (await api.client.get("/mpi/tasks", params={"status": "open"})).json()["tasks"]
    return [(task["kind"], task["reason"], task["record"]["source_id"]) for task in found]


async def holder(api: Api, source_id: str) -> str:
    found = await api.client.get(f"/mpi/records/{SOURCE}/{source_id}")
    mpi_id: str = found.json()["mpi_id"]
    return mpi_id


async def test_people_are_asked_when_verato_parts_whom_they_have_joined(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = (await match(api, STRANGERS[0], "1"))["mpi_id"]
        second = (await match(api, STRANGERS[1], "2"))["mpi_id"]
        survivor, gone = sorted((first, second))
        merge = {"retire": gone, "reason": "seen together"}
        done = await api.client.post(f"/mpi/persons/{survivor}/merge", json=merge)
        assert done.status_code == 200, done.text
        await poll(api)
        assert verato.link_of(ONE) == verato.link_of(OTHER)
        assert await open_tasks(api) == []
        verato.unlink(ONE, OTHER)
        for _ in range(2):
            await poll(api)
        assert await holder(api, "1") == await holder(api, "2") == survivor
        assert await open_tasks(api) == [("update", "parted_elsewhere", "2")]


async def test_the_link_of_whom_verato_has_joined_itself_is_what_is_asked_about(
    verato: Verato, tmp_path: Path
) -> None:
    async with serving(tmp_path, **hybrid(verato)) as api:
        first = (await match(api, POSSIBLE[0], "1"))["mpi_id"]
        assert (await match(api, POSSIBLE[1], "2"))["mpi_id"] == first
        await poll(api)
        verato.unlink(ONE, OTHER)
        for _ in range(2):
            await poll(api)
        assert await open_tasks(api) == [("review", "verato_links_elsewhere", "2")]
