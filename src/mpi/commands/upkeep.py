"""Keeping an index safe: backup, restore, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpi.bootstrap.key import hmac_key
from mpi.bulk.files import check_outputs, check_whole
from mpi.commands.session import AsJson, Demo, Embedded, run, settings
from mpi.commands.terminal import note, progress_bar, show_json, show_table
from mpi.errors import ConfigurationError
from mpi.settings import Settings
from mpi.stores.fingerprint import fingerprint
from mpi.stores.sqlite.backup import backup_store, restore_store
from mpi.stores.sqlite.verify import verify_store
from mpi.stores.verification import Progress, Violation

BROKEN = 3
"""The exit code of a check that has found something: no other failure ends so."""


def backup(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the backup.")],
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Copy the index, which may be in use, with its key to one file. It holds patient data."""
    chosen = settings(embedded=embedded, demo=demo)
    _need_file(chosen, "mongodump --uri=… --db=…")
    check_outputs(path, index=chosen.sqlite_path)
    key = hmac_key(chosen, create=False)
    with progress_bar("Copying", counts_rows=False) as bar:
        task = bar.add_task("", total=None)
        backup_store(
            chosen.sqlite_path,
            path,
            lambda done, total: bar.update(task, completed=done, total=total),
            hmac_key=key,
        )
    if as_json:
        show_json({"backup": path})
    else:
        note(f"The backup {path} is written; keep it as safe as the index itself.")


def restore(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    *,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing index.")] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Make the index what it was when the backup was taken. The service must not run."""
    chosen = settings(embedded=embedded, demo=demo)
    _need_file(chosen, "mongorestore --uri=… --drop")
    check_whole(path)
    expected = None
    if chosen.hmac_key is not None:
        expected = fingerprint(hmac_key(chosen, create=False))
    restore_store(path, chosen.sqlite_path, hmac_fingerprint=expected, force=force)
    if as_json:
        show_json({"restored": chosen.sqlite_path})
    else:
        note(f"{chosen.sqlite_path} is as it was when the backup was taken.")


def verify(*, embedded: Embedded = False, demo: Demo = False, as_json: AsJson = False) -> int:
    """Check every invariant of the index, which may be in use. Exit code 3 when one is broken."""
    chosen = settings(embedded=embedded, demo=demo)
    # A file is checked as it is; a database is opened first, which takes the key.
    known = fingerprint(hmac_key(chosen, create=False)) if chosen.store == "mongodb" else b""
    with progress_bar("Checking", counts_rows=True) as bar:
        task = bar.add_task("", total=None)

        def progress(_: str, number: int, total: int) -> None:
            bar.update(task, completed=number, total=total)

        found = run(violations(chosen, known, progress))
    if as_json:
        show_json({"violations": found})
    elif found:
        show_table(("invariant", "where"), [(v.code, v.detail) for v in found])
    else:
        note("Every invariant holds.")
    return BROKEN if found else 0


async def violations(
    chosen: Settings, hmac_fingerprint: bytes, progress: Progress
) -> list[Violation]:
    """The broken invariants of the index that the settings name."""
    if chosen.store == "sqlite":
        return verify_store(chosen.sqlite_path, progress)
    # Only here: a command about a file starts without the driver of a server.
    from mpi.bootstrap.mongodb import mongo_store

    store = mongo_store(chosen)
    try:
        await store.open(hmac_fingerprint, create=False)
        return await store.verify(progress)
    finally:
        await store.close()


def _need_file(chosen: Settings, instead: str) -> None:
    """Backups are of files; a database server has tools of its own, which know its replica set."""
    if chosen.store == "mongodb":
        raise ConfigurationError(
            "MPI_STORE=mongodb is backed up and restored with MongoDB's own tools while nobody writes; "
            f"use `{instead}`"
        )
