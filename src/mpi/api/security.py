"""Who asks: API keys from the request, and the rules for a machine that has none yet."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mpi.api.middleware import header
from mpi.api.scope import PRINCIPAL
from mpi.errors import Forbidden
from mpi.service.access import Access, Principal
from mpi.settings import is_loopback

_OPEN = ("/health/", "/metrics", "/docs", "/openapi.json")
"""Answered to anybody: they hold no patient data, and probes have no key."""


class Guard:
    """Names the principal before a byte of the body is read; routes then ask it for scopes."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ``Unauthorized`` or ``Forbidden``."""
        if scope["type"] == "http" and not scope["path"].startswith(_OPEN):
            secret = _secret(scope)
            local = secret is None and _is_local(scope)
            if secret is None:
                _refuse_foreign_pages(scope)
            scope[PRINCIPAL] = await self._access.authenticate(secret, local=local)
        await self._app(scope, receive, send)


def principal(request: Request) -> Principal:
    """Who asks, as :class:`Guard` found."""
    found: Principal = request.scope[PRINCIPAL]
    return found


class Needs:
    """A dependency of routes: the caller must hold ``scope``."""

    def __init__(self, scope: str) -> None:
        self._scope = scope

    async def __call__(self, request: Request) -> Principal:
        """The principal, or ``Forbidden``. Asynchronous, as what is not would be called in a thread."""
        found = principal(request)
        found.require(self._scope)
        return found


Reader = Annotated[Principal, Depends(Needs("read"))]
Submitter = Annotated[Principal, Depends(Needs("submit"))]
Steward = Annotated[Principal, Depends(Needs("steward"))]


def _secret(scope: Scope) -> str | None:
    bearer = header(scope, b"authorization")
    if bearer is not None:
        scheme, _, value = bearer.decode("latin-1").partition(" ")
        # Any other scheme is no key of ours: it fails as an unknown key instead of passing as none.
        return value.strip() if scheme.lower() == "bearer" else ""
    key = header(scope, b"x-api-key")
    return None if key is None else key.decode("latin-1").strip()


def _is_local(scope: Scope) -> bool:
    client = scope.get("client")
    return client is not None and is_loopback(client[0])


def _refuse_foreign_pages(scope: Scope) -> None:
    """Without keys, a page of another site open on this machine must not reach the index.

    It would arrive from loopback, but under its own ``Origin``, or (after rebinding a name to
    127.0.0.1) under a ``Host`` that is not this machine's.
    """
    for name in (b"host", b"origin"):
        value = header(scope, name)
        if value is None:
            continue
        text = value.decode("latin-1")
        host = _host_in(text if name == b"origin" else f"//{text}")
        if host is None or not is_loopback(host):
            raise Forbidden("without API keys only this machine's own pages and tools are served")


def _host_in(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:  # brackets that do not hold an IPv6 address
        return None
