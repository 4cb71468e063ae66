"""A load that goes on where it was killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mpi.bulk.checkpoint import Checkpoint, CheckpointFile, Mark, Origin
from mpi.bulk.load import Report
from mpi.bulk.rejects import RejectFile
from mpi.ports import IdentityHistory


@dataclass(slots=True)
class ResumableLoad:
    """A load and what was noted of it. ``skipped`` rows were loaded by an earlier run."""

    origin: Origin
    rejected: RejectFile
    history: IdentityHistory
    checkpoints: CheckpointFile
    report: Report = field(default_factory=Report)
    skipped: int = 0

    @classmethod
    async def begin(
        cls,
        history: IdentityHistory,
        checkpoints: CheckpointFile,
        origin: Origin,
        rejects: Path,
        say: Callable[[str], None],
    ) -> ResumableLoad:
        """Go on after the checkpoint, or start with the first row and ``say`` why."""
        fresh = cls(origin, RejectFile(rejects), history, checkpoints)
        noted = checkpoints.read()
        if noted is None:
            return fresh
        rejected = RejectFile(noted.rejects)
        why = await _changed(noted, origin, history)
        if why is None and not rejected.go_on(noted.draft):
            why = "the rejected rows of the interrupted load are gone"
        if why is None:
            say(f"Going on after row {noted.report.rows:,} of the interrupted load.")
            return cls(origin, rejected, history, checkpoints, noted.report, noted.report.rows)
        say(f"Starting with the first row: {why}.")
        noted.draft.path.unlink(missing_ok=True)
        checkpoints.remove()
        return fresh

    async def keep(self, report: Report) -> None:
        """Note that the rows of ``report`` are durable."""
        draft = self.rejected.noted()
        mark = await _mark(self.history)
        self.checkpoints.write(Checkpoint(self.origin, mark, report, self.rejected.path, draft))

    def finish(self) -> None:
        """All rows are loaded: show the rejected ones, forget the checkpoint."""
        self.rejected.finish()
        self.checkpoints.remove()


async def _changed(noted: Checkpoint, origin: Origin, history: IdentityHistory) -> str | None:
    before = noted.origin
    if (before.size, before.digest) != (origin.size, origin.digest):
        return "the file has changed since its load was interrupted"
    if before != origin:
        return "the interrupted load had other options"
    if noted.mark != await _mark(history, noted.mark[0]):
        return "the index is not the one of the interrupted load"
    return None


async def _mark(history: IdentityHistory, seq: int | None = None) -> Mark:
    """The event of that number, by default the last one, as far as it tells one index from another."""
    seq = await history.position() if seq is None else seq
    found = await history.events(seq - 1, 1) if seq else ()
    return (found[0].seq, found[0].at.isoformat()) if found else (0, "")
