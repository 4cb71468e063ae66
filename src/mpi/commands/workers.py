"""The worker processes of one service, and the parent that keeps them.

All of them accept from one socket that the parent opened. With a socket for each (``SO_REUSEPORT``) the kernel
hands connections to a worker that is stopped or about to leave, and drops the queue of one that ends: of 400 waiting
connections, 216 were lost with one of two sockets. In the one queue they wait for whoever is free.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing import allow_connection_pickling, get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic

import structlog

from mpi.api.server import LEAVE, Server
from mpi.errors import ConfigurationError, MpiError
from mpi.settings import Settings, read_settings
from mpi.shared_metrics import joined
from mpi.telemetry import configure_logging

START_SECONDS = 60.0
"""Time for a worker to become ready."""
SILENT_SECONDS = 30.0
"""A worker whose loop has not turned for so long is ended: its clients would wait for ever."""
PARTING_SECONDS = 10.0
"""Time for a worker to end, on top of that for its requests."""
FIRST_PAUSE, LAST_PAUSE = 0.5, 30.0
"""Seconds between starts of workers that fail: the first pause, doubled up to the last."""
SHORT_LIFE = 1.0
"""Whoever serves less than so many seconds counts as failed."""

_TURNED = b"turned"
_ALONE = {signal.SIGINT, signal.SIGHUP}
"""A terminal sends these to the workers as well, but the parent alone acts on them."""
_ASKED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

_SPAWN = get_context("spawn")

log = structlog.get_logger(__name__)


def work(listener: socket.socket, reports: Connection) -> None:
    """Be one worker; report once a second that the loop turns, or why it cannot start."""
    os.set_blocking(reports.fileno(), False)  # a parent that is stopped must not stop the worker

    def report(message: bytes) -> None:
        with suppress(OSError):
            reports.send_bytes(message)

    try:
        settings = read_settings()
        configure_logging(settings.log_level)
        with joined():
            Server(settings, partial(report, _TURNED)).run([listener])
    except MpiError as error:
        report(error.detail.encode())
        raise SystemExit(1) from None


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    reports: Connection
    pid: int
    heard: float
    """When it last reported, or was asked to leave."""
    serving_since: float | None = None
    is_leaving: bool = False
    is_outdated: bool = False
    is_killed: bool = False
    is_mute: bool = False
    """It has closed its end: nothing more will come, and whoever waits for that waits no time at all."""
    reason: str = "a worker ended before it was ready"

    def listen(self, now: float) -> None:
        """Take in what it has reported."""
        try:
            while not self.is_mute and self.reports.poll():
                message = self.reports.recv_bytes()
                if message != _TURNED:
                    self.reason = message.decode()
                elif not self.is_leaving:
                    self.heard = now
                    self.serving_since = self.serving_since or now
        except (EOFError, OSError):
            self.is_mute = True

    def kill(self) -> None:
        """End it at once. It is gone only when the system has cleared it away."""
        log.error("worker_silent", pid=self.pid)
        self.process.kill()
        self.is_killed = True


class Workers:
    """Keeps ``settings.workers`` processes serving. SIGHUP renews them one by one, SIGTERM and SIGINT end them.

    ``ended`` is told the pid of every worker that is gone.
    """

    def __init__(
        self, settings: Settings, listener: socket.socket, ended: Callable[[int], None]
    ) -> None:
        self._count = settings.worker_count
        self._parting = settings.shutdown_timeout + PARTING_SECONDS
        self._listener = listener
        self._ended = ended
        self._workers: list[_Worker] = []
        self._signals: list[int] = []
        self._is_stopping = False
        self._has_served = False
        self._pause = 0.0
        self._next_start = 0.0

    def run(self) -> None:
        """Serve until told to stop. Raises ``ConfigurationError`` when the first workers cannot start."""
        allow_connection_pickling()
        with self._heard_signals() as wake:
            try:
                while self._workers or not self._is_stopping:
                    self._keep_count(monotonic())
                    sentinels = [worker.process.sentinel for worker in self._workers]
                    reports = [worker.reports for worker in self._workers if not worker.is_mute]
                    wait([wake, *sentinels, *reports], 0.5)
                    self._look(monotonic())
                    self._act_on_signals(wake)
            finally:
                for worker in self._workers:
                    worker.process.kill()

    @contextmanager
    def _heard_signals(self) -> Iterator[socket.socket]:
        """A socket that becomes readable when a signal has come."""
        wake, told = socket.socketpair()
        with wake, told:
            wake.settimeout(0)
            told.settimeout(0)
            before = {name: signal.getsignal(name) for name in _ASKED}
            descriptor = signal.set_wakeup_fd(told.fileno(), warn_on_full_buffer=False)
            for name in _ASKED:
                signal.signal(name, lambda number, _: self._signals.append(number))
            try:
                yield wake
            finally:
                signal.set_wakeup_fd(descriptor)
                for name, handler in before.items():
                    signal.signal(name, handler)

    def _act_on_signals(self, wake: socket.socket) -> None:
        with suppress(BlockingIOError):
            wake.recv(4096)
        signals, self._signals = self._signals, []
        for number in signals:
            if number == signal.SIGHUP:
                log.info("renewal_asked", workers=len(self._workers))
                for worker in self._workers:
                    worker.is_outdated = True
            elif self._is_stopping and number == signal.SIGINT:
                for worker in self._workers:
                    worker.process.kill()
            else:
                self._is_stopping = True
                self._listener.close()  # or clients would wait in its queue for nobody
                for worker in self._workers:
                    self._part(worker, signal.SIGTERM)

    def _part(self, worker: _Worker, how: signal.Signals) -> None:
        worker.is_leaving, worker.heard = True, monotonic()
        os.kill(worker.pid, how)

    def _keep_count(self, now: float) -> None:
        """Start who is missing. While some are outdated there is one more, and when it serves, one of them leaves."""
        if self._is_stopping:
            return
        staff = [worker for worker in self._workers if not worker.is_leaving]
        outdated = [worker for worker in staff if worker.is_outdated]
        serving = sum(worker.serving_since is not None for worker in staff)
        if outdated and serving > self._count and len(staff) == len(self._workers):
            leaver = outdated.pop(0)
            staff.remove(leaver)
            self._part(leaver, LEAVE)
        if now >= self._next_start:
            try:
                for _ in range(self._count + bool(outdated) - len(staff)):
                    self._start(now)
            except OSError as error:  # no descriptors, processes or memory are left
                self._failed(None, f"no worker can be started: {error.strerror}", now)

    def _start(self, now: float) -> None:
        reports, theirs = _SPAWN.Pipe(duplex=False)
        process = _SPAWN.Process(target=work, args=(self._listener, theirs))
        signal.pthread_sigmask(signal.SIG_BLOCK, _ALONE)
        try:
            process.start()
        except OSError:
            reports.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ALONE)
            theirs.close()
        self._workers.append(_Worker(process, reports, process.ident or 0, now))

    def _look(self, now: float) -> None:
        """Notice who serves, who has ended and who hangs."""
        for worker in tuple(self._workers):
            worker.listen(now)
            self._has_served |= worker.serving_since is not None
            if not worker.process.is_alive():
                self._bury(worker, now)
            elif now - worker.heard > self._allowed_silence(worker) and not worker.is_killed:
                worker.kill()

    def _allowed_silence(self, worker: _Worker) -> float:
        if worker.is_leaving:
            return self._parting
        return START_SECONDS if worker.serving_since is None else SILENT_SECONDS

    def _bury(self, worker: _Worker, now: float) -> None:
        self._workers.remove(worker)
        worker.process.close()
        worker.reports.close()
        try:
            self._ended(worker.pid)
        except OSError:  # those that serve must not end for the sake of what this one counted
            log.exception("worker_not_counted", pid=worker.pid)
        if worker.is_leaving:
            return
        if worker.serving_since is not None and now - worker.serving_since >= SHORT_LIFE:
            log.error("worker_lost", pid=worker.pid)
            self._pause = self._next_start = 0.0
            return
        self._failed(worker.pid, worker.reason, now)

    def _failed(self, pid: int | None, reason: str, now: float) -> None:
        """Let some time pass before the next start, more each time."""
        if not self._has_served:
            raise ConfigurationError(reason)
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LAST_PAUSE)
        self._next_start = now + self._pause
        log.error("worker_failed", pid=pid, problem=reason, seconds=self._pause)
        for other in self._workers:  # a renewal that fails is given up; those that serve go on
            other.is_outdated = False
