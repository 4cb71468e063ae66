"""A link id of Verato as what our index knows of it: the key that its records are kept under."""

from __future__ import annotations

from dataclasses import replace

from mpi.domain.errand import Lane
from mpi.domain.identity import StoredRecord, Told
from mpi.matching.blocking import key_of, stored_keys
from mpi.matching.decision import Grade
from mpi.providers.verato.operations import SearchResult, VeratoIndex
from mpi.providers.verato.outcome import CONSEQUENCES, CallOutcome, Reason
from mpi.providers.verato.payload import Reply

NAME = "verato"

SEVERAL = "several_persons_of_one_link"
"""Why a task asks: nobody merges the persons that share a link on Verato's word alone."""

_PROBABLE = 0.7
"""From this score on a person whom Verato is not sure of is a probable one; it gives no grades itself."""


def link_key(link_id: str) -> int:
    """The key of a link."""
    return key_of(f"{NAME}|{link_id}")


def told_by(reply: Reply) -> Told:
    """What is kept of an answer: no demographics."""
    return Told(
        provider=NAME,
        outcome=reply.outcome.value,
        link_id=reply.link_id,
        tracking_id=reply.tracking_id or None,
        audit_id=reply.audit_id,
        overlaid=reply.outcome is CallOutcome.OVERLAY_REJECTED,
        answered=CONSEQUENCES[reply.outcome].is_answer,
        asked=reply.reason is not Reason.BREAKER_OPEN,
    )


async def located(index: VeratoIndex, record: StoredRecord) -> Reply:
    """What Verato says of where it has a stored record by now."""
    if record.key.source == NAME:  # stands for a link that nobody has registered here
        return await index.current(record.key.source_id, Lane.BATCH)
    return await index.find(record.key, Lane.BATCH)


def known_as(record: StoredRecord, told: Told) -> StoredRecord:
    """The record under its own keys and that of the link it has now, if any."""
    keys = stored_keys(record.standard)
    if told.link_id is not None:
        keys = (*keys, link_key(told.link_id))
    return replace(record, told=told, blocking_keys=keys)


def grade_of(found: SearchResult) -> Grade:
    """The grade of a person of a search."""
    if found.same == "Y":
        return Grade.CERTAIN
    if found.same == "N":
        return Grade.CERTAINLY_NOT
    return Grade.PROBABLE if found.score >= _PROBABLE else Grade.POSSIBLE
