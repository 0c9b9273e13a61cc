"""Requests that are tricks: two ends of one body, chunks that are none, heads that are none; see pieces.py."""

from __future__ import annotations

from random import Random

from tests.fuzz.pieces import EITHER, REFUSED, Piece, body_of, chunks, head, post, smuggled


def framing(marker: str, rng: Random) -> Piece:
    """Two answers to the question where the body ends: never may the rest be served as a request of its own."""
    body, inner = body_of(marker), smuggled(marker)
    whole = chunks(body) + inner
    length = b"Content-Length: %d"
    chunked = b"Transfer-Encoding: chunked"
    choices: dict[str, tuple[list[bytes], bytes]] = {
        "length, then chunked": ([length % len(whole), chunked], whole),
        "chunked, then length": ([chunked, length % len(whole)], whole),
        "short length, then chunked": ([length % 4, chunked], whole),
        "chunked, then short length": ([chunked, length % 4], whole),
        "no length, then chunked": ([length % 0, chunked], whole),
        "two lengths": ([length % len(body), length % (len(body) + len(inner))], body + inner),
        "two lengths, the long one first": ([length % (len(body) + len(inner)), length % len(body)], body + inner),
        "unknown coding and length": ([b"Transfer-Encoding: xchunked", length % len(body)], body + inner),
        "identity and length": ([b"Transfer-Encoding: identity", length % len(body)], body + inner),
        "chunked is not last": ([b"Transfer-Encoding: chunked, identity"], whole),
        "chunked is not last, twice": ([chunked, b"Transfer-Encoding: identity"], whole),
        "chunked and no comma": ([b"Transfer-Encoding: chunked identity", length % len(body)], body + inner),
    }
    for value in _WRONG_LENGTHS:
        choices[f"length {value!r}"] = ([b"Content-Length:" + value.replace(b"N", b"%d" % len(body))], body + inner)
    for line in _WRONG_CODINGS:
        choices[f"coding {line!r}"] = ([line, length % (len(body) + len(inner))], body + inner)
    name = rng.choice(list(choices))
    lines, data = choices[name]
    return Piece(name, head(*lines) + data, body, EITHER, ends=True)


_WRONG_LENGTHS = (
    b" +N", b" -N", b" -1", b" 0xN", b" N, N", b" N,N", b" N N", b" N;", b" N\x0b", b" \xb2N", b" 1e3", b" N.0", b"",
    b" ", b" 18446744073709551616", b" 184467440737095516160000", b" " + b"9" * 400, b" N\0", b" five",
    b" N\r\n Content-Length: 9999", b" N\r\n\t1",
)  # fmt: skip
_WRONG_CODINGS = (
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\t: chunked", b"Transfer-Encoding\0: chunked",
    b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: chunked\0", b"Transfer-Encoding: x\r\n chunked",
    b"Transfer-Encoding:\r\n chunked", b"X: y\r\n Transfer-Encoding: chunked", b"Transfer-Encoding: chunked\xff",
    b" Transfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked", b"Transfer-Encoding: \"chunked\"",
)  # fmt: skip


def broken_chunks(marker: str, rng: Random) -> Piece:
    """A chunked body that is not one; what comes behind it belongs to nobody."""
    body, inner = body_of(marker), smuggled(marker)
    size = b"%x" % len(body)
    choices = {
        "negative size": b"-1\r\n",
        "size with 0x": b"0x" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "size with plus": b"+" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "size with underscore": b"0_" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "seventeen digits": b"f" * 17 + b"\r\n" + body,
        "overflow to the right size": b"1" + b"0" * 15 + size.rjust(2, b"0")[-1:] + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "no size": b"\r\n" + body + b"\r\n0\r\n\r\n",
        "no line end after the data": size + b"\r\n" + body + b"0\r\n\r\n",
        "data longer than its size": b"5\r\n" + body + b"\r\n0\r\n\r\n",
        "lf only": size + b"\n" + body + b"\n0\n\n",
        "lf in an extension": size + b";a\nb\r\n" + body + b"\r\n0\r\n\r\n",
        "cr in an extension": size + b";a\rb\r\n" + body + b"\r\n0\r\n\r\n",
        "nul in an extension": b"\0" + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "huge extension": size + b";" + b"e" * 40_000 + b"\r\n" + body + b"\r\n0\r\n\r\n",
        "many extensions": b"".join(b"1;%s\r\n%c\r\n" % (b"e" * 300, byte) for byte in body) + b"0\r\n\r\n",
        "last chunk with data": size + b"\r\n" + body + b"\r\n0\r\nX\r\n\r\n",
        "folded trailer": size + b"\r\n" + body + b"\r\n0\r\nX: y\r\n z\r\n\r\n",
        "huge trailer": size + b"\r\n" + body + b"\r\n0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        "many trailers": size + b"\r\n" + body + b"\r\n0\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        "spaces before the size": b"  " + size + b"\r\n" + body + b"\r\n0\r\n\r\n",
    }
    name = rng.choice(list(choices))
    return Piece(name, head(b"Transfer-Encoding: chunked") + choices[name] + inner, None, REFUSED, ends=True)


def broken_head(marker: str, rng: Random) -> Piece:
    """No request at all; the connection ends."""
    body = body_of(marker)
    right = post(body)
    choices = {
        "nul in a value": post(body, b"X: a\0b"),
        "nul in a name": post(body, b"X\0: a"),
        "cr in a value": post(body, b"X: a\rb"),
        "space in a name": post(body, b"X Y: a"),
        "no colon": post(body, b"XY"),
        "no name": post(body, b": a"),
        "folded first": right.replace(b"Host", b" Host", 1),
        "two hundred headers": post(body, *(b"X-%d: y" % number for number in range(200))),
        "endless header": post(body, b"X: " + b"y" * 2_000_000),
        "endless name": post(body, b"Y" * 2_000_000 + b": x"),
        "endless target": right.replace(b"/v1/events", b"/" + b"a" * 100_000, 1),
        "endless method": b"M" * 2_000_000 + right,
        "target with a space": right.replace(b"/v1/events", b"/v1 /events", 1),
        "target with nul": right.replace(b"/v1/events", b"/v1/events\0", 1),
        "no target": right.replace(b" /v1/events", b"", 1),
        "no version": right.replace(b" HTTP/1.1", b"", 1),
        "version 2": right.replace(b"HTTP/1.1", b"HTTP/2.0", 1),
        "version 9": right.replace(b"HTTP/1.1", b"HTTP/9.9", 1),
        "version in small letters": right.replace(b"HTTP/1.1", b"http/1.1", 1),
        "http 2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40),
        "zeros": bytes(500),
        "noise": rng.randbytes(200).replace(b"\n", b""),
        "chunked in http 1.0": head(b"Transfer-Encoding: chunked", first=b"POST /v1/events HTTP/1.0") + chunks(body),
    }
    name = rng.choice(list(choices))
    return Piece(name, choices[name], None, REFUSED, ends=True)
