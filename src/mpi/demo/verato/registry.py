"""What the simulated Verato knows: registrations, the links over them, and how writes change both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b

from mpi.demo.verato.identities import Identity, demographics_of, together
from mpi.demo.verato.notifications import (
    LINK_ID_ASSIGNED,
    LINK_ID_CHANGED,
    OVERLAY_REJECTED,
    RETIRED,
    Key,
    NotificationLog,
)
from mpi.demo.verato.truth import STRANGER, People, fingerprint
from mpi.matching.standardize import standardize

OVERLAY = "The update was rejected because it would overlay the identity of another person"
UNKNOWN = "Could not find entity with the given nativeId and source"


class Refused(Exception):
    """The operation is understood and not done: ``success: false`` with this message."""


@dataclass(slots=True)
class Registration:
    """One source's registration. ``apart`` says that a steward took it out: it is joined by nobody any more."""

    key: Key
    identity: Identity
    person: str
    link_id: str
    apart: bool = False
    active: bool = True
    retired_into: Key | None = None

    @property
    def counts(self) -> bool:
        """Whether it is part of what its link says."""
        return self.active and self.retired_into is None


class Registry:
    """The state of one customer's index. Methods raise ``Refused`` and then change nothing."""

    def __init__(self, people: People, clock: Callable[[], datetime]) -> None:
        self.notifications = NotificationLog(clock)
        self._people = people
        self._registrations: dict[Key, Registration] = {}
        self._of_person: dict[str, dict[Key, None]] = defaultdict(dict)
        self._of_link: dict[str, dict[Key, None]] = defaultdict(dict)
        self._alike: dict[str, dict[Key, None]] = defaultdict(dict)
        self._content: dict[bytes, str] = {}
        self._renamed: dict[str, str] = {}
        self._minted = 0

    def counts(self) -> dict[str, int]:
        """How much is known; nothing of whom."""
        links = sum(1 for keys in self._of_link.values() if keys)
        return {
            "registrations": len(self._registrations),
            "links": links,
            "notifications": len(self.notifications),
        }

    def post(self, key: Key, identity: Identity) -> Registration:
        """Register or update; a plainly different person is refused as an overlay."""
        person = self._person_of(identity)
        known = self._registrations.get(key)
        if known is None:
            link_id = self._link_of(person) or self._new_link()
            known = Registration(key, identity, person, link_id)
            self._registrations[key] = known
            self._of_link[link_id][key] = None
            self._tell(LINK_ID_ASSIGNED, known, previous=None)
        else:
            self._update(known, identity, person)
        self._of_person[known.person][key] = None
        for word in _words(identity):
            self._alike[word][key] = None
        return known

    def _update(self, known: Registration, identity: Identity, person: str) -> None:
        if known.retired_into is not None:
            raise Refused("The source was retired by a merge and cannot be updated")
        if _overlays(known.identity, identity):
            self.overlay(known.key)
        if person.startswith(STRANGER):  # new content of somebody who is known
            person = known.person
            self._content[fingerprint(demographics_of(identity))] = person
        del self._of_person[known.person][known.key]
        known.identity = identity
        known.active = True
        if person != known.person and not known.apart:
            self._move(known, self._link_of(person) or self._new_link())
        known.person = person

    def _person_of(self, identity: Identity) -> str:
        posted = self._content.get(fingerprint(demographics_of(identity)))
        return posted or self._people.person_of(identity)

    def overlay(self, key: Key) -> None:
        """Refuse an update as an overlay, and tell."""
        self.notifications.add(OVERLAY_REJECTED, source=key[0], nativeId=key[1])
        raise Refused(OVERLAY)

    def find(self, key: Key) -> Registration | None:
        """The registration under this key, retired and deactivated ones too."""
        return self._registrations.get(key)

    def best(self, identity: Identity) -> str | None:
        """The link of the person that the identity is taken for."""
        return self._link_of(self._person_of(identity))

    def alike(self, identity: Identity) -> list[tuple[str, float, str]]:
        """Links with score and verdict (Y, U, N), best first: the person's own, then those that share a trait."""
        own = self.best(identity)
        found = {own: (self._score(own, identity, 0.9, 0.99), "Y")} if own else {}
        for word in _words(identity):
            for key in self._alike[word]:
                other = self._registrations[key]
                if other.counts and other.link_id not in found:
                    score = self._score(other.link_id, identity, 0.2, 0.75)
                    found[other.link_id] = (score, "U" if score >= 0.5 else "N")
        ranked = ((link_id, score, same) for link_id, (score, same) in found.items())
        return sorted(ranked, key=lambda entry: -entry[1])

    def _score(self, link_id: str, identity: Identity, low: float, high: float) -> float:
        content = fingerprint(demographics_of(identity)) + link_id.encode()
        return round(low + (high - low) * self._people.chance(content, b"score"), 2)

    def members(self, link_id: str) -> list[Registration]:
        """The registrations that a link is made of."""
        found = (self._registrations[key] for key in self._of_link[link_id])
        return [registration for registration in found if registration.counts]

    def view(self, link_id: str) -> Identity:
        """Everything that is known of a link's person."""
        return together([registration.identity for registration in self.members(link_id)])

    def current(self, link_id: str) -> str | None:
        """The id that a link goes by now; None if there never was such a link."""
        while link_id in self._renamed:
            link_id = self._renamed[link_id]
        return link_id if self._of_link.get(link_id) else None

    def link(self, to: Key, key: Key) -> str:
        """Put two registrations, and with them their links, together."""
        survivor, other = self._known(to).link_id, self._known(key)
        other.apart = False
        if other.link_id != survivor:
            self._join(survivor, other.link_id)
        return survivor

    def unlink(self, origin: Key, key: Key) -> tuple[str, str]:
        """Take a registration out of the link that it shares with another: its new link, and the old one."""
        stays, leaves = self._known(origin), self._known(key)
        if stays.link_id != leaves.link_id:
            raise Refused("The two sources are not linked")
        leaves.apart = True
        self._move(leaves, self._new_link())
        return leaves.link_id, stays.link_id

    def merge(self, survivor: Key, retire: Key) -> str:
        """Retire one number of a patient in favour of another."""
        stays, goes = self._known(survivor), self._known(retire)
        if stays.link_id != goes.link_id:
            self._join(stays.link_id, goes.link_id)
        goes.retired_into = survivor
        self.notifications.add(
            RETIRED,
            survivingSource=survivor[0],
            survivingNativeId=survivor[1],
            retiredSource=retire[0],
            retiredNativeId=retire[1],
        )
        return stays.link_id

    def unmerge(self, survivor: Key, key: Key) -> str:
        """Bring a retired number back to life, in a link of its own."""
        retired = self._registrations.get(key)
        if retired is None or retired.retired_into != survivor:
            raise Refused("The source was not merged into the other")
        retired.retired_into = None
        self._move(retired, self._new_link())
        return retired.link_id

    def set_active(self, key: Key, *, active: bool) -> str:
        """Deactivate or reactivate a registration; returns its link."""
        known = self._known(key)
        known.active = active
        return known.link_id

    def delete(self, key: Key) -> str:
        """Forget a registration altogether; returns the link that it was part of."""
        known = self._known(key)
        del self._registrations[key]
        del self._of_link[known.link_id][key]
        for words in (self._of_person, self._alike):
            for keys in words.values():
                keys.pop(key, None)
        return known.link_id

    def rename(self, link_id: str) -> str:
        """Give a link another id, as later evidence may do at any time."""
        fresh = self._new_link()
        self._join(fresh, link_id)
        return fresh

    def _known(self, key: Key) -> Registration:
        known = self._registrations.get(key)
        if known is None:
            raise Refused(UNKNOWN)
        if known.retired_into is not None:
            raise Refused("The source was retired by a merge and cannot be updated")
        return known

    def _join(self, survivor: str, retired: str) -> None:
        for key in tuple(self._of_link[retired]):
            self._move(self._registrations[key], survivor)
        self._renamed[retired] = survivor

    def _move(self, registration: Registration, link_id: str) -> None:
        previous, registration.link_id = registration.link_id, link_id
        del self._of_link[previous][registration.key]
        self._of_link[link_id][registration.key] = None
        self._tell(LINK_ID_CHANGED, registration, previous=previous)

    def _tell(self, kind: str, registration: Registration, previous: str | None) -> None:
        source, native_id = registration.key
        self.notifications.add(
            kind,
            source=source,
            nativeId=native_id,
            previousLinkId=previous,
            newLinkId=registration.link_id,
        )

    def _link_of(self, person: str) -> str | None:
        for key in self._of_person.get(person, ()):
            registration = self._registrations[key]
            if registration.counts and not registration.apart:
                return registration.link_id
        return None

    def _new_link(self) -> str:
        self._minted += 1
        return blake2b(self._minted.to_bytes(8), digest_size=10).hexdigest()


def _words(identity: Identity) -> Iterable[str]:
    """What may make two people look alike: surname with birth year, and social security number."""
    read, _ = standardize(demographics_of(identity))
    if read.family and read.dob:
        yield f"{read.family[0]}|{read.dob[:4]}"
    if read.ssn:
        yield read.ssn


def _overlays(before: Identity, after: Identity) -> bool:
    old, _ = standardize(demographics_of(before))
    new, _ = standardize(demographics_of(after))
    other_birth = bool(old.dob and new.dob) and old.dob != new.dob
    other_name = bool(old.family and new.family) and not set(old.family) & set(new.family)
    return other_birth and other_name
