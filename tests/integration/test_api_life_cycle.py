"""The life of an identity as clients see it: preconditions, undoing, tasks, the past."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mpi.domain.intake import MAX_SOURCE, MAX_SOURCE_ID
from tests.support.api import Api, serving
from tests.support.index import MARGA, MARGA_IN_DOUBT, OTTO

Headers = dict[str, str]
WHY = {"reason": "seen the passport"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with serving(tmp_path) as found:
        yield found


async def put(api: Api, source_id: str, patient: dict[str, str], **headers: str) -> Any:
    """Register a patient; the answer, whatever its status."""
    path = f"/mpi/records/lab/{source_id}"
    return await api.client.put(path, json={"patient_data": patient}, headers=headers)


async def post(
    api: Api, path: str, body: Any, status: int = 200, headers: Headers | None = None
) -> Any:
    """The body of an answer that has this status."""
    answer = await api.client.post(path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def two_persons(api: Api) -> tuple[str, str]:
    """Marga under 1, Otto under 2."""
    one, other = await put(api, "1", MARGA), await put(api, "2", OTTO)
    return one.json()["mpi_id"], other.json()["mpi_id"]


@pytest.mark.parametrize(
    ("source", "source_id"),
    [("HOSP/A", "1"), ("/lab", "/1/"), ("lab", "1/move"), ("50%2F50", "a b?c#d"), ("Köln", "%")],
)
async def test_every_id_that_can_be_registered_is_reached_by_its_path(
    api: Api, source: str, source_id: str
) -> None:
    ids = {"source": source, "source_id": source_id}
    made = await post(api, "/mpi/match", {"patient_data": MARGA, **ids})
    await post(api, "/mpi/match", {"patient_data": MARGA, "source": "lab", "source_id": "2"})
    path = f"/mpi/records/{quote(source, safe='')}/{quote(source_id, safe='')}"
    read = await api.client.get(path)
    assert {name: read.json()[name] for name in ids} == ids, read.text
    again = await api.client.put(path, json={"patient_data": MARGA})
    assert (again.status_code, again.json()["event_id"]) == (200, None)
    moved = await post(api, f"{path}/move", {"to": "new", **WHY})
    assert moved["mpi_id"] != made["mpi_id"]
    assert (await api.client.delete(path)).status_code == 200
    assert (await api.client.get(path)).status_code == 410


@pytest.mark.parametrize("path", ["/mpi/records/lab%2F1", "/mpi%2Frecords/x/lab/1"])
async def test_a_slash_within_an_id_separates_nothing(api: Api, path: str) -> None:
    await put(api, "1", MARGA)
    answer = await api.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize("name", ["%0Alab/1", "lab/%0A1", "lab/1%0D%0A"])
async def test_a_line_break_around_an_id_is_dropped_as_any_blank(api: Api, name: str) -> None:
    await put(api, "1", MARGA)
    read = await api.client.get(f"/mpi/records/{name}")
    assert (read.json()["source"], read.json()["source_id"]) == ("lab", "1")
    again = await api.client.put(f"/mpi/records/{name}", json={"patient_data": MARGA})
    assert (again.status_code, again.json()["event_id"]) == (200, None)


@pytest.mark.parametrize("name", ["lab/M%FC1", "l%FFb/1", "lab/%ED%A0%80"])
async def test_ids_that_are_not_utf_8_are_refused(api: Api, name: str) -> None:
    """Replaced by a sign, two numbers would be one."""
    for answer in (
        await api.client.put(f"/mpi/records/{name}", json={"patient_data": MARGA}),
        await api.client.get(f"/mpi/records/{name}"),
        await api.client.delete(f"/mpi/records/{name}"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_a_line_break_within_an_id_is_refused(api: Api) -> None:
    answer = await api.client.put("/mpi/records/la%0Ab/1", json={"patient_data": MARGA})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")


async def test_the_etag_of_a_record_is_that_of_its_person(api: Api) -> None:
    mpi_id, _ = await two_persons(api)
    record = await api.client.get("/mpi/records/lab/1")
    ids = {"source": "lab", "source_id": "1"}
    looked_up = await api.client.post("/mpi/records/lookup", json=ids)
    person = await api.client.get(f"/mpi/persons/{mpi_id}")
    history = await api.client.get(f"/mpi/persons/{mpi_id}/history")
    etags = {answer.headers["etag"] for answer in (record, looked_up, person, history)}
    assert etags == {f'"{person.json()["version"]}"'}
    assert record.json()["person_version"] == person.json()["version"]


async def test_the_longest_ids_that_are_taken_can_be_looked_up(api: Api) -> None:
    ids = {"source": "s" * MAX_SOURCE, "source_id": "9" * MAX_SOURCE_ID}
    body = {"patient_data": MARGA, **ids}
    assert (await api.client.post("/mpi/match", json=body)).status_code == 200
    assert (await api.client.post("/mpi/records/lookup", json=ids)).status_code == 200


async def test_every_change_honours_if_match(api: Api) -> None:
    mpi_id, other = await two_persons(api)
    stale = {"if-match": (await api.client.get("/mpi/records/lab/1")).headers["etag"]}
    merged = await post(
        api, f"/mpi/persons/{mpi_id}/merge", {"retire": other, **WHY}, headers=stale
    )
    third = (await put(api, "3", {"first_name": "Ifeoma", "last_name": "Okonkwo"})).json()
    for path, body in (
        (f"/mpi/persons/{mpi_id}/merge", {"retire": third["mpi_id"], **WHY}),
        ("/mpi/records/lab/1/move", {"to": "new", **WHY}),
        (f"/mpi/events/{merged['event_id']}/undo", WHY),
    ):
        assert (await post(api, path, body, 412, stale))["code"] == "precondition_failed"
    assert (await put(api, "1", {**MARGA, "phone": "302-555-0199"}, **stale)).status_code == 412
    gone = await api.client.delete("/mpi/records/lab/1", headers=stale)
    assert gone.status_code == 412
    fresh = {"if-match": (await api.client.get("/mpi/records/lab/1")).headers["etag"]}
    await post(api, f"/mpi/events/{merged['event_id']}/undo", WHY, headers=fresh)


async def test_a_registration_may_insist_on_being_the_first_or_not(api: Api) -> None:
    assert (await put(api, "1", MARGA, **{"if-match": "*"})).status_code == 412
    assert (await put(api, "1", MARGA, **{"if-none-match": "*"})).status_code == 200
    assert (await put(api, "1", MARGA, **{"if-none-match": "*"})).status_code == 412
    assert (await put(api, "1", OTTO, **{"if-match": "*"})).status_code == 200
    assert (await put(api, "1", MARGA, **{"if-none-match": '"1"'})).status_code == 412


async def test_a_conflict_names_events_and_no_record(api: Api) -> None:
    mpi_id, other = await two_persons(api)
    pair = [["lab", "1"], ["lab", "2"]]
    stated = await post(api, "/mpi/assertions", {"kind": "not-same", "records": pair, **WHY})
    merge = {"retire": other, **WHY}
    refused = await post(api, f"/mpi/persons/{mpi_id}/merge", merge, 409)
    assert refused["assertions"] == [stated["event_id"]]
    same = await post(api, "/mpi/assertions", {"kind": "same", "records": pair, **WHY}, 409)
    assert same["assertions"] == [stated["event_id"]]
    assert not [body for body in (refused, same) if '"lab"' in str(body) or "'lab'" in str(body)]
    events = (await api.client.get("/mpi/events")).json()["events"]
    (named,) = [e for e in events if e["event_id"] == stated["event_id"]]
    assert named["asserted"][0]["kind"] == "not-same"


async def test_a_feed_that_was_set_back_says_so(api: Api) -> None:
    await two_persons(api)
    page = (await api.client.get("/mpi/events")).json()
    there = await api.client.get(f"/mpi/events?after={page['next']}")
    assert there.json() == {"events": [], "next": page["next"]}
    beyond = await api.client.get(f"/mpi/events?after={page['next'] + 1}")
    assert (beyond.status_code, beyond.json()["last"]) == (409, page["next"])


async def test_an_undo_lists_what_is_in_its_way_and_cascades(api: Api) -> None:
    mpi_id, other = await two_persons(api)
    merged = await post(api, f"/mpi/persons/{mpi_id}/merge", {"retire": other, **WHY})
    moved = await post(api, "/mpi/records/lab/2/move", {"to": "new", **WHY})
    undo = f"/mpi/events/{merged['event_id']}/undo"
    assert (await post(api, undo, WHY, 409))["events"] == [moved["event_id"]]
    shown = await post(api, undo, {"cascade": True, "preview": True, **WHY})
    assert (shown["preview"], shown["event_id"]) == (True, None)
    done = await post(api, undo, {"cascade": True, **WHY})
    assert done["detail"] == {k: v for k, v in shown["detail"].items() if k != "tasks"}
    assert done["detail"]["undone"] == [moved["event_id"], merged["event_id"]]
    assert (await api.client.get("/mpi/records/lab/2")).json()["mpi_id"] == other


async def test_the_past_is_read_without_an_etag(api: Api) -> None:
    mpi_id, other = await two_persons(api)
    then = datetime.now(UTC).isoformat()
    await post(api, f"/mpi/persons/{mpi_id}/merge", {"retire": other, **WHY})
    past = await api.client.get(f"/mpi/persons/{other}", params={"as_of": then})
    assert past.json()["mpi_id"] == other
    assert "etag" not in past.headers
    now = await api.client.get(f"/mpi/persons/{other}")
    assert (now.json()["mpi_id"], now.json()["requested_mpi_id"]) == (mpi_id, other)


async def test_tasks_are_put_off_handed_over_and_decided_in_bulk(api: Api) -> None:
    await put(api, "1", MARGA)
    task_id = (await put(api, "2", MARGA_IN_DOUBT)).json()["task_id"]
    task = f"/mpi/tasks/{task_id}"
    first = {"if-match": (await api.client.get(task)).headers["etag"]}
    later = {"until": "2030-01-01T00:00:00", **WHY}
    deferred = await post(api, f"{task}/defer", later, headers=first)
    assert deferred["deferred_until"] == "2030-01-01T00:00:00+00:00"
    waiting = (await api.client.get("/mpi/tasks", params={"status": "open"})).json()
    assert waiting["tasks"] == []
    await post(api, f"{task}/reassign", {"assignee": "ann", **WHY}, 412, first)
    handed = await post(api, f"{task}/reassign", {"assignee": "ann", **WHY})
    assert (handed["status"], handed["assignee"]) == ("claimed", "ann")
    many = {"decisions": [{"task_id": task_id, "outcome": "same"}] * 2, **WHY}
    refused, _ = (await post(api, "/mpi/tasks/decide", many))["results"]
    assert (refused["code"], refused["status"]) == ("conflict", 409), "it is ann's"
    await post(api, f"{task}/reassign", {"assignee": None, **WHY})
    shown = await post(api, "/mpi/tasks/decide", {"preview": True, **many})
    assert [r["task_id"] for r in shown["results"]] == [task_id] * 2
    assert shown["results"][0]["preview"] is True
    done, again = (await post(api, "/mpi/tasks/decide", many))["results"]
    assert done["event_id"]
    assert (again["code"], again["status"]) == ("conflict", 409)


@pytest.mark.parametrize(
    "until", [5, "1900000000", "tomorrow", "2001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
async def test_a_task_is_put_off_until_a_time_that_can_be_read(api: Api, until: Any) -> None:
    await put(api, "1", MARGA)
    task_id = (await put(api, "2", MARGA_IN_DOUBT)).json()["task_id"]
    body = {"until": until, **WHY}
    refused = await post(api, f"/mpi/tasks/{task_id}/defer", body, 422)
    assert "tomorrow" not in str(refused)
