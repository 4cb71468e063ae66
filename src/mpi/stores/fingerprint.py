"""What tells one HMAC key from another."""

from __future__ import annotations

import hashlib


def fingerprint(key: bytes) -> bytes:
    """What the store keeps of the HMAC key: enough to tell another one, nothing to compute with."""
    return hashlib.sha256(b"mpi:key-fingerprint:" + key).digest()[:16]
