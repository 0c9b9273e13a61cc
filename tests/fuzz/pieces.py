"""Single requests as raw bytes, and what may come of each: what generated streams are made of, but for the tricks."""

from __future__ import annotations

import json
from random import Random
from typing import NamedTuple

from tests.integration.ingest_server import KEY

Outcomes = frozenset[int]
"""Statuses that may be answered; 0: closed without an answer."""

SERVED: Outcomes = frozenset({200})
REFUSED: Outcomes = frozenset({0, 400, 408, 414, 431, 501, 505})
EITHER: Outcomes = SERVED | REFUSED
EARLY: Outcomes = frozenset({0})
"""Refused before the body was read: the connection may end, and what the client still sends may cost it the answer."""


class Piece(NamedTuple):
    """One request of a stream."""

    name: str
    data: bytes
    body: bytes | None
    """All that may be stored for it."""
    outcomes: Outcomes
    ends: bool
    """The connection ends with it: nothing behind it may be served."""


def body_of(marker: str) -> bytes:
    """Return a body that can be found again by its marker."""
    event = {"event_id": marker, "event_name": "n", "device_id": "d", "occurred_at": "2026-11-22T10:00:00Z"}
    return json.dumps({"events": [event]}).encode()


def head(*lines: bytes, first: bytes = b"POST /v1/events HTTP/1.1") -> bytes:
    return b"\r\n".join([first, b"Host: x", f"Authorization: Bearer {KEY}".encode(), *lines, b"", b""])


def post(body: bytes, *lines: bytes) -> bytes:
    """Return a right request."""
    return head(*lines, b"Content-Length: %d" % len(body)) + body


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part) + b"0\r\n\r\n"


def clean(marker: str, rng: Random) -> Piece:
    """A request like any other."""
    body = body_of(marker)
    if rng.random() < 0.5:
        return Piece("clean", post(body), body, SERVED, ends=False)
    cut = rng.randrange(len(body))
    data = head(b"Transfer-Encoding: chunked") + chunks(body[:cut], body[cut:])
    return Piece("clean chunked", data, body, SERVED, ends=False)


def smuggled(marker: str) -> bytes:
    """Return the request that an attacker hides in another one's body."""
    return post(body_of(f"evil-{marker}"))


def odd_but_whole(marker: str, rng: Random) -> Piece:
    """What is odd and yet has one meaning: served, or refused, and the next request is read from the right byte."""
    body = body_of(marker)
    size, right = b"%x" % len(body), b"Content-Length: %d" % len(body)
    length = len(body)
    choices: dict[str, bytes] = {
        "two equal lengths": post(body, right),
        "zeros before the length": head(b"Content-Length: 000%d" % length) + body,
        "upper case": head(b"TRANSFER-ENCODING: CHUNKED") + chunks(body),
        "space around the coding": head(b"Transfer-Encoding: \t chunked \t") + chunks(body),
        "spaces behind the size": head(b"Transfer-Encoding: chunked") + size + b"  \r\n" + body + b"\r\n0\r\n\r\n",
        "zeros before the size": head(b"Transfer-Encoding: chunked")
        + b"000"
        + size
        + b"\r\n"
        + body
        + b"\r\n0\r\n\r\n",
        "extension": head(b"Transfer-Encoding: chunked") + size + b";a=b\r\n" + body + b"\r\n0;c\r\n\r\n",
        "announced trailer": head(b"Trailer: X", b"Transfer-Encoding: chunked") + chunks(body)[:-2] + b"X: y\r\n\r\n",
        "line end before it": b"\r\n" + post(body),
        "lf for crlf": post(body).replace(b"\r\n", b"\n"),
        "bytes above ascii in a header": post(body, b"X-Name: \xe9\xff"),
        "long header": post(body, b"X: " + b"y" * 8_000),
        "empty header": post(body, b"X:"),
        "sixty headers": post(body, *(b"X-%d: y" % number for number in range(60))),
        "whole url": post(body).replace(b"/v1/events", b"http://elsewhere.example/v1/events", 1),
        "query": post(body).replace(b"/v1/events", b"/v1/events?a=%00&b=%", 1),
        "expect": post(body, b"Expect: 100-continue"),
        "upgrade": post(body, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQ"),
        "websocket": post(body, b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    }
    name = rng.choice(list(choices))
    return Piece(name, choices[name], body, SERVED, ends=False)


def not_found(marker: str, rng: Random) -> Piece:
    """A request with a body that no route takes: refused, nothing stored, and the next one is read as usual."""
    inner = smuggled(marker)
    targets = (
        b"/",
        b"/v1/events/",
        b"//v1/events",
        b"/V1/EVENTS",
        b"/v1/events%00",
        b"/v1/../v1/events",
        b"*",
        b"/%ff",
    )
    first = rng.choice([b"POST", b"PUT", b"GET", b"get", b"M" * 30]) + b" " + rng.choice(targets) + b" HTTP/1.1"
    if rng.random() < 0.5:
        data = head(b"Content-Length: %d" % len(inner), first=first) + inner
    else:
        data = head(b"Transfer-Encoding: chunked", first=first) + chunks(inner)
    return Piece("no such route", data, None, EARLY | {400, 404, 405}, ends=False)


def unwanted(marker: str, rng: Random) -> Piece:
    """A good body under a head that is not good enough: what is hidden in the body stays a body."""
    inner = smuggled(marker)
    lines = {
        "no key": head(b"Content-Length: %d" % len(inner)).replace(KEY.encode(), b""),
        "wrong key": head(b"Content-Length: %d" % len(inner)).replace(KEY.encode(), b"k" * 9),
        "not json": head(b"Content-Length: %d" % len(inner)),
        "unknown encoding": head(b"Content-Encoding: nonsense", b"Content-Length: %d" % len(inner)),
        "not gzip": head(b"Content-Encoding: gzip", b"Content-Length: %d" % len(inner)),
    }
    name = rng.choice(list(lines))
    return Piece(name, lines[name] + inner, None, EARLY | {400, 401, 403, 415, 503}, ends=False)


_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b";", b",", b"\r\n\r\n", b"0\r\n\r\n", b"\xff", b"{", b"}", b'"',
    b"Content-Length: 0\r\n", b"Content-Length: 10\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"HTTP/1.1", b"Expect: 100-continue\r\n", b"Content-Encoding: gzip\r\n", b"9", b"-", b"%00", b"\r\n ",
)  # fmt: skip


def mutated(marker: str, rng: Random) -> Piece:
    """A right request of which bytes were changed, lost, doubled or added anywhere."""
    whole = clean(marker, rng)
    data = bytearray(whole.data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        at, length = rng.randrange(len(data) + 1), rng.choice([0, 0, 1, 1, 2, 5, 40])
        new = rng.choice([b"", rng.randbytes(1), rng.randbytes(3), rng.choice(_TOKENS), bytes(data[at : at + 30]) * 2])
        data[at : at + length] = new
    return Piece("mutated", bytes(data), None, frozenset(), ends=False)
