"""Keeping an index safe: backup, restore, verify."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mpi.bootstrap import fingerprint, hmac_key
from mpi.commands.session import AsJson, Demo, Embedded, settings
from mpi.commands.terminal import note, progress_bar, show_json, show_table
from mpi.stores.sqlite_backup import backup_store, restore_store
from mpi.stores.sqlite_verify import verify_store


def backup(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A new file for the backup.")],
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Copy the index, which may be in use, with its key to one file. It holds patient data."""
    chosen = settings(embedded=embedded, demo=demo)
    with progress_bar("Copying", counts_rows=False) as bar:
        task = bar.add_task("", total=None)
        backup_store(
            chosen.sqlite_path,
            path,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        show_json({"backup": str(path)})
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
    expected = None
    if chosen.hmac_key is not None:
        expected = fingerprint(hmac_key(chosen, create=False))
    restore_store(path, chosen.sqlite_path, hmac_fingerprint=expected, force=force)
    if as_json:
        show_json({"restored": str(chosen.sqlite_path)})
    else:
        note(f"{chosen.sqlite_path} is as it was when the backup was taken.")


def verify(*, embedded: Embedded = False, demo: Demo = False, as_json: AsJson = False) -> int:
    """Check every invariant of the index, which may be in use. Exit code 1 when one is broken."""
    chosen = settings(embedded=embedded, demo=demo)
    with progress_bar("Checking", counts_rows=True) as bar:
        task = bar.add_task("", total=None)
        found = verify_store(
            chosen.sqlite_path,
            progress=lambda _, number, total: bar.update(task, completed=number, total=total),
        )
    if as_json:
        show_json({"violations": found})
    elif found:
        show_table(("invariant", "where"), [(v.code, v.detail) for v in found])
    else:
        note("Every invariant holds.")
    return 1 if found else 0
