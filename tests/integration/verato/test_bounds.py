"""Whatever answers, there is a limit to how much of it is read and kept."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mpi.domain.errand import Errand, ErrandKind
from mpi.errors import ProviderUnavailable
from mpi.providers.verato.counterpart import VeratoCounterpart
from mpi.providers.verato.outcome import CallOutcome, Reason
from mpi.providers.verato.transport import Timeouts
from tests.support.api import serving
from tests.support.verato import Verato, registrations
from tests.support.verato_client import connected, record
from tests.support.verato_service import settings

MADE = registrations(300)
ADA = record(MADE[1][0], "1")
HOUR = timedelta(hours=1)
PATIENT = Timeouts(connect=2, read=20, total=60)


async def test_an_answer_that_inflates_is_not_read_to_its_end(verato: Verato) -> None:
    async with connected(verato, timeouts=PATIENT) as index:
        verato.plan("inflated", "demographicsQuery", times=None)
        tracemalloc.start()  # of the simulator too, which makes it in this process
        reply = await index.query(ADA)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (reply.outcome, reply.reason) == (CallOutcome.PROTOCOL_ERROR, Reason.NOT_VERATO)
        verato.clear()
        assert (await index.query(ADA)).outcome is CallOutcome.NO_MATCH
    assert peak < 100 << 20


async def test_a_link_id_has_a_length(verato: Verato) -> None:
    async with connected(verato) as index:
        verato.plan("long_linkId", times=None)
        reply = await index.query(ADA)
    assert (reply.outcome, reply.link_id) == (CallOutcome.PROTOCOL_ERROR, None)


async def test_pages_that_repeat_themselves_are_no_pages(verato: Verato) -> None:
    now = datetime.now(UTC)
    async with connected(verato) as index:
        await index.post(ADA, new=True)
        verato.plan("endless_pages", "searchNotifications", times=None)
        counterpart = VeratoCounterpart(index, unposted="anonymous")
        with pytest.raises(ProviderUnavailable):
            await counterpart.changes(now - HOUR, now + HOUR)
    assert verato.calls("searchNotifications") <= 4


async def test_pages_have_a_number(verato: Verato, monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime.now(UTC)
    async with connected(verato) as index:
        counterpart = VeratoCounterpart(index, unposted="anonymous")
        for number in range(101):
            await index.post(record(MADE[number][0], str(number)), new=True)
        assert len((await counterpart.changes(now - HOUR, now + HOUR)).moved) == 101
        monkeypatch.setattr("mpi.providers.verato.counterpart._MOST_PAGES", 1)
        with pytest.raises(ProviderUnavailable):
            await counterpart.changes(now - HOUR, now + HOUR)


async def test_what_was_missed_for_long_is_read_a_while_at_a_time(
    verato: Verato, tmp_path: Path
) -> None:
    """So each reading comes to an end, and what was read is not read again when the next one fails."""
    async with serving(tmp_path, **settings(verato)) as api:
        missed = datetime.now(UTC) - timedelta(hours=20)
        await api.parts.store.queue([Errand(ErrandKind.LISTEN, mark=missed.isoformat())])
        assert api.parts.courier is not None
        await api.parts.courier.deliver()
        (waiting,) = await api.parts.store.waiting()
        assert verato.calls("searchNotifications") == 4
        heard_until = datetime.fromisoformat(str(waiting.mark))
        assert datetime.now(UTC) - heard_until < timedelta(minutes=1)
