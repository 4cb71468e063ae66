"""Work that goes round until it is cancelled: it has to end by that, or whoever waits for its end waits for ever.

Before Python 3.12 a cancellation is lost that comes in the moment after MongoDB's driver has sent a question:
``asyncio.wait_for`` returns as if there had been none. A task remembers that it was asked to end, so each round asks.
"""

from __future__ import annotations

import asyncio


def end_if_cancelled() -> None:
    """Raise ``CancelledError`` when this task was cancelled and went on all the same."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def rest(seconds: float) -> None:
    """Sleep between two rounds, unless this was the last one."""
    end_if_cancelled()
    await asyncio.sleep(seconds)
