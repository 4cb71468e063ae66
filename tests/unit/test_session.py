"""How the work of a command ends."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
from contextlib import suppress

import pytest

from mpi.commands.session import run


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_what_ends_the_work_itself_is_no_error_of_a_task(
    ending: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise ending

    with pytest.raises(ending):
        run(work())
    gc.collect()  # asyncio tells of a forgotten error when its task is cleared away
    assert caplog.records == []


def test_steps_of_clearing_away_that_hang_have_their_turn_one_after_the_other() -> None:
    cleared = []

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            cleared.append("first")
            await asyncio.sleep(0)
            cleared.append("second")

    told = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    told.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            run(work())
    finally:
        signal.signal(signal.SIGINT, before)
    assert cleared == ["first", "second"]
