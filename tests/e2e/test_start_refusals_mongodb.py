"""A start on MongoDB that cannot succeed ends with one sentence that says what is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from bench.daemons import Mongod, free_port
from mpi.demo.verato.certificates import certificates
from tests.support.refusals import SECRET, assert_refused
from tests.support.service import Done, on_mongodb, run_mpi

USER, PASSWORD = "keeper", "the-right-one"


def started(folder: Path, uri: str, command: str = "serve", **settings: str) -> Done:
    """What a start with the address ends with; it waits a second for servers that do not answer."""
    given = {
        "MPI_PROVIDER": "internal",
        "MPI_STORE": "mongodb",
        "MPI_CACHE": "memory",
        "MPI_HMAC_KEY": on_mongodb("", "").settings["MPI_HMAC_KEY"],
        "MPI_MONGO_TIMEOUT": "1",
        "MONGODB_URI": uri,
    }
    port = ("--port", str(free_port())) if command == "serve" else ()
    return run_mpi(folder, command, *port, settings=given | settings)


@contextmanager
def serving(folder: Path, *options: str, standalone: bool = False) -> Iterator[Mongod]:
    server = Mongod(folder, *options, standalone=standalone)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def with_user(uri: str, user: str, password: str) -> str:
    return uri.replace("mongodb://", f"mongodb://{user}:{password}@")


def test_nobody_answers(tmp_path: Path) -> None:
    uri = with_user(f"mongodb://127.0.0.1:{free_port()}/", USER, SECRET)
    assert_refused(started(tmp_path, uri), "no MongoDB answers", "MONGODB_URI", "--embedded")


@pytest.mark.parametrize(
    "uri",
    [f"http://{SECRET}", f"mongodb://user:{SECRET}@/x", f"mongodb://127.0.0.1:{SECRET}", SECRET],
)
def test_no_address(tmp_path: Path, uri: str) -> None:
    assert_refused(started(tmp_path, uri), "MONGODB_URI is no address", "mongodb://")


@pytest.mark.parametrize(
    ("name", "is_there"),
    [
        ("tlsCAFile", False),
        ("tlsCAFile", True),
        ("tlsCRLFile", True),
        ("tlsCertificateKeyFile", False),
    ],
)
def test_certificates_that_are_none(tmp_path: Path, name: str, *, is_there: bool) -> None:
    file = tmp_path / SECRET
    if is_there:
        file.write_text("no certificate")
    done = started(tmp_path, f"mongodb://127.0.0.1/?tls=true&{name}={file}")
    assert_refused(done, "MONGODB_URI", "tlsCAFile=")


@pytest.mark.parametrize(
    "options",
    [f"{SECRET}=1", f"connectTimeoutMS={SECRET}", f"readPreference={SECRET}", f"w=1&w={SECRET}"],
)
def test_an_option_that_is_none(tmp_path: Path, options: str) -> None:
    done = started(tmp_path, f"mongodb://127.0.0.1/?{options}")
    assert_refused(done, "MONGODB_URI has an option", "correct or remove")


def test_a_name_that_dns_does_not_know(tmp_path: Path) -> None:
    done = started(tmp_path, f"mongodb+srv://{SECRET}.invalid")
    assert_refused(done, "MONGODB_URI", "DNS", "mongodb://")


@pytest.mark.parametrize("size", ["0", "-1", "many"])
def test_a_pool_without_connections(tmp_path: Path, mongod: Mongod, size: str) -> None:
    done = started(tmp_path, mongod.uri, MONGO_POOL_SIZE=size)
    assert_refused(done, "MONGO_POOL_SIZE must be a whole number from 1")


def test_a_standalone_mongod(tmp_path: Path) -> None:
    with serving(tmp_path / "mongod", standalone=True) as server:
        done = started(tmp_path, server.uri)
    assert_refused(done, "MONGODB_URI", "standalone", "--replSet", "rs.initiate()")


def test_a_replica_set_that_is_not_initiated(tmp_path: Path) -> None:
    with serving(tmp_path / "mongod", "--replSet", "rs0", standalone=True) as server:
        done = started(tmp_path, server.uri)
    assert_refused(done, "MONGODB_URI", "not initiated", "rs.initiate()")


def test_wrong_credentials(tmp_path: Path) -> None:
    """With the right ones the server is used; access control on a replica set needs a key file."""
    key = tmp_path / "keyfile"
    key.write_text("c2VjcmV0" * 8)
    key.chmod(0o600)
    with serving(tmp_path / "mongod", "--keyFile", str(key)) as server:
        with MongoClient[dict[str, Any]](server.uri) as client:
            client.admin.command("createUser", "root", pwd=PASSWORD, roles=["root"])
        with MongoClient[dict[str, Any]](with_user(server.uri, "root", PASSWORD)) as client:
            roles = [{"role": "readWrite", "db": "mpi_service"}]
            client.admin.command("createUser", USER, pwd=PASSWORD, roles=roles)
        wrong = started(tmp_path, with_user(server.uri, USER, SECRET))
        nobody = started(tmp_path, server.uri)
        elsewhere = started(tmp_path, with_user(server.uri, USER, PASSWORD), MPI_DB="another")
        right = started(tmp_path, with_user(server.uri, USER, PASSWORD), "verify")
    assert_refused(wrong, "user or password", "MONGODB_URI")
    assert_refused(nobody, "MONGODB_URI", "readWrite")
    assert_refused(elsewhere, "MPI_DB", "readWrite")
    assert_refused(right, "there is no index")


def test_tls_where_the_server_has_none(tmp_path: Path, mongod: Mongod) -> None:
    done = started(tmp_path, f"{mongod.uri}&tls=true&tlsInsecure=true")
    assert_refused(done, "MONGODB_URI", "TLS", "tls=true")


def test_no_tls_where_the_server_wants_it(tmp_path: Path) -> None:
    """And with the right authority it is used."""
    made = certificates(tmp_path / "certificates")
    options = ("--tlsMode", "preferTLS", "--tlsCertificateKeyFile", str(made.server))
    with serving(tmp_path / "mongod", *options) as server:
        with MongoClient[dict[str, Any]](server.uri) as client:
            client.admin.command({"setParameter": 1, "tlsMode": "requireTLS"})
        plain = started(tmp_path, server.uri)
        unknown = started(tmp_path, f"{server.uri}&tls=true")
        right = started(tmp_path, f"{server.uri}&tls=true&tlsCAFile={made.ca}", "verify")
    assert_refused(plain, "MONGODB_URI", "tls=true")
    assert_refused(unknown, "MONGODB_URI", "tlsCAFile=")
    assert_refused(right, "there is no index")


def test_a_missing_hmac_key(tmp_path: Path, mongod: Mongod, database: str) -> None:
    done = started(tmp_path, mongod.uri, MPI_DB=database, MPI_HMAC_KEY="")
    assert_refused(done, "MPI_HMAC_KEY", "openssl rand")


def test_another_hmac_key(tmp_path: Path, mongod: Mongod, database: str) -> None:
    assert made(tmp_path, mongod, database).returncode == 0
    done = started(tmp_path, mongod.uri, MPI_DB=database, MPI_HMAC_KEY=SECRET[::-1])
    assert_refused(done, "another HMAC key", "MPI_HMAC_KEY")


def test_a_newer_schema(tmp_path: Path, mongod: Mongod, database: str) -> None:
    assert made(tmp_path, mongod, database).returncode == 0
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[database]["meta"].update_one({"_id": "head"}, {"$set": {"schema": 9999}})
    assert_refused(started(tmp_path, mongod.uri, MPI_DB=database), "9999", "newer version")


def test_another_programs_database(tmp_path: Path, mongod: Mongod, database: str) -> None:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        client[database]["recipes"].insert_one({"_id": 1})
    assert_refused(started(tmp_path, mongod.uri, MPI_DB=database), "MPI_DB")


@pytest.mark.parametrize("name", ["a/b", "a b", "$x", f"x{'y' * 70}"])
def test_no_name_of_a_database(tmp_path: Path, mongod: Mongod, name: str) -> None:
    assert_refused(started(tmp_path, mongod.uri, MPI_DB=name), "MPI_DB")


def test_the_demo_never_mixes_with_a_real_index(
    tmp_path: Path, mongod: Mongod, database: str
) -> None:
    assert made(tmp_path, mongod, database).returncode == 0
    given = {"MPI_DB": database, "MPI_DEMO": "true"}
    assert_refused(started(tmp_path, mongod.uri, **given), "MPI_DB", "--demo")


def test_commands_make_no_index_by_asking(tmp_path: Path, mongod: Mongod, database: str) -> None:
    for command in ("stats", "verify"):
        assert_refused(started(tmp_path, mongod.uri, command, MPI_DB=database), "there is no index")
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        assert client[database].list_collection_names() == []


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_backups_are_left_to_tools_of_mongodb(
    tmp_path: Path, mongod: Mongod, database: str, command: str
) -> None:
    done = on_mongodb(mongod.uri, database).run(tmp_path, command, str(tmp_path / "file"))
    assert_refused(done, "mongodump" if command == "backup" else "mongorestore")


def made(folder: Path, mongod: Mongod, database: str) -> Done:
    """An index with one record."""
    (folder / "one.ndjson").write_text('{"source": "A", "source_id": "1", "last_name": "Real"}\n')
    rows = str(folder / "one.ndjson")
    return on_mongodb(mongod.uri, database).run(folder, "load", rows)
