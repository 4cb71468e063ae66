"""Whatever arrives is answered or refused in bounded time and memory, and nothing of it is told to anybody."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx2
import pytest

from tests.conftest import Effort
from tests.support.hostile import Attack, attacks, large_attacks
from tests.support.sentinels import assert_clean
from tests.support.service import Service, run_mpi, running
from tests.support.wire import Answer, exchange, receive

pytestmark = pytest.mark.proof

SECONDS = 60
"""No answer takes a hundredth of this; whoever gets none by then never will."""
AT_ONCE = 16
PEAK_MB, REST_MB = 600, 200
"""How much one body of 10 MB may take for a moment, and how much all of them may leave behind."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Service]:
    with running(folder, settings={"LOG_LEVEL": "DEBUG"}) as found:
        yield found


def send_all(service: Service, every: Iterable[Attack]) -> Counter[int]:
    """Send them, some at once; returns how often which status came back."""
    statuses: Counter[int] = Counter()

    async def work() -> None:
        waiting = iter(every)
        await asyncio.gather(*(client(waiting) for _ in range(AT_ONCE)))

    async def client(waiting: Iterator[Attack]) -> None:
        for attack in waiting:
            answers = await exchange(service.port, attack.raw, seconds=SECONDS)
            statuses.update(answer.status for answer in answers)
            for answer in answers:
                assert_harmless(answer, attack.name)

    asyncio.run(work())
    return statuses


def assert_harmless(answer: Answer, where: str) -> None:
    assert answer.status < 500, (where, answer.raw)
    if answer.status >= 400:
        assert_clean(answer.raw.decode("latin-1"), f"{where}: error {answer.status}")
        return
    for problem in problems_of_rows(answer):
        assert_clean(json.dumps(problem), f"{where}: error of a row")


def problems_of_rows(answer: Answer) -> list[dict[str, object]]:
    """Errors inside the answer to a batch, without the mark that comes back on purpose."""
    if not answer.body.startswith(b'{"results"'):
        return []
    rows = json.loads(answer.body)["results"]
    return [row | {"correlation_id": None} for row in rows if "detail" in row]


def memory_mb(service: Service, what: str) -> int:
    """``VmRSS`` or ``VmHWM`` of the service."""
    text = Path(f"/proc/{service.process.pid}/status").read_text()
    found = re.search(rf"^{what}:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) // 1024


def assert_unharmed(service: Service, folder: Path) -> None:
    with service.client() as client:
        assert client.get("/health/ready").status_code == 200
        assert_clean(client.get("/metrics").text, "metrics")
    log = service.output.read_text()
    assert_clean(log, "log")
    for sign in ("Traceback", "request_failed", "Exception in ASGI"):
        assert sign not in log
    verified = run_mpi(folder, "verify", "--embedded", "--json")
    assert json.loads(verified.stdout) == {"violations": []}


def test_made_up_attacks(service: Service, folder: Path, effort: Effort) -> None:
    before = memory_mb(service, "VmRSS")
    statuses = send_all(service, attacks(seed=8, count=effort(600, 12_000)))
    # They went deep into the service, not only to its door.
    assert statuses[200] > statuses.total() / 10
    assert {400, 401, 403, 404, 405, 412, 415, 422} <= statuses.keys()
    assert memory_mb(service, "VmRSS") - before < REST_MB
    assert_unharmed(service, folder)


def test_large_attacks(service: Service, folder: Path, effort: Effort) -> None:
    before = memory_mb(service, "VmRSS")
    for _ in range(effort(1, 5)):
        for attack in large_attacks():
            send_all(service, [attack])
    assert memory_mb(service, "VmHWM") - before < PEAK_MB
    assert memory_mb(service, "VmRSS") - before < REST_MB
    assert_unharmed(service, folder)


def test_bodies_that_never_end_are_given_up(tmp_path: Path) -> None:
    head = (
        b"POST /mpi/match HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 1000000\r\n\r\n"
    )

    async def drip(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        answer = asyncio.create_task(receive(reader))
        while not answer.done():
            writer.write(b" ")
            await asyncio.sleep(0.05)
        writer.close()
        return await answer

    async def work(port: int, url: str) -> list[bytes]:
        async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
            dripping = [group.create_task(drip(port)) for _ in range(100)]
            async with httpx2.AsyncClient(base_url=url) as client:
                await asyncio.sleep(0.2)
                assert (await client.get("/health/live", timeout=SECONDS)).status_code == 200
        return [task.result() for task in dripping]

    with running(tmp_path, settings={"MPI_REQUEST_TIMEOUT": "1"}) as service:
        answers = asyncio.run(work(service.port, service.url))
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers)
        assert "Exception" not in service.output.read_text()
