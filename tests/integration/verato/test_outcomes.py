"""Everything that Verato may answer or fail to answer, over real HTTPS: one table, from the answer to what follows."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from bench.daemons import free_port
from mpi.providers.verato.access import open_access
from mpi.providers.verato.budget import Budget
from mpi.providers.verato.client import BREAKER, CallReport
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome, Keep, Reason
from mpi.providers.verato.payload import PayloadForm
from mpi.resilience import BreakerRule, BreakerState
from mpi.stores.sqlite.store import open_store
from tests.support.verato import Verato, registrations
from tests.support.verato_client import UNLIMITED, connected, credentials, record

MADE = registrations(300)
ADA = record(MADE[1][0], "1")


class Row(NamedTuple):
    """``asked`` is how often the operation reaches Verato; ``breaker`` what a breaker does that bears nothing."""

    fault: str
    outcome: CallOutcome
    asked: int
    breaker: str
    keep: Keep = Keep.NO


READS = [
    Row("unknown_fields", CallOutcome.LINKED, 1, "closed", Keep.POSITIVE),
    Row("slow:20", CallOutcome.LINKED, 1, "closed", Keep.POSITIVE),
    Row("duplicate_delivery", CallOutcome.LINKED, 1, "closed", Keep.POSITIVE),
    Row("link_id_changed", CallOutcome.LINKED, 1, "closed", Keep.POSITIVE),
    Row("notifications_out_of_order", CallOutcome.LINKED, 1, "closed", Keep.POSITIVE),
    Row("paging_shift", CallOutcome.LINKED, 1, "closed", Keep.POSITIVE),
    Row("missing_linkId", CallOutcome.NO_MATCH, 1, "closed", Keep.NEGATIVE),
    Row("overlay", CallOutcome.OVERLAY_REJECTED, 1, "closed"),
    Row("success_false:The source is unknown", CallOutcome.REJECTED, 1, "closed"),
    Row("400_blank", CallOutcome.REJECTED, 1, "closed"),
    Row("malformed_json", CallOutcome.PROTOCOL_ERROR, 2, "open"),
    Row("empty_200", CallOutcome.PROTOCOL_ERROR, 2, "open"),
    Row("wrong_tracking_id", CallOutcome.PROTOCOL_ERROR, 2, "open"),
    Row("404_blank", CallOutcome.CONFIG_ERROR, 1, "open"),
    Row("401", CallOutcome.AUTH_ERROR, 1, "tripped"),
    Row("403_html", CallOutcome.AUTH_ERROR, 1, "tripped"),
    Row("429_text", CallOutcome.THROTTLED, 3, "closed"),
    Row("500_blank", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("503", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("504_html", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("reset", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("close_mid_body", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("hang", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("slow:5000", CallOutcome.UNAVAILABLE, 3, "open"),
    Row("applied_then_timeout", CallOutcome.UNAVAILABLE, 3, "open"),
]


def thin_skinned(row: Row) -> BreakerRule:
    """Opens as soon as every attempt of one call has failed; for outcomes that are no failure, with the first."""
    if row.breaker == "tripped":
        return BREAKER
    return replace(BREAKER, share=1, calls=row.asked if row.breaker == "open" else 1)


@pytest.mark.parametrize("row", READS, ids=lambda row: row.fault)
async def test_a_query_ends_as_the_table_says(verato: Verato, row: Row) -> None:
    told: list[CallReport] = []
    async with connected(verato) as index:
        await index.post(ADA, new=True)
    verato.plan(row.fault, "demographicsQuery", times=None)
    async with connected(verato, breaker=thin_skinned(row), report=told.append) as index:
        reply = await index.query(ADA)
        assert reply.outcome is row.outcome
        assert verato.calls("demographicsQuery") == row.asked
        assert_breaker(index.client.breaker_state, index.client.retry_after, row.breaker)
    assert CONSEQUENCES[reply.outcome].keep is row.keep
    assert [(call.operation, call.outcome, call.attempts) for call in told] == [
        ("demographicsQuery", row.outcome, row.asked)
    ]


def assert_breaker(state: BreakerState, retry_after: float, expected: str) -> None:
    assert state is (BreakerState.CLOSED if expected == "closed" else BreakerState.OPEN)
    assert (retry_after > BREAKER.pause) is (expected == "tripped")


async def test_nobody_is_an_answer(verato: Verato) -> None:
    async with connected(verato) as index:
        reply = await index.query(ADA)
    assert (reply.outcome, reply.link_id) == (CallOutcome.NO_MATCH, None)
    assert CONSEQUENCES[reply.outcome].keep is Keep.NEGATIVE
    assert verato.calls("demographicsQuery") == 1


class Write(NamedTuple):
    """``posted`` is how often postIdentity reaches Verato, ``applied`` how often it takes effect."""

    fault: str
    outcome: CallOutcome
    posted: int
    looked: int
    applied: int


WRITES = [
    Write("unknown_fields", CallOutcome.LINKED, 1, 0, 1),
    Write("link_id_changed", CallOutcome.LINKED, 1, 0, 1),
    Write("missing_linkId", CallOutcome.LINKED, 1, 1, 1),
    Write("malformed_json", CallOutcome.LINKED, 1, 1, 1),
    Write("empty_200", CallOutcome.LINKED, 1, 1, 1),
    Write("wrong_tracking_id", CallOutcome.LINKED, 1, 1, 1),
    Write("close_mid_body", CallOutcome.LINKED, 1, 1, 1),
    Write("applied_then_timeout", CallOutcome.LINKED, 1, 1, 1),
    Write("hang", CallOutcome.UNKNOWN, 2, 2, 0),
    Write("slow:5000", CallOutcome.UNKNOWN, 2, 2, 0),
    Write("reset", CallOutcome.UNAVAILABLE, 3, 3, 0),
    Write("500_blank", CallOutcome.UNAVAILABLE, 3, 3, 0),
    Write("503", CallOutcome.UNAVAILABLE, 3, 3, 0),
    Write("504_html", CallOutcome.UNAVAILABLE, 3, 3, 0),
    Write("429_text", CallOutcome.THROTTLED, 3, 0, 0),
    Write("overlay", CallOutcome.OVERLAY_REJECTED, 1, 0, 0),
    Write("success_false:A rule is broken", CallOutcome.REJECTED, 1, 0, 0),
    Write("400_blank", CallOutcome.REJECTED, 1, 0, 0),
    Write("404_blank", CallOutcome.CONFIG_ERROR, 1, 0, 0),
    Write("401", CallOutcome.AUTH_ERROR, 1, 0, 0),
    Write("403_html", CallOutcome.AUTH_ERROR, 1, 0, 0),
]


@pytest.mark.parametrize("row", WRITES, ids=lambda row: row.fault)
async def test_a_registration_ends_as_the_table_says(verato: Verato, row: Write) -> None:
    verato.plan(row.fault, "postIdentity", times=None)
    async with connected(verato) as index:
        reply = await index.post(ADA, new=True)
        assert reply.outcome is row.outcome
        assert (reply.link_id is not None) is (row.outcome is CallOutcome.LINKED)
        seen = (verato.calls("postIdentity"), verato.calls("nativeIdQuery"))
        assert (*seen, verato.applied("postIdentity")) == (row.posted, row.looked, row.applied)


async def test_a_write_that_nobody_can_look_up_stays_unknown(verato: Verato) -> None:
    verato.plan("applied_then_timeout", times=None)
    async with connected(verato) as index:
        reply = await index.post(ADA, new=True)
    assert reply.outcome is CallOutcome.UNKNOWN
    assert verato.calls("postIdentity") == 1


async def test_one_poisoned_patient_opens_no_breaker(verato: Verato) -> None:
    verato.plan("400_blank", "postIdentity", times=None)
    async with connected(verato, breaker=replace(BREAKER, calls=2)) as index:
        for _ in range(5):
            assert (await index.post(ADA, new=True)).outcome is CallOutcome.REJECTED
        assert index.client.breaker_state is BreakerState.CLOSED
        assert (await index.query(ADA)).outcome is CallOutcome.NO_MATCH


async def test_a_refused_password_is_not_insisted_on(verato: Verato) -> None:
    verato.plan("401", times=None)
    async with connected(verato) as index:
        for _ in range(4):
            await index.query(ADA)
    assert verato.calls("demographicsQuery") == 1


@pytest.mark.parametrize("fault", ["401", "403_html"])
async def test_who_is_let_in_again_needs_no_new_start(verato: Verato, fault: str) -> None:
    verato.plan(fault, times=None)
    async with connected(verato, breaker=replace(BREAKER, rest=0.5)) as index:
        rejected = await index.query(ADA)
        await asyncio.sleep(index.client.retry_after)
        assert (await index.query(ADA)).reason is rejected.reason  # the probe
        assert index.client.retry_after > 0.5
        verato.clear()
        assert (await index.query(ADA)).reason is Reason.BREAKER_OPEN
        assert index.client.trouble is rejected.reason
        await asyncio.sleep(index.client.retry_after)
        for _ in range(2):
            assert (await index.query(ADA)).outcome is CallOutcome.NO_MATCH
        assert index.client.breaker_state is BreakerState.CLOSED
    assert verato.calls("demographicsQuery") == 4


@pytest.mark.parametrize("fault", ["success_false:The source is unknown", "400_blank", "429_text"])
async def test_who_learns_nothing_keeps_nobody_from_finding_out(verato: Verato, fault: str) -> None:
    rule = replace(BREAKER, calls=2, pause=0.1, probes=2)
    limits = replace(UNLIMITED, retries=0)
    async with connected(verato, breaker=rule, limits=limits) as index:
        verato.plan("503", times=2)
        for _ in range(2):
            await index.query(ADA)
        assert (await index.query(ADA)).reason is Reason.BREAKER_OPEN
        await asyncio.sleep(0.15)
        verato.plan(fault, "postIdentity", times=3)
        for _ in range(3):
            assert not (await index.post(ADA, new=True)).link_id
        for _ in range(2):
            assert (await index.query(ADA)).outcome is CallOutcome.NO_MATCH
        assert index.client.breaker_state is BreakerState.CLOSED


async def test_who_gets_no_turn_or_goes_away_keeps_nobody_from_finding_out(
    verato: Verato,
) -> None:
    rule = replace(BREAKER, calls=1, pause=0.1, probes=2)
    async with connected(verato, breaker=rule, limits=replace(UNLIMITED, retries=0)) as index:
        verato.plan("503")
        await index.query(ADA)
        await asyncio.sleep(0.15)
        assert (await index.query(ADA, within=0)).reason is Reason.OWN_LIMIT
        verato.plan("hang")
        gone = asyncio.create_task(index.query(ADA))
        while verato.calls("demographicsQuery") < 2:  # noqa: ASYNC110 - the simulator knows when
            await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.wait([gone])
        for _ in range(2):
            assert (await index.query(ADA)).outcome is CallOutcome.NO_MATCH


async def test_only_requests_that_were_sent_are_counted(verato: Verato) -> None:
    told: list[CallReport] = []
    rule = replace(BREAKER, calls=1, pause=60)
    async with connected(verato, breaker=rule, report=told.append) as index:
        assert (await index.query(ADA, within=0)).reason is Reason.OWN_LIMIT
        assert (await index.query(ADA)).outcome is CallOutcome.NO_MATCH
        verato.plan("503", times=None)
        for _ in range(3):
            await index.query(ADA)
    assert [call.attempts for call in told] == [0, 1, 1, 0, 0]
    assert sum(call.attempts for call in told) == verato.calls("demographicsQuery")


async def test_a_request_that_found_no_connection_costs_nothing(
    verato: Verato, tmp_path: Path
) -> None:
    nobody = open_access(f"https://127.0.0.1:{free_port()}", "/link-ws/svc", credentials(verato))
    told: list[CallReport] = []
    with closing(open_store(tmp_path / "index.sqlite3", b"fingerprint")) as store:
        budget = Budget(store, 100, lambda: datetime.now(UTC))
        async with connected(verato, way_in=nobody, budget=budget, report=told.append) as index:
            assert (await index.query(ADA)).reason is Reason.NO_CONNECTION
        assert await store.spend(f"{datetime.now(UTC):%Y-%m}", 0, 100) == (0, 0)
    assert [call.attempts for call in told] == [0]


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_link_that_is_no_text_is_no_answer_of_veratos(verato: Verato, version: str) -> None:
    verato.plan("numeric_linkId", times=None)
    async with connected(verato, form=PayloadForm(version=version)) as index:
        asked, posted = await index.query(ADA), await index.post(ADA, new=True)
    assert (asked.outcome, asked.reason) == (CallOutcome.PROTOCOL_ERROR, Reason.NOT_VERATO)
    assert (posted.outcome, posted.link_id) == (CallOutcome.UNKNOWN, None)
