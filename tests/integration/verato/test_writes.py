"""Writes at Verato take effect exactly once, whatever becomes of the answer."""

from __future__ import annotations

import asyncio

import pytest

from mpi.domain.record import RecordKey
from mpi.providers.verato.operations import VeratoIndex
from mpi.providers.verato.outcome import CallOutcome
from mpi.providers.verato.payload import PayloadForm
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_client import connected, record

MADE = registrations(300)
ONE, OTHER = RecordKey(SOURCE, "1"), RecordKey(SOURCE, "2")


async def two_persons(index: VeratoIndex) -> tuple[str | None, str | None]:
    """Registers two different people as ONE and OTHER; their links."""
    first = await index.post(record(MADE[1][0], "1"), new=True)
    second = await index.post(record(MADE[2][0], "2"), new=True)
    assert first.link_id != second.link_id
    return first.link_id, second.link_id


async def link_of(index: VeratoIndex, key: RecordKey) -> str | None:
    return (await index.find(key)).link_id


LOST = ["applied_then_timeout", "close_mid_body", "malformed_json", "wrong_tracking_id"]
NEVER = ["hang", "reset", "503"]


@pytest.mark.parametrize("fault", [*LOST, *NEVER])
async def test_persons_are_linked_once(verato: Verato, fault: str) -> None:
    async with connected(verato) as index:
        first, _ = await two_persons(index)
        verato.plan(fault, "linkIdentities")
        reply = await index.link(ONE, OTHER)
        assert (reply.outcome, reply.link_id) == (CallOutcome.LINKED, first)
        assert await link_of(index, OTHER) == first
    assert verato.applied("linkIdentities") == 1
    assert verato.calls("linkIdentities") == (1 if fault in LOST else 2)


@pytest.mark.parametrize("fault", [*LOST, *NEVER])
async def test_a_registration_is_taken_out_once(verato: Verato, fault: str) -> None:
    async with connected(verato) as index:
        first, _ = await two_persons(index)
        await index.link(ONE, OTHER)
        verato.plan(fault, "unlinkIdentities")
        reply = await index.unlink(ONE, OTHER)
        assert reply.outcome is CallOutcome.LINKED
        assert await link_of(index, ONE) == first != await link_of(index, OTHER)
    assert verato.applied("unlinkIdentities") == 1
    assert verato.calls("unlinkIdentities") == (1 if fault in LOST else 2)


@pytest.mark.parametrize("fault", [*LOST, *NEVER])
async def test_a_number_is_retired_once(verato: Verato, fault: str) -> None:
    async with connected(verato) as index:
        first, _ = await two_persons(index)
        await index.link(ONE, OTHER)  # so that the link alone does not tell
        verato.plan(fault, "mergeIdentities")
        reply = await index.merge(ONE, OTHER)
        assert (reply.outcome, reply.link_id) == (CallOutcome.LINKED, first)
        found = await index.find(OTHER)
        assert found.content["identity"]["sources"] == [{"name": SOURCE, "id": "1"}]
    assert verato.applied("mergeIdentities") == 1
    assert verato.calls("mergeIdentities") == (1 if fault in LOST else 2)


@pytest.mark.parametrize("fault", LOST)
async def test_an_update_whose_answer_is_lost_ends_with_the_new_content(
    verato: Verato, fault: str
) -> None:
    row = MADE[1][0]
    async with connected(verato) as index:
        first = await index.post(record(row, "1"), new=True)
        verato.plan(fault, "postIdentity")
        moved = record(row | {"city": "Elsewhere"}, "1")
        reply = await index.post(moved, new=False)
        assert (reply.outcome, reply.link_id) == (CallOutcome.LINKED, reply.link_id)
        found = await index.find(ONE)
        assert [a["city"] for a in found.content["identity"]["addresses"]] == ["Elsewhere"]
    assert first.link_id is not None


async def test_a_new_registration_whose_answer_is_lost_is_not_posted_again(verato: Verato) -> None:
    async with connected(verato) as index:
        verato.plan("applied_then_timeout", "postIdentity")
        reply = await index.post(record(MADE[1][0], "1"), new=True)
        assert reply.link_id == await link_of(index, ONE)
    assert verato.applied("postIdentity") == verato.calls("postIdentity") == 1


async def test_writes_about_one_registration_wait_for_each_other(verato: Verato) -> None:
    rows = [MADE[1][0] | {"city": f"Town {number}"} for number in range(6)]
    async with connected(verato) as index:
        verato.plan("slow:150", "postIdentity", times=1)
        await asyncio.gather(*(index.post(record(row, "1"), new=False) for row in rows))
        found = await index.find(ONE)
    assert [a["city"] for a in found.content["identity"]["addresses"]] == ["Town 5"]
    assert verato.state()["most_open"] == 1


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize(("dates", "numbers"), [("iso", "digits"), ("digits", "dashed")])
async def test_both_payloads_register_and_find_a_person(
    verato: Verato, version: str, dates: str, numbers: str
) -> None:
    form = PayloadForm(version, dates, numbers, sources={"HOSP-X": SOURCE})
    async with connected(verato, form=form) as index:
        for position, (row, _) in enumerate(MADE[:40]):
            posted = await index.post(record(row, str(position), "HOSP-X"), new=True)
            found = await index.query(record(row))
            assert posted.link_id == found.link_id is not None
    persons = len({truth.entity_id for _, truth in MADE[:40]})
    assert verato.state()["links"] == persons


async def test_candidates_come_with_veratos_score(verato: Verato) -> None:
    async with connected(verato) as index:
        posted = await index.post(record(MADE[1][0], "1"), new=True)
        reply, candidates = await index.search(record(MADE[1][0]), limit=3)
        assert reply.outcome is CallOutcome.LINKED
        assert candidates[0].link_id == posted.link_id
        assert candidates[0].same == "Y"
        assert 0.9 <= candidates[0].score <= 1
        nobody = record(MADE[1][0] | {"last_name": "Quirk", "ssn": ""})
        assert (await index.search(nobody, limit=3))[1] == ()


async def test_what_another_process_has_taken_out_meanwhile_is_no_refusal(verato: Verato) -> None:
    async with connected(verato) as index:
        await two_persons(index)
        reply = await index.unlink(ONE, OTHER)
        assert reply.outcome is CallOutcome.LINKED
        verato.plan("success_false:no", "unlinkIdentities")
        await index.link(ONE, OTHER)
        reply = await index.unlink(ONE, OTHER)
        assert reply.outcome is CallOutcome.REJECTED
