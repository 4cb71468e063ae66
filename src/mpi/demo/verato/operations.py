"""Verato's operations over the registry: from the ``content`` of a request to that of the answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from mpi.demo.verato.identities import Identity, Malformed, read_identity, write_identity
from mpi.demo.verato.notifications import Key, shown
from mpi.demo.verato.registry import Refused, Registration, Registry

Content = Mapping[str, Any]
Answer = dict[str, Any]

VERSIONED = frozenset(
    "postIdentity demographicsQuery demographicsSearch nativeIdQuery identityIdQuery".split()
)
"""The operations that the second version has; the others have one form only."""

WRITES = frozenset(
    "postIdentity linkIdentities unlinkIdentities mergeIdentities unmergeIdentities deactivateSourceWs "
    "reactivateSourceWs deleteSourceIdentity createDataSource".split()
)

_UNUSABLE_FOR = timedelta(minutes=10)
_LONGEST_NAME = 255
_UNWANTED = set("\"|:' ")


class NotFound(Exception):
    """Nothing goes by this id: ``success: true`` with empty content and the message ``UNKNOWN``."""


@dataclass(slots=True)
class Tenant:
    """One customer's index, and the sources that it may name: from when on each is usable.

    ``arrived`` is how many notifications came in between the pages of one search, which shifts the later pages.
    """

    registry: Registry
    clock: Callable[[], datetime]
    sources: dict[str, datetime] = field(default_factory=dict)
    arrived: int = 0

    def perform(self, operation: str, content: Content, version: str) -> Answer:
        """The answer's ``content``. Raises ``Refused`` and ``Malformed``."""
        return _OPERATIONS[operation](self, content, version)

    def key(self, value: object) -> Key:
        """A ``source`` member that names a source the caller may use."""
        if not isinstance(value, Mapping):
            raise Malformed
        name, native_id = value.get("name"), value.get("id")
        if not (isinstance(name, str) and isinstance(native_id, str) and name and native_id):
            raise Malformed
        since = self.sources.get(name)
        if since is None or since > self.clock():
            raise Refused("The source does not exist, or the user has no permission for it")
        return name, native_id


def is_known(operation: str) -> bool:
    """Whether there is such an operation."""
    return operation in _OPERATIONS


def _post(tenant: Tenant, content: Content, version: str) -> Answer:
    given = content.get("identity")
    sources = given.get("sources") if isinstance(given, Mapping) else None
    if not isinstance(sources, list) or len(sources) != 1:
        raise Malformed
    key = tenant.key(sources[0])
    posted = tenant.registry.post(key, read_identity(given, version))
    return _identified(tenant, posted.link_id, content, version, member="linkIdentity") | {
        "events": [],
        "vinIds": [],
    }


def _query(tenant: Tenant, content: Content, version: str) -> Answer:
    link_id = tenant.registry.best(read_identity(content.get("identity"), version))
    return {} if link_id is None else _identified(tenant, link_id, content, version)


def _search(tenant: Tenant, content: Content, version: str) -> Answer:
    threshold = content.get("matchScoreThreshold", 0)
    most = content.get("maxSearchResults", 10)
    if not isinstance(threshold, int | float) or not isinstance(most, int) or most < 1:
        raise Malformed
    found = tenant.registry.alike(read_identity(content.get("identity"), version))
    return {
        "searchResults": [
            {
                "matchScore": score,
                "sameIdentity": same,
                "linkId": link_id,
                "identity": write_identity(tenant.registry.view(link_id), version),
                "domains": _domains(tenant.registry.members(link_id)),
            }
            for link_id, score, same in found
            if score >= threshold
        ][:most]
    }


def _native(tenant: Tenant, content: Content, version: str) -> Answer:
    found = tenant.registry.find(tenant.key(content.get("source")))
    if found is None:
        raise NotFound
    return _identified(tenant, found.link_id, content, version)


def _by_link(tenant: Tenant, content: Content, version: str) -> Answer:
    asked = content.get("linkId")
    if not isinstance(asked, str):
        raise Malformed
    current = tenant.registry.current(asked)
    if current is None:
        raise NotFound
    return _identified(tenant, current, content, version) | {"requestedLinkId": asked}


def _link(tenant: Tenant, content: Content, _: str) -> Answer:
    to, key = tenant.key(content.get("linkToSource")), tenant.key(content.get("source"))
    return {"linkId": tenant.registry.link(to, key)}


def _unlink(tenant: Tenant, content: Content, _: str) -> Answer:
    origin, key = tenant.key(content.get("unlinkFromSource")), tenant.key(content.get("source"))
    unlinked, stayed = tenant.registry.unlink(origin, key)
    return {"unlinkedId": unlinked, "unlinkedFromId": stayed}


