"""What people decide here takes effect at Verato, exactly once, whatever happens on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mpi.domain.errand import Errand, ErrandKind, Lane
from mpi.domain.record import RecordKey
from mpi.providers.verato.links import link_key
from tests.support.api import Api, serving
from tests.support.verato import SOURCE, Verato, registrations
from tests.support.verato_service import IMPATIENT, body, match, on_mongodb, settings

MADE = registrations(300)
REASON = {"reason": "seen together"}
ONE, OTHER, THIRD = (SOURCE, "1"), (SOURCE, "2"), (SOURCE, "3")


@pytest.fixture
async def api(verato: Verato, tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path, **settings(verato, **IMPATIENT)) as api:
        yield api


async def deliver(api: Api) -> None:
    assert api.parts.courier is not None
    await api.parts.courier.deliver()


async def due_again(api: Api) -> None:
    """As if the time had come for what was put off."""
    for leased in await api.parts.store.due(timedelta(0), limit=99):
        await api.parts.store.later(leased, leased.created_at)
    kinds = {w.kind: w.count for w in await api.parts.store.waiting()}
    keys = (RecordKey(*ONE), RecordKey(*OTHER))
    if kinds.get(ErrandKind.ALIGN):
        await api.parts.store.queue([Errand(ErrandKind.ALIGN, keys, Lane.REAL_TIME)])


async def post(api: Api, path: str, **body: Any) -> Any:
    answer = await api.client.post(path, json=REASON | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def strangers(api: Api) -> tuple[str, str]:
    """Two persons whom Verato tells apart too, as ONE and OTHER."""
    first = await match(api, MADE[1][0], "1")
    second = await match(api, MADE[2][0], "2")
    assert first["provider_ids"] != second["provider_ids"]
    return first["mpi_id"], second["mpi_id"]


async def merged(api: Api) -> str:
    """The event of a merge of two strangers."""
    first, second = await strangers(api)
    event: str = (await post(api, f"/mpi/persons/{first}/merge", retire=second))["event_id"]
    return event


async def tasks(api: Api) -> list[dict[str, Any]]:
    answer = await api.client.get("/mpi/tasks?status=open")
    found: list[dict[str, Any]] = answer.json()["tasks"]
    return found


RETIRED = Errand(ErrandKind.RETIRE, (RecordKey(*ONE), RecordKey(*OTHER)), Lane.REAL_TIME)
LOST = ["as it should be", "applied_then_timeout", "close_mid_body", "malformed_json"]


@pytest.mark.parametrize("fault", LOST)
async def test_a_merge_and_its_undo_are_told_once(verato: Verato, api: Api, fault: str) -> None:
    event = await merged(api)
    if fault in LOST[1:]:
        verato.plan(fault, "linkIdentities")
        verato.plan(fault, "unlinkIdentities")
    await deliver(api)
    assert verato.link_of(ONE) == verato.link_of(OTHER)
    await post(api, f"/mpi/events/{event}/undo")
    await deliver(api)
    assert verato.link_of(ONE) != verato.link_of(OTHER)
    for operation in ("linkIdentities", "unlinkIdentities"):
        assert verato.applied(operation) == verato.calls(operation) == 1
    # The records lie under their new links at once: who is registered next finds the right person.
    for key in (ONE, OTHER):
        record = await api.parts.store.record(RecordKey(*key))
        assert record is not None
        assert link_key(verato.link_of(key)) in record.blocking_keys
    assert await api.parts.store.waiting() == ()


async def test_what_is_decided_back_and_forth_needs_no_telling(verato: Verato, api: Api) -> None:
    event = await merged(api)
    await post(api, f"/mpi/events/{event}/undo")
    await deliver(api)
    assert verato.calls("linkIdentities") == verato.calls("unlinkIdentities") == 0
    assert await api.parts.store.waiting() == ()


async def test_a_process_that_dies_after_verato_has_done_it_repeats_nothing(
    verato: Verato, api: Api
) -> None:
    await merged(api)
    # It had the errand in hand, Verato did it, and nobody is left to say so.
    (dead,) = await api.parts.store.due(timedelta(0))
    verato.link(ONE, OTHER)
    await deliver(api)
    assert dead.errand.kind is ErrandKind.ALIGN
    assert verato.calls("linkIdentities") == 0
    assert await api.parts.store.waiting() == ()


async def test_a_move_is_told(verato: Verato, api: Api) -> None:
    first, second = await strangers(api)
    await match(api, MADE[1][0], "3")
    assert verato.link_of(THIRD) == verato.link_of(ONE)
    await post(api, f"/mpi/records/{SOURCE}/3/move", to=second)
    await deliver(api)
    assert verato.link_of(THIRD) == verato.link_of(OTHER) != verato.link_of(ONE)
    await post(api, f"/mpi/records/{SOURCE}/3/move", to=first)
    await deliver(api)
    assert verato.link_of(THIRD) == verato.link_of(ONE) != verato.link_of(OTHER)


async def test_while_verato_is_away_a_decision_waits(verato: Verato, api: Api) -> None:
    await merged(api)
    verato.plan("503", times=None)
    await deliver(api)
    (waiting,) = await api.parts.store.waiting()
    assert (waiting.kind, waiting.count) == (ErrandKind.ALIGN, 1)
    assert verato.link_of(ONE) != verato.link_of(OTHER)
    verato.clear()
    await due_again(api)
    await deliver(api)
    assert verato.link_of(ONE) == verato.link_of(OTHER)
    assert verato.applied("linkIdentities") == 1


async def test_while_verato_is_left_alone_a_decision_waits_without_failing(
    verato: Verato, tmp_path: Path
) -> None:
    again = Errand(ErrandKind.ALIGN, (RecordKey(*ONE), RecordKey(*OTHER)), Lane.REAL_TIME)
    async with serving(tmp_path, **settings(verato, VERATO_BREAKER_CALLS="2")) as api:
        await merged(api)
        verato.plan("503", times=None)
        await deliver(api)
        asked = verato.calls("nativeIdQuery")
        for _ in range(3):
            await api.parts.store.queue([again])  # due at once
            await deliver(api)
        assert await api.parts.store.due(timedelta(0)) == ()
        await api.parts.store.queue([again])
        (leased,) = await api.parts.store.due(timedelta(0))
        assert (leased.attempts, leased.reason) == (1, "breaker_open")
        assert verato.calls("nativeIdQuery") == asked > 0


@pytest.mark.parametrize(("outcome", "links"), [("same", 1), ("leave", 2)])
async def test_what_verato_refuses_is_asked_a_steward(
    verato: Verato, api: Api, outcome: str, links: int
) -> None:
    await merged(api)
    verato.plan("success_false:no", "linkIdentities")
    await deliver(api)
    (task,) = await tasks(api)
    assert (task["kind"], task["reason"]) == ("provider", "refused_elsewhere")
    assert await api.parts.store.waiting() == ()
    await post(api, f"/mpi/tasks/{task['task_id']}/decide", outcome=outcome)
    await deliver(api)
    assert len({verato.link_of(ONE), verato.link_of(OTHER)}) == links
    assert await tasks(api) == []


@pytest.mark.parametrize("retired", [0, 1])
async def test_what_verato_refused_is_told_anew_whoever_is_named(
    verato: Verato, api: Api, retired: int
) -> None:
    """Whether the record that the task is about is the first of its person or not."""
    persons = await strangers(api)
    verato.plan("success_false:no", "linkIdentities")
    kept, gone = persons[1 - retired], persons[retired]
    await post(api, f"/mpi/persons/{kept}/merge", retire=gone)
    await deliver(api)
    (task,) = await tasks(api)
    await post(api, f"/mpi/tasks/{task['task_id']}/decide", outcome="same")
    await deliver(api)
    assert verato.link_of(ONE) == verato.link_of(OTHER)


@pytest.mark.parametrize("fault", ["success_false:The source is unknown", "overlay"])
@pytest.mark.parametrize(("outcome", "told"), [("same", True), ("leave", False)])
async def test_a_registration_that_verato_refuses_later_is_asked_a_steward(
    verato: Verato, tmp_path: Path, fault: str, outcome: str, told: bool
) -> None:
    async with serving(tmp_path) as internal:
        mpi_id = (await match(internal, MADE[1][0], "1"))["mpi_id"]
    async with serving(tmp_path, **settings(verato)) as api:
        verato.plan(fault, "postIdentity")
        await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(*ONE),))])
        await deliver(api)
        (task,) = await tasks(api)
        assert (task["kind"], task["reason"]) == ("provider", "untold_elsewhere")
        assert task["candidates"] == [mpi_id]
        assert await api.parts.store.waiting() == ()
        await post(api, f"/mpi/tasks/{task['task_id']}/decide", outcome=outcome)
        await deliver(api)
        assert verato.applied("postIdentity") == int(told)
        assert await tasks(api) == []
        assert await api.parts.store.waiting() == ()


async def test_who_is_unknown_there_is_told_of_first(verato: Verato, tmp_path: Path) -> None:
    async with serving(tmp_path) as internal:
        persons = [
            (await match(internal, MADE[number][0], str(number)))["mpi_id"] for number in (1, 2)
        ]
    async with serving(tmp_path, **settings(verato)) as api:
        await post(api, f"/mpi/persons/{persons[0]}/merge", retire=persons[1])
        await deliver(api)
        assert verato.link_of(ONE) == verato.link_of(OTHER)
        assert verato.applied("postIdentity") == 2


async def test_nobody_is_told_when_our_own_engine_decides(tmp_path: Path) -> None:
    async with serving(tmp_path) as api:
        found = [(await match(api, MADE[number][0], str(number)))["mpi_id"] for number in (1, 2)]
        await post(api, f"/mpi/persons/{found[0]}/merge", retire=found[1])
        assert await api.parts.store.waiting() == ()
        assert api.parts.courier is None


@pytest.mark.parametrize("fault", LOST)
async def test_a_number_that_is_replaced_is_retired_once(
    verato: Verato, api: Api, fault: str
) -> None:
    first, second = await strangers(api)
    if fault in LOST[1:]:
        verato.plan(fault, "mergeIdentities")
    done = await post(api, f"/mpi/records/{SOURCE}/2/replace", by="1")
    assert (done["mpi_id"], done["retired"]) == (first, [second])
    await deliver(api)
    await api.parts.store.queue([RETIRED])  # as if nobody had been left to say that it is done
    await deliver(api)
    assert verato.applied("mergeIdentities") == verato.calls("mergeIdentities") == 1
    assert verato.calls("linkIdentities") == 0
    assert await tasks(api) == []
    assert (await api.client.get(f"/mpi/records/{SOURCE}/2")).status_code == 410
    assert (await api.client.get(f"/mpi/persons/{second}")).json()["mpi_id"] == first


async def test_a_version_that_a_steward_accepts_is_found_by_its_link(
    verato: Verato, api: Api
) -> None:
    await match(api, MADE[1][0], "1")
    verato.plan("overlay", "postIdentity")
    found = await match(api, MADE[1][0] | {"city": "Elsewhere"}, "1")
    await post(api, f"/mpi/tasks/{found['task_id']}/decide", outcome="accept")
    await deliver(api)
    record = await api.parts.store.record(RecordKey(*ONE))
    assert record is not None
    assert record.demographics.addresses[0].city == "Elsewhere"
    assert link_key(verato.link_of(ONE)) in record.blocking_keys


@pytest.fixture(params=["sqlite", "mongodb"])
async def grey(
    verato: Verato, tmp_path: Path, request: pytest.FixtureRequest
) -> AsyncIterator[Api]:
    """A service that tells Verato of nothing that is clear."""
    is_file = request.param == "sqlite"
    place = {} if is_file else on_mongodb(request.getfixturevalue("mongod"))
    hybrid = {"MPI_PROVIDER": "hybrid", **place}
    async with serving(tmp_path, **settings(verato, **hybrid, **IMPATIENT)) as api:
        yield api


async def replaced(verato: Verato, api: Api) -> None:
    """A number that Verato knows is replaced by one that it has never heard of."""
    await match(api, MADE[1][0], "2")
    await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(*OTHER),))])
    await deliver(api)
    await match(api, MADE[1][0], "1")
    assert verato.applied("postIdentity") == 1
    await post(api, f"/mpi/records/{SOURCE}/2/replace", by="1")


def is_retired(verato: Verato) -> bool:
    found = verato.simulated.tenant.registry.find(OTHER)
    assert found is not None
    return found.retired_into == ONE


async def test_a_number_is_replaced_by_one_that_verato_does_not_know(
    verato: Verato, grey: Api
) -> None:
    await replaced(verato, grey)
    await deliver(grey)
    assert is_retired(verato)
    assert await tasks(grey) == []
    record = await grey.parts.store.record(RecordKey(*ONE))
    assert record is not None
    assert link_key(verato.link_of(ONE)) in record.blocking_keys


@pytest.mark.parametrize(("outcome", "retired"), [("same", True), ("leave", False)])
async def test_a_replacement_that_verato_refuses_is_told_again_when_it_is_decided(
    verato: Verato, grey: Api, outcome: str, retired: bool
) -> None:
    await replaced(verato, grey)
    verato.plan("success_false:no", "mergeIdentities")
    await deliver(grey)
    (task,) = await tasks(grey)
    assert (task["kind"], task["reason"]) == ("provider", "refused_elsewhere")
    assert not is_retired(verato)
    await post(grey, f"/mpi/tasks/{task['task_id']}/decide", outcome=outcome)
    await deliver(grey)
    assert is_retired(verato) is retired
    assert await tasks(grey) == []


async def test_a_number_that_verato_never_answered_about_is_replaced_without_a_question(
    verato: Verato, tmp_path: Path
) -> None:
    first = {"MPI_PROVIDER": "hybrid", "MPI_HYBRID_STRATEGY": "verato_first"}
    async with serving(tmp_path, **settings(verato, **first, **IMPATIENT)) as api:
        verato.plan("503", "postIdentity", times=None)
        await match(api, MADE[1][0], "2")
        await match(api, MADE[1][0], "1")
        verato.clear()
        await post(api, f"/mpi/records/{SOURCE}/2/replace", by="1")
        await api.parts.store.queue([Errand(ErrandKind.POST, (RecordKey(*ONE),))])
        await deliver(api)
        await api.parts.store.queue([RETIRED])
        await deliver(api)
        assert await tasks(api) == []


async def test_a_number_that_is_in_use_again_is_not_retired(verato: Verato, api: Api) -> None:
    await strangers(api)
    await post(api, f"/mpi/records/{SOURCE}/2/replace", by="1")
    await match(api, MADE[2][0], "2")  # before Verato has been told
    await deliver(api)
    assert not is_retired(verato)
    assert verato.calls("mergeIdentities") == 0


async def test_a_replaced_number_that_comes_again_is_refused_and_why(
    verato: Verato, api: Api
) -> None:
    await strangers(api)
    await post(api, f"/mpi/records/{SOURCE}/2/replace", by="1")
    await deliver(api)
    assert is_retired(verato)
    answer = await api.client.post("/mpi/match", json=body(MADE[2][0], "2"))
    assert (answer.status_code, answer.json()["code"]) == (422, "provider_refusal")
    assert "unmergeIdentities" in answer.json()["detail"]
    verato.plan("success_false:no", "postIdentity")
    answer = await api.client.post("/mpi/match", json=body(MADE[2][0], "3"))
    assert "source" in answer.json()["detail"], "one that was never replaced"
