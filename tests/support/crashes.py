"""Clients that change an index at random until it dies, and remember what they were told.

Whatever keeps identities has to pass: nothing here knows which store stands behind the service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2

from tests.support.people import FAULTS, Patient, made_up

Key = tuple[str, str]
REASON = {"reason": "a made-up decision"}
REFUSALS = frozenset({404, 409, 410, 412, 422})
"""How a decision may be refused: others decided first, or it contradicts what is known."""

PAGE = 1_000
SAMPLE = 40
"""How many registrations of each client a look compares, the latest ones."""


@dataclass(slots=True)
class Held:
    """A registration as acknowledged: its content, and whether it was deleted."""

    patient: Patient
    deleted: bool = False


@dataclass(slots=True)
class Truth:
    """What the service acknowledged to one client, and what that client is not sure of."""

    records: dict[Key, Held] = field(default_factory=dict)
    persons: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    unanswered: Request | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what becomes true when it is acknowledged."""

    method: str
    path: str
    body: Any
    told: Callable[[Any], None]
    touches: tuple[Key, ...] = ()


class Client:
    """Makes random requests, one at a time, on records that no other client registers."""

    def __init__(self, number: int, *, outlives_the_store: bool = False) -> None:
        """With ``outlives_the_store`` it repeats what a store that is down did not answer, until it does."""
        self.truth = Truth()
        self._repeats = outlives_the_store
        self._chance = Random(number)
        self._source = f"SITE-{number}"
        self._patients: list[Patient] = []
        self._serial = 0
        self.done = self.outages = 0
        self.faults: list[str] = []

    def work(self, url: str) -> None:
        """Go on until the service no longer answers."""
        with httpx2.Client(base_url=url, timeout=30) as http:
            while True:
                request = self._request()
                self.truth.unanswered = request
                try:
                    self.send(http, request)
                except httpx2.TransportError:
                    return
                self.done += 1

    def send(self, http: httpx2.Client, request: Request) -> None:
        """Send one request and remember what its answer acknowledges."""
        answer = http.request(request.method, request.path, json=request.body)
        while self._repeats and answer.status_code == 503:
            self.outages += 1
            time.sleep(0.05)
            answer = http.request(request.method, request.path, json=request.body)
        self.truth.unanswered = None
        if answer.status_code == 200:
            request.told(answer.json())
        elif answer.status_code == 410 and request.method == "DELETE":
            self.truth.records[request.touches[0]].deleted = True  # the first time, unanswered
        elif answer.status_code not in REFUSALS:
            self.faults.append(f"{request.method} {request.path}: {answer.text}")

    def again(self, key: Key) -> Request:
        """The registration of a record as it is known already."""
        return self._registration(key, self.truth.records[key].patient)

    def _request(self) -> Request:
        makers = [self._register] * 4 + [self._batch, self._update, self._update, self._delete]
        makers += [self._merge, self._move, self._assert, self._undo, self._undo, self._decide]
        while True:
            made = self._chance.choice(makers)()
            if made is not None:
                return made

    def _patient(self) -> Patient:
        """Somebody new or, as often, somebody known with a fault or two."""
        if self._patients and self._chance.random() < 0.5:
            patient = self._chance.choice(self._patients)
            for fault in self._chance.sample(list(FAULTS.values()), self._chance.randrange(3)):
                patient = fault(patient) if patient.keys() >= made_up(Random(0)).keys() else patient
        else:
            patient = made_up(self._chance)
            self._patients.append(patient)
        return self._marked(patient)

    def _marked(self, patient: Patient) -> Patient:
        """With an address that tells this version from all others."""
        self._serial += 1
        return patient | {"email": f"{self._source}.{self._serial}@example.org".lower()}

    def _new_key(self) -> Key:
        self._serial += 1
        return self._source, str(self._serial)

    def _registration(self, key: Key, patient: Patient) -> Request:
        body = {"patient_data": patient, "source": key[0], "source_id": key[1]}
        return Request(
            "POST", "/mpi/match", body, lambda told: self._registered(key, patient, told), (key,)
        )

    def _registered(self, key: Key, patient: Patient, told: Any) -> None:
        if told["provisional"]:
            return  # it waits for a steward, and the version before it stays
        self.truth.records[key] = Held(patient)
        self.truth.persons.append(told["mpi_id"])
        self._happened(told)

    def _happened(self, told: Any) -> None:
        if told["event_id"] is not None:
            self.truth.events.append(told["event_id"])
        self.truth.retired.extend(told.get("retired", ()))
        self.truth.tasks.extend(told.get("task_ids") or filter(None, (told.get("task_id"),)))

    def _register(self) -> Request:
        return self._registration(self._new_key(), self._patient())

    def _batch(self) -> Request:
        rows = [(self._new_key(), self._patient()) for _ in range(self._chance.randrange(2, 9))]

        def told(answer: Any) -> None:
            for (key, patient), result in zip(rows, answer["results"], strict=True):
                self._registered(key, patient, result)

        body = {"patients": [p | {"source": k[0], "source_id": k[1]} for k, p in rows]}
        return Request("POST", "/mpi/batch", body, told, tuple(key for key, _ in rows))

    def _known(self) -> Key | None:
        present = [key for key, held in self.truth.records.items() if not held.deleted]
        return self._chance.choice(present) if present else None

    def _update(self) -> Request | None:
        key = self._known()
        if key is None:
            return None
        patient = self._marked(self.truth.records[key].patient)
        body = {"patient_data": patient}
        return Request(
            "PUT", _path(key), body, lambda told: self._registered(key, patient, told), (key,)
        )

    def _delete(self) -> Request | None:
        key = self._known()
        if key is None:
            return None

        def told(answer: Any) -> None:
            self.truth.records[key].deleted = True
            self._happened(answer)

        return Request("DELETE", _path(key), None, told, (key,))

    def _merge(self) -> Request | None:
        if len(self.truth.persons) < 2:
            return None
        kept, gone = self._chance.sample(self.truth.persons[-50:], 2)
        return self._decision(f"/mpi/persons/{kept}/merge", {"retire": gone})

    def _move(self) -> Request | None:
        key = self._known()
        if key is None:
            return None
        to = "new" if self._chance.random() < 0.5 else self._chance.choice(self.truth.persons)
        return self._decision(f"{_path(key)}/move", {"to": to})

    def _assert(self) -> Request | None:
        left, right = self._known(), self._known()
        if left is None or right is None:
            return None
        kind = self._chance.choice(("same", "not-same"))
        return self._decision("/mpi/assertions", {"kind": kind, "records": [left, right]})

    def _undo(self) -> Request | None:
        if not self.truth.decisions:
            return None
        event_id = self._chance.choice(self.truth.decisions[-30:])
        return self._decision(f"/mpi/events/{event_id}/undo", {})

    def _decide(self) -> Request | None:
        if not self.truth.tasks:
            return None
        outcome = self._chance.choice(("same", "not-same", "new"))
        task = self._chance.choice(self.truth.tasks[-30:])
        return self._decision(f"/mpi/tasks/{task}/decide", {"outcome": outcome})

    def _decision(self, path: str, body: dict[str, Any]) -> Request:
        def told(answer: Any) -> None:
            self.truth.decisions.append(answer["event_id"])
            self._happened(answer)

        return Request("POST", path, body | REASON, told)


