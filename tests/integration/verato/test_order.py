"""Verato keeps the version that is current here, in whatever order several of one registration arrive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.record import RecordKey
from tests.support.api import Api, serving
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import body, match, on_mongodb, settings

MADE = [row | {"recorded_at": ""} for row, _ in registrations(300)]
MINE, THEIRS = MADE[0], MADE[21]
A, B = (SOURCE, "1"), (SOURCE, "2")
PROVIDERS: dict[str, dict[str, str]] = {
    "verato": {},
    "verato_first": {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": "verato_first"},
}
Two = tuple[Api, Api]


@pytest.fixture(params=[*PROVIDERS, "verato on mongodb"])
async def two(verato: Verato, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Two]:
    """Two processes over one index: neither knows what the other tells Verato."""
    name, _, store = str(request.param).partition(" on ")
    place = on_mongodb(request.getfixturevalue("mongod")) if store else {}
    given = settings(verato, **PROVIDERS[name], **place)
    async with serving(tmp_path, **given) as one, serving(tmp_path, **given) as other:
        yield one, other


async def follow(api: Api) -> None:
    assert api.parts.courier is not None
    assert api.parts.courier.begin is not None
    await api.parts.courier.begin()
    await api.parts.courier.deliver()


def dated(phone: str, day: int | None = None) -> dict[str, str]:
    recorded = "" if day is None else f"2026-01-{day:02d}T00:00:00Z"
    return MINE | {"phone": phone, "recorded_at": recorded}


def phone_at(verato: Verato) -> str:
    """The number that Verato has of the registration."""
    found = verato.simulated.tenant.registry.find(A)
    assert found is not None
    (phone,) = found.identity["phoneNumbers"]
    return "".join(phone.get(part) or "" for part in ("areaCode", "number"))[-10:]


async def phone_here(api: Api) -> str:
    record = await api.parts.store.record(RecordKey(*A))
    assert record is not None
    return record.demographics.phones[0].replace("-", "")[-10:]


async def after(seconds: float, answer: Any) -> Any:
    await asyncio.sleep(seconds)
    return await answer


async def test_an_older_version_that_arrives_last_does_not_stay(verato: Verato, two: Two) -> None:
    one, other = two
    await match(one, dated("302-555-0100", 1), "1")
    verato.plan("slow:1500", "postIdentity")
    await asyncio.gather(
        match(one, dated("302-555-0105", 5), "1"),
        after(0.5, match(other, dated("302-555-0109", 9), "1")),
    )
    assert await phone_here(one) == "3025550109"
    assert phone_at(verato) == "3025550105"
    await follow(one)
    assert phone_at(verato) == "3025550109"
    posted = verato.calls("postIdentity")
    await follow(one)
    assert verato.calls("postIdentity") == posted == 4


async def test_what_is_stored_last_counts_though_it_was_told_first(
    verato: Verato, two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two
    await match(one, dated("302-555-0100"), "1")
    enroll, told, through = one.parts.store.commit, asyncio.Event(), asyncio.Event()

    async def late(*changes: Any) -> Any:
        told.set()
        await through.wait()
        return await enroll(*changes)

    with monkeypatch.context() as slowed:
        slowed.setattr(one.parts.store, "commit", late)
        first = asyncio.create_task(match(one, dated("302-555-0105"), "1"))
        await told.wait()
        await match(other, dated("302-555-0109"), "1")
        through.set()
        await first
    assert await phone_here(one) == "3025550105"
    assert phone_at(verato) == "3025550109"
    await follow(one)
    assert phone_at(verato) == "3025550105"
    posted = verato.calls("postIdentity")
    await follow(one)
    assert verato.calls("postIdentity") == posted == 4


async def test_two_patients_at_once_under_one_number_stay_two(verato: Verato, two: Two) -> None:
    one, other = two
    await follow(one)
    await match(one, THEIRS, "2")
    verato.plan("slow:1500", "postIdentity")
    overlay, _ = await asyncio.gather(match(one, THEIRS, "1"), after(0.5, match(other, MINE, "1")))
    assert overlay["status"] == "review"
    assert verato.link_of(A) == verato.link_of(B)
    for _ in range(2):
        await follow(one)
    assert verato.link_of(A) != verato.link_of(B)
    holders = [await one.parts.store.record(RecordKey(*key)) for key in (A, B)]
    assert len({record.mpi_id for record in holders if record is not None}) == 2


async def test_an_ordinary_update_is_told_once(verato: Verato, two: Two) -> None:
    one, other = two
    await match(one, dated("302-555-0100"), "1")
    await match(other, dated("302-555-0105"), "1")
    await follow(one)
    assert verato.calls("postIdentity") == 2


async def put(api: Api, row: dict[str, str], source_id: str, **headers: str) -> int:
    path = f"/mpi/records/{SOURCE}/{source_id}"
    return (await api.client.put(path, json=body(row), headers=headers)).status_code


async def test_what_a_stale_condition_forbids_is_not_told(verato: Verato, two: Two) -> None:
    one, _ = two
    await match(one, dated("302-555-0100"), "1")
    later = dated("302-555-0105")
    assert await put(one, later, "1", **{"If-Match": '"99"'}) == 412
    assert await put(one, later, "1", **{"If-None-Match": "*"}) == 412
    assert await put(one, THEIRS, "2", **{"If-Match": '"1"'}) == 412
    assert verato.calls("postIdentity") == 1
    assert phone_at(verato) == "3025550100"


async def test_what_was_told_before_its_condition_failed_does_not_stay(
    verato: Verato, two: Two
) -> None:
    one, other = two
    persons = [
        (await match(one, row, number))["mpi_id"] for row, number in ((MINE, "1"), (THEIRS, "2"))
    ]
    await match(one, dated("302-555-0100"), "1")
    seen = (await one.client.get(f"/mpi/records/{SOURCE}/1")).headers["ETag"]
    verato.plan("slow:1500", "postIdentity")
    merging = {"retire": persons[1], "reason": "seen the passport"}
    refused, merged = await asyncio.gather(
        put(one, dated("302-555-0105"), "1", **{"If-Match": seen}),
        after(0.5, other.client.post(f"/mpi/persons/{persons[0]}/merge", json=merging)),
    )
    assert (refused, merged.status_code) == (412, 200)
    assert await phone_here(one) == "3025550100"
    assert phone_at(verato) == "3025550105"
    await follow(one)
    assert phone_at(verato) == "3025550100"
    posted = verato.calls("postIdentity")
    await follow(one)
    assert verato.calls("postIdentity") == posted


async def test_what_comes_back_after_another_process_told_something_else_is_told(
    verato: Verato, two: Two
) -> None:
    one, other = two
    await match(one, dated("302-555-0105", 1), "1")
    await match(other, dated("302-555-0109", 2), "1")
    await match(one, dated("302-555-0105", 3), "1")
    await follow(one)
    assert await phone_here(one) == phone_at(verato) == "3025550105"