def _merge(tenant: Tenant, content: Content, _: str) -> Answer:
    survivor = tenant.key(content.get("toSurviveSource"))
    return {"linkId": tenant.registry.merge(survivor, tenant.key(content.get("toRetireSource")))}


def _unmerge(tenant: Tenant, content: Content, _: str) -> Answer:
    survivor = tenant.key(content.get("unmergeFromSource"))
    return {"linkId": tenant.registry.unmerge(survivor, tenant.key(content.get("unmergeSource")))}


def _deactivate(tenant: Tenant, content: Content, _: str) -> Answer:
    key = tenant.key(content.get("sourceToDeactivate"))
    return _touched(tenant, tenant.registry.set_active(key, active=False), "linkIdsDeactivated")


def _reactivate(tenant: Tenant, content: Content, _: str) -> Answer:
    key = tenant.key(content.get("sourceToReactivate"))
    return {"linkIdsModified": [tenant.registry.set_active(key, active=True)]}


def _delete(tenant: Tenant, content: Content, _: str) -> Answer:
    link_id = tenant.registry.delete(tenant.key(content.get("source")))
    return _touched(tenant, link_id, "linkIdsDeleted")


def _notifications(tenant: Tenant, content: Content, _: str) -> Answer:
    start, end = _moment(content.get("startDate")), _moment(content.get("endDate"))
    page, size = content.get("pageNumber"), content.get("pageSize")
    if not isinstance(page, int) or not isinstance(size, int) or page < 0 or not 1 <= size <= 100:
        raise Malformed
    found = tenant.registry.notifications.between(start, end)
    first = max(0, page * size - tenant.arrived)
    last = (page + 1) * size - tenant.arrived
    return {
        "notifications": [shown(entry) for entry in found[first:last]],
        "hasNext": last < len(found),
        "totalElements": len(found),
    }


def _create_sources(tenant: Tenant, content: Content, _: str) -> Answer:
    sources = content.get("sources")
    if not isinstance(sources, list) or not 1 <= len(sources) <= 10:
        raise Malformed
    return {"sources": [_created(tenant, source) for source in sources]}


def _created(tenant: Tenant, source: object) -> Answer:
    name = source.get("name") if isinstance(source, Mapping) else None
    if not isinstance(name, str):
        raise Malformed
    if not 0 < len(name) <= _LONGEST_NAME or _UNWANTED & set(name):
        return {"name": name, "status": "FAILED", "error": "The name is not allowed"}
    tenant.sources.setdefault(name, tenant.clock() + _UNUSABLE_FOR)
    return {"name": name, "status": "CREATED", "error": None}


def _identified(
    tenant: Tenant, link_id: str, content: Content, version: str, member: str = "identity"
) -> Answer:
    formats = content.get("responseIdentityFormatNames", ["DEFAULT"])
    if not isinstance(formats, list):
        raise Malformed
    members = tenant.registry.members(link_id)
    identity: Identity = write_identity(tenant.registry.view(link_id), version)
    answer: Answer = {"linkId": link_id, member: identity | {"sources": _domains(members)}}
    if "GROUP_BY_SOURCE" in formats:
        answer["identityGroupedBySource"] = [
            write_identity(entry.identity, version) | {"sources": _domains([entry])}
            for entry in members
        ]
    return answer


def _domains(members: list[Registration]) -> list[dict[str, str]]:
    return [{"name": entry.key[0], "id": entry.key[1]} for entry in members]


def _touched(tenant: Tenant, link_id: str, gone: str) -> Answer:
    """A link that lost a registration: still there, or gone with its last one."""
    left = bool(tenant.registry.members(link_id))
    return {"linkIdsModified": [link_id] if left else [], gone: [] if left else [link_id]}


def _moment(text: object) -> datetime:
    if not isinstance(text, str):
        raise Malformed
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Malformed from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_OPERATIONS: Mapping[str, Callable[[Tenant, Content, str], Answer]] = {
    "postIdentity": _post,
    "demographicsQuery": _query,
    "demographicsSearch": _search,
    "nativeIdQuery": _native,
    "identityIdQuery": _by_link,
    "linkIdentities": _link,
    "unlinkIdentities": _unlink,
    "mergeIdentities": _merge,
    "unmergeIdentities": _unmerge,
    "deactivateSourceWs": _deactivate,
    "reactivateSourceWs": _reactivate,
    "deleteSourceIdentity": _delete,
    "searchNotifications": _notifications,
    "createDataSource": _create_sources,
}
