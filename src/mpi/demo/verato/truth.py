"""Whose registration it is, by the truth of a synthetic population, with the errors that Verato states.

Nothing is compared here. A registration of the population is recognised by its content, and its person looked
up; a stranger is himself and whoever has exactly his content. So the answers are independent of any rules of ours.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import orjson

from mpi.demo.registrations import Row, Truth
from mpi.demo.verato.identities import Identity, demographics_of
from mpi.domain.record import Demographics
from mpi.domain.registration import read_flat
from mpi.matching.standardize import standardize

SENSITIVITY = 0.935
PPV = 0.9996

STRANGER = "stranger:"
"""How the names of those begin whom the population does not know."""


class People:
    """Tells persons apart. Equal content always gets an equal answer, whatever came before.

    ``sensitivity`` is the share of pairs of registrations of one person that are put together;
    ``ppv`` the share of registrations that are put with the right person.
    """

    def __init__(
        self, *, seed: int = 1, sensitivity: float = SENSITIVITY, ppv: float = PPV
    ) -> None:
        self._seed = seed
        # A pair is put together when neither of the two is missed.
        self._missed = 1 - sensitivity**0.5
        self._mistaken = 1 - ppv
        self._people: dict[bytes, str] = {}
        self._known: list[str] = []

    def learn(self, registrations: Iterable[tuple[Row, Truth]]) -> None:
        """Take in who is who of a population."""
        for row, truth in registrations:
            submission, _ = read_flat(row)
            self._people.setdefault(fingerprint(submission.demographics), truth.entity_id)
            self._known.append(truth.entity_id)

    def person_of(self, identity: Identity) -> str:
        """Names the person that this identity is taken for."""
        content = fingerprint(demographics_of(identity))
        person = self._people.get(content)
        if person is None:
            return STRANGER + content.hex()
        chance = self.chance(content, b"error")
        if chance < self._mistaken:
            return self._known[int(self.chance(content, b"whom") * len(self._known))]
        if chance < self._mistaken + self._missed:
            return f"{person}:{content.hex()}"
        return person

    def chance(self, content: bytes, purpose: bytes) -> float:
        """A number from 0 to 1, always the same for the same content and purpose."""
        drawn = blake2b(content, digest_size=8, key=self._seed.to_bytes(8), person=purpose)
        return int.from_bytes(drawn.digest()) / 2**64


def fingerprint(demographics: Demographics) -> bytes:
    """Equal for equal content, in whatever form dates, numbers and phones are written."""
    read, _ = standardize(demographics)
    streets = [(address.house, address.street, address.zip) for address in read.addresses]
    content = (read.given, read.family, read.dob, read.ssn, read.phones, read.emails, streets)
    return blake2b(orjson.dumps(content), digest_size=16).digest()
