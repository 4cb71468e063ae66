"""What the driver raises, in our words. Its own texts quote documents, so none of them is passed on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymongo.errors import BulkWriteError, InvalidOperation, OperationFailure, PyMongoError

from mpi.errors import StoreUnavailable

_WRITE_CONFLICT = 112
_DUPLICATE = 11000
_CURSOR_GONE = 43
"""Nobody asked for more documents for ten minutes."""
_SNAPSHOT_GONE = 239
_UNREADABLE_YET = 246
"""The snapshot is older than a collection or index that has just been made; a moment later it is not."""

KEEP_LONGER = (
    'have them kept longer with `mongosh "$MONGODB_URI" --eval "db.adminCommand({setParameter: 1, '
    'minSnapshotHistoryWindowInSeconds: 3600})"`'
)
"""The remedy, for our messages that speak of snapshots."""

TRANSIENT, UNKNOWN_COMMIT = "TransientTransactionError", "UnknownTransactionCommitResult"


def is_transient(error: PyMongoError) -> bool:
    """Whether the same transaction or read may well succeed in a moment."""
    code = error.code if isinstance(error, OperationFailure) else None
    return error.has_error_label(TRANSIENT) or code == _UNREADABLE_YET


def is_snapshot_lost(error: PyMongoError) -> bool:
    """Whether a new snapshot can show what this one shows no longer, or not yet."""
    return isinstance(error, OperationFailure) and error.code in {
        _CURSOR_GONE,
        _SNAPSHOT_GONE,
        _UNREADABLE_YET,
    }


def is_conflict(error: PyMongoError) -> bool:
    """Whether another transaction holds what this one wants to write."""
    return isinstance(error, OperationFailure) and error.code == _WRITE_CONFLICT


def is_duplicate(error: BaseException) -> bool:
    """Whether what was to be inserted is there already."""
    details = error.details if isinstance(error, BulkWriteError) else None
    failed = (details or {}).get("writeErrors", ())
    return any(one.get("code") == _DUPLICATE for one in failed)


def unavailable(error: PyMongoError) -> StoreUnavailable:
    """The error to raise, ``from None``."""
    if isinstance(error, InvalidOperation):
        return StoreUnavailable("the database is closed")
    if isinstance(error, OperationFailure) and error.code == _SNAPSHOT_GONE:
        return StoreUnavailable(
            f"the read took longer than MongoDB keeps its snapshots; {KEEP_LONGER}"
        )
    return StoreUnavailable(f"MongoDB cannot be used ({name_of(error)})")


@contextmanager
def translated() -> Iterator[None]:
    """Raise ``StoreUnavailable`` for what the driver raises inside."""
    try:
        yield
    except PyMongoError as error:
        raise unavailable(error) from None


def name_of(error: PyMongoError) -> str:
    """A stable name of what went wrong."""
    details = error.details if isinstance(error, OperationFailure) else None
    return str((details or {}).get("codeName") or type(error).__name__)
