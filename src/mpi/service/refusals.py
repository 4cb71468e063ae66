"""What an index elsewhere refuses is asked a steward: to settle it there, or to decide otherwise here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from mpi.domain.identity import (
    AUTOMATIC,
    EventKind,
    IdentityChange,
    NewTask,
    StoredRecord,
    TaskKind,
)
from mpi.ports import IndexStore

UNTOLD = "untold_elsewhere"
"""Why a task asks: the index elsewhere does not take the registration. Deciding it tells of it again."""


async def ask_a_steward(
    store: IndexStore,
    records: Sequence[StoredRecord],
    reason: str,
    actor: str,
    at: datetime,
    named: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Open a task about the last of the records, with the persons of all of them. Without records there is none.

    ``named`` is kept with its event, for whoever tells again.
    """
    if not records:
        return
    candidates = tuple(dict.fromkeys(r.mpi_id for r in records if r.mpi_id is not None))
    task = NewTask(TaskKind.PROVIDER, records[-1].key, candidates, None, reason)
    await store.commit(
        IdentityChange(
            kind=EventKind.TASK_OPENED,
            at=at,
            actor=actor,
            tasks=(task,),
            detail={AUTOMATIC: True, **named},
        )
    )
