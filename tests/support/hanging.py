"""A test that hangs is ended, and the run with it: what is stuck cannot be torn down.

A plugin of pytest, on top of pytest-timeout, which shows the stacks of all threads and leaves. That of a thread whose
event loop waits shows nothing but the loop, so the tasks are shown too. Servers that the tests have started would be
left behind, and a test that has failed may hang in what comes after it.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_timeout

_SETTINGS = pytest.StashKey[Any]()
_TIMER = pytest.StashKey[threading.Timer]()


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool:
    """Begin to count the seconds of a test with its fixtures."""
    timer = threading.Timer(settings.timeout, _give_up, (item, settings))
    timer.daemon = True
    item.stash[_SETTINGS], item.stash[_TIMER] = settings, timer
    timer.start()
    return True


@pytest.hookimpl(tryfirst=True, optionalhook=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> bool:
    """It has ended, or somebody is looking at it in a debugger."""
    if _TIMER in item.stash:
        item.stash[_TIMER].cancel()
    return True


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    """After a failure, for which the plugin counts no more, tearing down has as long again."""
    if isinstance(node, pytest.Item) and _SETTINGS in node.stash:
        node.stash[_TIMER].cancel()
        if not node.config.getoption("usepdb"):
            pytest_timeout_set_timer(node, node.stash[_SETTINGS])


def _give_up(item: pytest.Item, settings: Any) -> None:
    if pytest_timeout.is_debugging():
        return
    # To where the process itself writes: a worker of `pytest -n` has no other way to be heard.
    item.config.pluginmanager.getplugin("capturemanager").suspend_global_capture(in_=True)
    said = sys.__stderr__ or sys.stderr
    said.write(f"\n{item.nodeid} has taken longer than {settings.timeout:g} s\n")
    for task in [each for each in gc.get_objects() if isinstance(each, asyncio.Task)]:
        if not task.done():
            task.print_stack(file=said)
    if hasattr(item.config, "workerinput"):
        faulthandler.dump_traceback(said)
    said.flush()
    for child in list(_descendants(os.getpid())):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    pytest_timeout.timeout_timer(item, settings)


def _descendants(process: int) -> Iterator[int]:
    """Processes that it has started, and they; none where the system does not tell (only Linux does so)."""
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, children.read_text().split()):
                yield child
                yield from _descendants(child)
