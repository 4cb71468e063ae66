"""The servers that other tests rely on behave as servers do: they keep, they stop answering, they come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient, WriteConcern
from pymongo.errors import OperationFailure
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import TimeoutError as RedisTimeout
from redis.retry import Retry

from bench.daemons import Mongod, Server, Valkey


def test_what_a_mongod_acknowledged_survives_its_kill(tmp_path: Path) -> None:
    server = Mongod(tmp_path / "mongod")
    server.start()
    try:
        with MongoClient[dict[str, Any]](server.uri) as client:
            notes = client["test"].get_collection(
                "note", write_concern=WriteConcern("majority", j=True)
            )
            notes.insert_one({"_id": 1})
            server.kill()
            server.start()
            with client.start_session() as session, session.start_transaction():
                assert notes.find_one({"_id": 1}, session=session) == {"_id": 1}
    finally:
        server.kill()


def test_a_library_that_is_missing_is_named_with_what_installs_it(tmp_path: Path) -> None:
    said = (
        "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file"
    )

    def answers() -> None:
        raise ConnectionError

    server = Server(["sh", "-c", f"echo '{said}' >&2; exit 127"], 1, tmp_path / "log", answers)
    with pytest.raises(RuntimeError, match=r"libcurl\.so\.4.*apt-get install libcurl4 libssl3"):
        server.start()


def test_a_standalone_mongod_refuses_transactions(tmp_path: Path) -> None:
    server = Mongod(tmp_path / "mongod", standalone=True)
    server.start()
    try:
        with MongoClient[dict[str, Any]](server.uri, retryWrites=False) as client:
            notes = client["test"]["note"]
            with client.start_session() as session:
                session.start_transaction()
                with pytest.raises(OperationFailure, match="replica set"):
                    notes.insert_one({"_id": 1}, session=session)
            assert notes.find_one() is None
    finally:
        server.kill()


def test_a_paused_valkey_answers_again_when_it_goes_on(tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    server.start()
    try:
        with Redis(port=server.port, socket_timeout=0.2, retry=Retry(NoBackoff(), 0)) as client:
            client.set("name", "value")
            with server.paused(), pytest.raises(RedisTimeout):
                client.get("name")
            assert client.get("name") == b"value"
    finally:
        server.kill()