def _path(key: Key) -> str:
    return f"/mpi/records/{key[0]}/{key[1]}"


def work_until_it_dies(
    url: str, clients: list[Client], kill: Callable[[], None], *, after: int
) -> None:
    """Let all of them work at once, and kill the service when they had ``after`` answers."""
    threads = [threading.Thread(target=client.work, args=(url,)) for client in clients]
    enough = sum(client.done for client in clients) + after
    for thread in threads:
        thread.start()
    while sum(client.done for client in clients) < enough and any(t.is_alive() for t in threads):
        time.sleep(0.0005)
    kill()
    for thread in threads:
        thread.join()


def history(http: httpx2.Client, after: int = 0) -> Iterator[dict[str, Any]]:
    """Every event after a sequence number; which event undid it later is no part of it."""
    while page := http.get("/mpi/events", params={"after": after, "limit": PAGE}).json()["events"]:
        for event in page:
            yield {name: value for name, value in event.items() if name != "undone_by"}
        after = page[-1]["seq"]


class Witness:
    """Compares an index that was killed with what its clients were told."""

    def __init__(self, clients: list[Client], chance: Random) -> None:
        self._clients = clients
        self._chance = chance
        self._past: list[dict[str, Any]] = []
        self._seen: list[set[Key]] = [set() for _ in clients]

    def assert_kept(self, http: httpx2.Client) -> None:
        """Nothing acknowledged is missing or other than it was, and repeating it changes nothing."""
        now = list(history(http))
        assert [event["seq"] for event in now] == list(range(1, len(now) + 1))
        assert now[: len(self._past)] == self._past
        happened = {event["event_id"] for event in now}
        for number, client in enumerate(self._clients):
            assert client.faults == []
            assert happened.issuperset(client.truth.events)
            keys = self._keys(number)
            _assert_kept(http, client, keys)
            for mpi_id in client.truth.retired[-SAMPLE:]:
                assert http.get(f"/mpi/persons/{mpi_id}").status_code in {200, 410}
            _assert_repeatable(http, client, keys)
        self._past = list(history(http))

    def _keys(self, number: int) -> list[Key]:
        """Some of what is new since the last look, and a few of the old ones."""
        known, seen = self._clients[number].truth.records, self._seen[number]
        new = [key for key in known if key not in seen]
        old = self._chance.sample(sorted(seen), min(SAMPLE // 4, len(seen)))
        seen.update(new)
        return new[-SAMPLE:] + old


def _assert_kept(http: httpx2.Client, client: Client, keys: list[Key]) -> None:
    """Every acknowledged registration of ``keys`` is what was acknowledged, in one person."""
    doubtful = client.truth.unanswered.touches if client.truth.unanswered else ()
    for key in keys:
        held = client.truth.records[key]
        found = http.get(_path(key))
        if key in doubtful:
            assert found.status_code in {200, 410}
        elif held.deleted:
            assert found.status_code == 410, (key, found.text)
        else:
            assert found.status_code == 200, (key, found.text)
            assert found.json()["patient_data"]["emails"] == [held.patient["email"]]
            person = http.get(f"/mpi/persons/{found.json()['mpi_id']}").json()
            assert list(key) in person["crosswalk"]
            assert person["mpi_id"] == found.json()["mpi_id"]


def _assert_repeatable(http: httpx2.Client, client: Client, keys: list[Key]) -> None:
    """What was acknowledged changes nothing when sent again; what was not can be sent again."""
    if (unanswered := client.truth.unanswered) is not None:
        client.send(http, unanswered)
        assert client.faults == []
    for key in keys:
        if not client.truth.records[key].deleted:
            request = client.again(key)
            told = http.post(request.path, json=request.body).json()
            assert told["event_id"] is None, (key, told)
