"""``mpi key``: who may use the service."""

from __future__ import annotations

from typing import Annotated

import typer

from mpi.commands.session import AsJson, Demo, Embedded, opened, overrides, run
from mpi.commands.terminal import note, show_json, show_table, show_text
from mpi.ports import ApiKey
from mpi.service.access import SCOPES
from mpi.settings import Settings, read_settings

app = typer.Typer(help="Issue, list and revoke API keys.", no_args_is_help=True)


def _settings(*, embedded: bool, demo: bool) -> Settings:
    """Those of the index alone: that a provider lacks an address or a certificate must not keep everybody out."""
    return read_settings(overrides(embedded=embedded, demo=demo) | {"MPI_PROVIDER": "internal"})


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is; becomes the actor of its events.")],
    scope: Annotated[
        list[str], typer.Option(help=f"One of {', '.join(SCOPES)}; repeat for several.")
    ],
    *,
    first: Annotated[
        bool, typer.Option("--first", help="Only while no key is in force; else do nothing.")
    ] = False,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """Issue a key. Its secret is printed once and cannot be shown again."""

    async def work() -> tuple[str, str] | None:
        async with opened(_settings(embedded=embedded, demo=demo), create=True) as index:
            if first and not await index.access.is_keyless():
                return None
            return await index.access.issue(name, scope)

    issued = run(work())
    if issued is None:
        show_json({"key_id": None}) if as_json else note("There is a key already; none is issued.")
        return
    key_id, secret = issued
    if as_json:
        show_json({"key_id": key_id, "secret": secret})
        return
    note(f"Key {key_id} for {name}. Keep this secret; it is shown only now:")
    show_text(f"{secret}\n")


@app.command("list")
def list_keys(*, embedded: Embedded = False, demo: Demo = False, as_json: AsJson = False) -> None:
    """List every key ever issued, without secrets."""

    async def work() -> tuple[ApiKey, ...]:
        async with opened(_settings(embedded=embedded, demo=demo)) as index:
            return await index.access.list()

    keys = [
        {
            "key_id": key.key_id,
            "name": key.name,
            "scopes": sorted(key.scopes),
            "created_at": key.created_at,
            "revoked_at": key.revoked_at,
        }
        for key in run(work())
    ]
    if as_json:
        show_json(keys)
    else:
        show_table(
            ("key", "name", "scopes", "created", "revoked"), [tuple(k.values()) for k in keys]
        )


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="The key's id, as `mpi key list` shows it.")],
    *,
    embedded: Embedded = False,
    demo: Demo = False,
    as_json: AsJson = False,
) -> None:
    """End a key; running services refuse it within a second."""

    async def work() -> None:
        async with opened(_settings(embedded=embedded, demo=demo)) as index:
            await index.access.revoke(key_id)

    run(work())
    show_json({"key_id": key_id, "revoked": True}) if as_json else note(f"Key {key_id} is revoked.")
