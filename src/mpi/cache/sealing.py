"""Answers as bytes that leave this process, sealed against change.

Nothing in them is demographic: an answer names persons by their ``mpi_id``, and its tags are keyed digests. But who
could write into the cache could say who a patient is, so every answer carries a keyed digest of itself and of the key
it was kept under; what was not sealed with our secret, or for another key, is no answer.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from hmac import compare_digest

from mpi.ports import KeptAnswer

FORMAT = 2
"""To be raised whenever the form changes, or what is looked up for an answer and so the tags that make it stale: a
part of every key, so that versions never read each other's answers."""

_SEAL_BYTES = 16
_HEAD = struct.Struct(">QQQdHB")
"""Position, mark, valid_until, expires, number of tags, length of the status."""


class Seal:
    """Packs and unpacks answers. ``secret``: 16 to 64 bytes that all processes of one index share."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def close(self, key: bytes, answer: KeptAnswer) -> bytes:
        """The answer as it may be kept under the key."""
        status, tags = answer.status.encode(), answer.tags
        head = _HEAD.pack(
            answer.position, answer.mark, answer.valid_until, answer.expires, len(tags), len(status)
        )
        content = b"".join((head, struct.pack(f">{len(tags)}Q", *tags), status, answer.body))
        return self._seal(key, content) + content

    def open(self, key: bytes, sealed: bytes) -> KeptAnswer | None:
        """The answer that was closed; None when these bytes never were one of ours under this key."""
        seal, content = sealed[:_SEAL_BYTES], sealed[_SEAL_BYTES:]
        if not compare_digest(seal, self._seal(key, content)):
            return None
        position, mark, valid_until, expires, tags, status = _HEAD.unpack_from(content)
        after_tags = _HEAD.size + 8 * tags
        return KeptAnswer(
            body=content[after_tags + status :],
            status=content[after_tags : after_tags + status].decode(),
            tags=struct.unpack_from(f">{tags}Q", content, _HEAD.size),
            position=position,
            mark=mark,
            valid_until=valid_until,
            expires=expires,
        )

    def _seal(self, key: bytes, content: bytes) -> bytes:
        digest = blake2b(key, key=self._secret, digest_size=_SEAL_BYTES)
        digest.update(content)
        return digest.digest()
