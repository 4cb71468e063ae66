"""Requests that mean harm, made up by seed: no two runs of one seed differ.

Texts in them carry the sentinels, so that whatever repeats a piece of them is found.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from mpi.domain.intake import ALIASES, FLAT_FIELDS, PLURAL_FIELDS
from tests.support.hostile_values import (
    HEADERS,
    LITERALS,
    MEDIA,
    METHODS,
    PIECES,
    SCALARS,
    STEMS,
    TEXTS,
    Literal,
)
from tests.support.sentinels import DOB, MARK, SSN

LARGE = 10_000_000
"""Bytes of the largest bodies; the service takes 16 MiB."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One request as bytes on the wire; ``name`` tells its kind."""

    name: str
    raw: bytes


def attacks(seed: int, count: int) -> Iterator[Attack]:
    """``count`` requests of every kind in turn, those of a kind different from each other."""
    chance = Random(seed)
    kinds = list(_KINDS.items())
    for number in range(count):
        name, make = kinds[number % len(kinds)]
        yield Attack(name, make(chance))


def large_attacks() -> Iterator[Attack]:
    """The few that are large: megabytes in one value, in many, and in depth."""
    text = MARK.encode() * (LARGE // len(MARK))
    patient = b'{"patient_data":%s}'
    rows = b'{"patients":[%s]}'
    yield Attack("one long name", _match(patient % (b'{"last_name":"' + text + b'"}')))
    yield Attack("one long unknown field", _match(patient % (b'{"' + text + b'":1}')))
    yield Attack("a number of digits", _match(patient % (b'{"ssn":' + b"9" * LARGE + b"}")))
    yield Attack("many names", _match(patient % (b'{"names":[' + _many(b"{}", 3) + b"]}")))
    yield Attack("many fields", _match(patient % (b"{" + _fields(500_000) + b"}")))
    yield Attack("depth", _match(b"[" * LARGE))
    yield Attack("depth of objects", _match(b'{"a":' * (LARGE // 5)))
    yield Attack("depth in a decision", _post("/mpi/assertions", b"[" * LARGE))
    yield Attack("rows of nothing", _post("/mpi/batch", rows % _many(b"0", 2)))
    yield Attack("empty rows", _post("/mpi/batch", rows % b",".join([b"{}"] * 10_000)))
    yield Attack("spaces", _match(b" " * LARGE))
    yield Attack("more than is taken", _match(b" " * (17 * 1024 * 1024)))
    yield Attack("a long reason", _post("/mpi/assertions", b'{"reason":"' + text + b'"}'))
    yield Attack("a long path", _head("GET", "/mpi/persons/" + "Z" * 60_000) + b"\r\n")
    yield Attack("a packed bomb", _match(gzip.compress(text), {"Content-Encoding": "gzip"}))


def _many(item: bytes, width: int) -> bytes:
    return b",".join([item] * (LARGE // width))


def _fields(count: int) -> bytes:
    return b",".join(b'"%s%d":0' % (MARK.encode(), number) for number in range(count))


def _head(method: str, target: str, headers: Mapping[str, str] | None = None) -> bytes:
    given = {"Host": "127.0.0.1", "Connection": "close", **(headers or {})}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return ("\r\n".join(lines) + "\r\n").encode("latin-1", "replace")


def _send(method: str, target: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    given = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    return _head(method, target, given | dict(headers or {})) + b"\r\n" + body


def _post(target: str, body: bytes) -> bytes:
    return _send("POST", target, body)


def _match(body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
    return _send("POST", "/mpi/match", body, headers)


def _value(chance: Random) -> Any:
    return chance.choice(chance.choice((TEXTS, TEXTS, LITERALS, SCALARS)))


def _render(value: Any, chance: Random) -> bytes:
    if isinstance(value, Literal):
        return value.text
    if isinstance(value, dict):
        members = (_render(k, chance) + b":" + _render(v, chance) for k, v in value.items())
        return b"{" + b",".join(members) + b"}"
    if isinstance(value, list):
        return b"[" + b",".join(_render(item, chance) for item in value) + b"]"
    return json.dumps(value, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


_PARTS = {
    "names": ("given", "middle", "family", "suffix", "use"),
    "addresses": ("line1", "line2", "city", "state", "zip", "country"),
    "identifiers": ("kind", "value", "system"),
}


def _patient(chance: Random) -> dict[str, Any]:
    """A patient with hostile values in some fields, and in entries of plural forms."""
    patient: dict[str, Any] = {"first_name": MARK, "last_name": f"{MARK}son", "dob": DOB}
    for name in chance.sample([*FLAT_FIELDS, *ALIASES], chance.randrange(1, 6)):
        patient[name] = _text_or_any(chance)
    if chance.random() < 0.4:
        name = chance.choice(PLURAL_FIELDS)
        parts = _PARTS.get(name)
        patient[name] = [
            {part: _text_or_any(chance) for part in parts} if parts else _text_or_any(chance)
            for _ in range(chance.randrange(22))
        ]
    if chance.random() < 0.2:
        patient[chance.choice(TEXTS)] = chance.choice(SCALARS)
    return patient


def _text_or_any(chance: Random) -> Any:
    """Mostly text, which goes deepest into the service; never what breaks the document."""
    return chance.choice(TEXTS if chance.random() < 0.95 else SCALARS)


def _skeletons(chance: Random) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and a right body of every route that takes one."""
    ids = {"source": f"{MARK}-A", "source_id": f"{MARK}{chance.randrange(500)}"}
    record = f"/mpi/records/{ids['source']}/{ids['source_id']}"
    patient, reason = _patient(chance), {"reason": MARK}
    pair = [[ids["source"], ids["source_id"]], [MARK, MARK]]
    yield "POST", "/mpi/match", {"patient_data": patient, **ids, "explain": True}
    yield "POST", "/mpi/match", {"patient_data": patient}
    yield "PUT", record, {"patient_data": patient, "recorded_at": "2026-01-01T00:00:00Z"}
    yield "POST", "/mpi/search", {"patient_data": patient, "limit": 3}
    yield "POST", "/mpi/explain", {"left": {"patient_data": patient}, "right": dict(ids)}
    yield "POST", "/mpi/batch", {"source": MARK, "patients": [patient | ids, patient, MARK, 7]}
    yield "POST", "/mpi/records/lookup", dict(ids)
    yield "POST", f"{record}/move", {"to": "new", **reason}
    yield "POST", "/mpi/assertions", {"kind": "same", "records": pair, **reason}
    yield "POST", f"/mpi/persons/{MARK}/merge", {"retire": MARK, **reason}
    yield "POST", f"/mpi/tasks/{MARK}/decide", {"outcome": "same", **reason}
    yield "POST", f"/mpi/events/{MARK}/undo", dict(reason)


def _skeleton(chance: Random) -> tuple[str, str, dict[str, Any]]:
    return chance.choice(list(_skeletons(chance)))


def _hostile_patient(chance: Random) -> bytes:
    method, path, body = chance.choice(list(_skeletons(chance))[:6])
    return _send(method, path, _render(body, chance))


def _wrong_type(chance: Random) -> bytes:
    """A value somewhere, or the whole body, is something else."""
    method, path, body = _skeleton(chance)
    where: Any = body
    while True:
        name = chance.choice(list(where) if isinstance(where, dict) else range(len(where)))
        inner = where[name]
        if not inner or not isinstance(inner, dict | list) or chance.random() < 0.3:
            where[name] = _value(chance)
            break
        where = inner
    whole = body if chance.random() < 0.9 else _value(chance)
    return _send(method, path, _render(whole, chance))


def _broken_text(chance: Random) -> bytes:
    method, path, body = _skeleton(chance)
    text = bytearray(_render(body, chance))
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        change = chance.randrange(5)
        if change == 0:
            del text[at:]
        elif change == 1:
            text[at:at] = chance.randbytes(chance.randrange(1, 9))
        elif change == 2:
            del text[at : at + chance.randrange(1, 9)]
        elif change == 3:
            text[at:at] = chance.choice(
                (b"\x00", b"\xff", b'"', b"{", b"[", b",", b"\\", b"\xe2\x80\xae")
            )
        else:
            text += text[at:]
    return _send(method, path, bytes(text))


def _other_encoding(chance: Random) -> bytes:
    method, path, body = _skeleton(chance)
    text = _render(body, chance)
    plain = text.decode("utf-8", "replace")
    changed = chance.choice(
        (
            b"\xef\xbb\xbf" + text,
            plain.encode("utf-16"),
            plain.encode("utf-32"),
            gzip.compress(text),
            plain.encode("cp037", "replace"),
            text + text,
            text + b"\x00",
            b"\n" * 1000 + text,
            text[:-1] + b"," + text[1:],
        )
    )
    return _send(method, path, changed)


def _odd_headers(chance: Random) -> bytes:
    method, path, body = _skeleton(chance)
    odd = {"Content-Type": chance.choice(MEDIA)} if chance.random() < 0.3 else {}
    return _send(method, path, _render(body, chance), {**odd, **chance.choice(HEADERS)})


def _odd_path(chance: Random) -> bytes:
    tail = "".join(
        chance.choice(PIECES) + chance.choice(("", "/", "")) for _ in range(chance.randrange(1, 4))
    )
    target = (
        chance.choice(STEMS)
        + tail
        + chance.choice(("", "", "/move", "/merge", "/history", "/undo"))
    )
    method = chance.choice(METHODS)
    if method in {"PUT", "POST", "PATCH"}:
        return _send(method, target, _render(_skeleton(chance)[2], chance))
    return _head(method, target) + b"\r\n"


def _chunked(chance: Random) -> bytes:
    """A body in chunks, often with wrong sizes, extensions or trailers."""
    method, path, body = _skeleton(chance)
    text = _render(body, chance)
    step = chance.choice((1, 7, 100))
    pieces = [text[at : at + step] for at in range(0, len(text), step)][:400]
    off = chance.choice((0, 0, 0, 1, -1, 10**6))
    chunks = b"".join(
        b"%x%s\r\n%s\r\n" % (max(len(p) + off, 0), chance.choice((b"", b";Zqx=1")), p)
        for p in pieces
    )
    end = chance.choice(
        (
            b"0\r\n\r\n",
            b"0\r\nX-Zqx: Zqx\r\n\r\n",
            b"",
            b"Zqx\r\n",
            b"0\r\n" + b"X: Zqx\r\n" * 500 + b"\r\n",
        )
    )
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}
    return _head(method, path, headers) + b"\r\n" + chunks + end


def _half_sent(chance: Random) -> bytes:
    """What a client that dies midway has sent; whoever sends it says then that no more will come."""
    method, path, body = _skeleton(chance)
    raw = _send(method, path, _render(body, chance))
    return raw[: chance.randrange(1, len(raw))]


def _pipelined(chance: Random) -> bytes:
    """Several requests at once, perhaps with something between them that is none."""
    raw = b"".join(
        _hostile_patient(chance).replace(b"Connection: close", b"Connection: keep-alive")
        for _ in range(chance.randrange(2, 9))
    )
    between = chance.choice((b"", b"", b"\r\n\r\n", b"\x00", f"{MARK}\r\n".encode()))
    return raw + between + _odd_path(chance)


def _noise(chance: Random) -> bytes:
    """No HTTP at all, or nearly."""
    return chance.choice(
        (
            chance.randbytes(200),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + chance.randbytes(500),
            f"GET /{MARK} HTTP/9.9\r\n\r\n".encode(),
            f"GET /{MARK}\r\n\r\n".encode(),
            f"{MARK} {SSN}\r\n\r\n".encode(),
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\r\n" * 1000,
            b"\x00" * 1000,
            f"GET / HTTP/1.1\r\n{MARK}\r\n\r\n".encode(),
            f"GET / HTTP/1.1\r\nHost: a\r\nHost: {MARK}\r\n\r\n".encode(),
            f"POST /mpi/match HTTP/1.1\n\n{MARK}".encode(),
        )
    )


_KINDS = {
    "hostile patient": _hostile_patient,
    "wrong type": _wrong_type,
    "broken text": _broken_text,
    "other encoding": _other_encoding,
    "odd headers": _odd_headers,
    "odd path": _odd_path,
    "chunked": _chunked,
    "half sent": _half_sent,
    "pipelined": _pipelined,
    "noise": _noise,
}


def hostile_rows(seed: int, count: int) -> bytes:
    """NDJSON: patients with hostile values, some of them with wrong types or broken text."""
    chance = Random(seed)
    lines = []
    for number in range(count):
        row = _patient(chance) | {"source": MARK, "source_id": str(number)}
        if chance.random() < 0.3:
            row[chance.choice(list(row))] = _value(chance)
        line = bytearray(_render(row, chance).replace(b"\n", b" "))
        if chance.random() < 0.1:
            del line[chance.randrange(len(line)) :]
        lines.append(bytes(line))
    return b"\n".join(lines)


def hostile_table(seed: int, count: int) -> bytes:
    """CSV with the same values, unquoted as often as quoted, in rows of any length."""
    chance = Random(seed)
    header = ["source", "source_id", *FLAT_FIELDS, "names", "shoe \xff size"]
    rows = [",".join(header).encode("latin-1")]
    for number in range(count):
        cells = [MARK.encode(), b"%d" % number]
        for _ in range(chance.randrange(len(header) + 2)):
            cell = chance.choice(TEXTS).encode("utf-8", "surrogatepass")
            quoted = b'"' + cell.replace(b'"', b'""') + b'"'
            cells.append(chance.choice((cell, quoted, quoted, b"", b"\xff\xfe", b'"', b"[1,")))
        rows.append(b",".join(cells))
    return chance.choice((b"\n", b"\r\n")).join(rows)
