"""Verato slow, gone or closed to us: deadlines hold, nothing piles up, and whoever runs the service is told why."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from ssl import TLSVersion
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bench.daemons import free_port
from mpi.demo.verato.certificates import Authority
from mpi.providers.verato.access import open_access
from mpi.providers.verato.client import BREAKER, CallReport, Limits
from mpi.providers.verato.health import problem
from mpi.providers.verato.outcome import CallOutcome, Reason
from mpi.providers.verato.payload import PayloadForm
from mpi.providers.verato.transport import Timeouts
from mpi.resilience import BreakerState
from tests.support.sentinels import DOB, MARK, PHONE, SSN, ZIP, assert_clean
from tests.support.verato import OPTIONS, SOURCE, Verato
from tests.support.verato_client import UNLIMITED, access, connected, credentials, record

ROW = {"last_name": f"{MARK}son", "first_name": MARK, "dob": DOB, "ssn": SSN, "phone": PHONE}
ROW |= {"zip": ZIP, "address": f"7 {MARK} Street", "city": MARK, "state": "MA"}
QUICK = Timeouts(connect=0.2, read=0.25, total=0.6)
PATIENT = Timeouts(connect=20, read=20, total=60)
"""Where something else than slowness is to be told: a busy machine takes long for a handshake."""


@pytest.mark.parametrize("fault", ["hang", "slow:5000"])
async def test_a_hanging_verato_holds_nobody_longer_than_the_deadline(
    verato: Verato, fault: str
) -> None:
    verato.plan(fault, times=None)
    took: list[float] = []

    async with connected(verato, timeouts=QUICK) as index:

        async def ask() -> None:
            started = time.monotonic()
            reply = await index.query(record(ROW))
            took.append(time.monotonic() - started)
            assert reply.outcome in {CallOutcome.UNAVAILABLE, CallOutcome.THROTTLED}

        for _ in range(4):
            await asyncio.gather(*(ask() for _ in range(40)))
        assert index.client.breaker_state is BreakerState.OPEN
        started = time.monotonic()
        assert (await index.query(record(ROW))).reason is Reason.BREAKER_OPEN
        assert time.monotonic() - started < QUICK.read
    # The rest is the turn of this machine's busy loop.
    assert max(took) <= QUICK.total + 0.5
    assert verato.state()["most_open"] <= UNLIMITED.concurrency


async def test_a_breaker_lets_calls_through_again_when_verato_is_back(verato: Verato) -> None:
    rule = replace(BREAKER, calls=2, pause=0.1, probes=2)
    async with connected(verato, breaker=rule) as index:
        verato.plan("503", times=None)
        await index.query(record(ROW))
        assert index.client.breaker_state is BreakerState.OPEN
        verato.control.delete("/__sim/faults")
        await asyncio.sleep(0.15)
        for _ in range(2):
            assert (await index.query(record(ROW))).outcome is CallOutcome.NO_MATCH
        assert str(index.client.breaker_state) == BreakerState.CLOSED.value


async def test_verato_is_never_asked_more_than_agreed(verato: Verato) -> None:
    verato.pace(tps=25)
    limits = Limits(tps=20, start=20, concurrency=8)
    told: list[CallReport] = []
    async with connected(verato, limits=limits, report=told.append) as index:
        await asyncio.gather(*(index.query(record(ROW)) for _ in range(30)))
    assert verato.state()["answers"] == {"200": 30}
    assert {call.outcome for call in told} == {CallOutcome.NO_MATCH}


def stranger(folder: Path, ends: datetime) -> dict[str, Any]:
    key, certificate = Authority(datetime.now(UTC)).client(ends)
    pem = folder / "stranger.pem"
    raw = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(certificate.public_bytes(Encoding.PEM) + raw)
    return {"client_cert": pem, "client_key": pem}


async def asked_why(verato: Verato, way_in: Any, form: PayloadForm | None = None) -> str:
    """What a probe of the way in says is wrong."""
    async with connected(verato, way_in=way_in, form=form, timeouts=PATIENT) as index:
        told = problem((await index.probe(SOURCE)).reason)
    assert told is not None
    for secret in (OPTIONS.password, OPTIONS.username, "Basic"):
        assert secret not in told.split()
    return told


async def test_a_wrong_password_is_told_as_such(verato: Verato, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong")
    told = await asked_why(verato, access(verato, password_file=tmp_path / "password"))
    assert "correct VERATO_USERNAME and VERATO_PASSWORD_FILE" in told


@pytest.mark.parametrize("tls", [TLSVersion.TLSv1_2, TLSVersion.TLSv1_3])
async def test_a_certificate_that_is_not_veratos_is_told_as_such(
    verato: Verato, tmp_path: Path, tls: TLSVersion
) -> None:
    """It is refused in the handshake, or after it."""
    way_in = access(verato, **stranger(tmp_path, datetime.now(UTC) + timedelta(days=9)))
    way_in.context.minimum_version = way_in.context.maximum_version = tls
    assert await asked_why(verato, way_in) == problem(Reason.TORN)


@pytest.mark.parametrize("how", ["alert", "reset", "close", "half a record"])
async def test_a_handshake_that_is_ended_is_told_as_such(verato: Verato, how: str) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if how == "alert":
            writer.write(bytes.fromhex("15 0303 0002 02 30"))  # fatal: unknown authority
        if how == "half a record":
            writer.write(bytes.fromhex("16 0303 0050 02"))
        if how == "reset":
            lingering = writer.get_extra_info("socket")
            lingering.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        writer.close()

    async with await asyncio.start_server(end, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        way_in = open_access(f"https://127.0.0.1:{port}", "/link-ws/svc", credentials(verato))
        assert await asked_why(verato, way_in) == problem(Reason.TORN)


@pytest.mark.parametrize("fault", ["403_html", "reset"])
async def test_an_address_that_is_not_allowed_is_told_as_such(verato: Verato, fault: str) -> None:
    verato.plan(fault, times=None)
    assert "public address allowed" in await asked_why(verato, access(verato))


async def test_a_refused_password_is_told_although_an_earlier_call_ends_later(
    verato: Verato,
) -> None:
    """Only whoever runs the service can mend it, by what is told."""
    verato.plan("hang", "nativeIdQuery", times=None)
    verato.plan("401", "demographicsQuery", times=None)
    async with connected(verato, timeouts=QUICK) as index:
        late = asyncio.create_task(index.find(record(ROW).key))
        while not verato.calls("nativeIdQuery"):  # noqa: ASYNC110 - the simulator knows when
            await asyncio.sleep(0.01)
        assert (await index.query(record(ROW))).reason is Reason.WRONG_PASSWORD
        await late
        assert index.client.trouble is Reason.WRONG_PASSWORD


async def test_a_closed_port_is_told_as_such(verato: Verato) -> None:
    nobody = f"https://127.0.0.1:{free_port()}"
    way_in = open_access(nobody, "/link-ws/svc", credentials(verato))
    assert "VERATO_ENDPOINT" in await asked_why(verato, way_in)


async def test_what_a_call_met_with_is_told_though_its_repetition_got_no_turn(
    verato: Verato,
) -> None:
    nobody = open_access(f"https://127.0.0.1:{free_port()}", "/link-ws/svc", credentials(verato))
    slow = Limits(tps=0.5, start=0.5)
    async with connected(verato, way_in=nobody, timeouts=QUICK, limits=slow) as index:
        assert (await index.query(record(ROW))).reason is Reason.NO_CONNECTION


async def test_an_unknown_host_is_told_as_such(verato: Verato) -> None:
    way_in = open_access("https://nowhere.invalid", "/link-ws/svc", credentials(verato))
    assert "correct VERATO_ENDPOINT" in await asked_why(verato, way_in)


async def test_a_server_that_is_not_trusted_is_told_as_such(verato: Verato, tmp_path: Path) -> None:
    other = tmp_path / "ca.pem"
    other.write_bytes(Authority(datetime.now(UTC)).certificate.public_bytes(Encoding.PEM))
    assert "VERATO_CA_FILE" in await asked_why(verato, access(verato, ca=other))


async def test_a_wrong_path_is_told_as_such(verato: Verato) -> None:
    way_in = open_access(verato.endpoint, "/elsewhere", credentials(verato))
    assert "VERATO_PATH_PREFIX" in await asked_why(verato, way_in)


async def test_a_source_that_verato_does_not_know_is_told_as_such(verato: Verato) -> None:
    form = PayloadForm(sources={SOURCE: "NOT-THERE"})
    assert "VERATO_SOURCE_MAP" in await asked_why(verato, access(verato), form)


async def test_a_probe_touches_no_patient_and_finds_nothing_wrong(verato: Verato) -> None:
    async with connected(verato) as index:
        assert problem((await index.probe(SOURCE)).reason) is None
    assert verato.state()["registrations"] == 0


async def test_neither_patients_nor_secrets_leave_in_logs_reports_or_counts(
    verato: Verato, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[Any] = []
    faults = ["success_false:Zqx", "overlay", "malformed_json", "reset", "400_blank", "hang", ""]
    async with connected(verato, timeouts=QUICK, report=told.append) as index:
        for fault in faults:
            if fault:
                verato.plan(fault, times=1)
            told.append(await index.post(record(ROW, f"{MARK}-1"), new=True))
            told.append(await index.query(record(ROW)))
            told.append(await index.search(record(ROW), 3))
            told.append(index)
    for text in (repr(told), caplog.text, str(verato.state())):
        assert_clean(text, "what the client leaves behind")
        assert OPTIONS.password not in text
        assert "Basic " not in text
