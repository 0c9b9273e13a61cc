"""Generated requests of any dialect: from good ones, over such with one defect, to arbitrary bytes in odd encodings."""

from __future__ import annotations

import json
from typing import NamedTuple

from hypothesis import strategies as st

from tests.fuzz import json_pieces, limits, packing
from tests.fuzz.dialects import Dialect


class Known(NamedTuple):
    """What must come of a body: so many events, and exactly these quarantined."""

    events: int
    bad: frozenset[int]
    field: str = ""
    """The field that the reason must name."""


class Plain(NamedTuple):
    """A body before it is compressed; `known` where it is clear what must come of it."""

    text: bytes
    known: Known | None


class Sent(NamedTuple):
    """A request: the body as it goes over the wire, the headers, and what it inflates to (None: nobody can tell)."""

    dialect: Dialect
    body: bytes
    headers: tuple[tuple[str, bytes], ...]
    pieces: tuple[int, ...] | None
    """Sizes of the chunks; None: with Content-Length."""
    inflated: bytes | None
    known: Known | None

    def __repr__(self) -> str:
        shown = self.body if self.inflated is None else self.inflated
        return f"<{shown[:2000]!r} of {len(shown)} bytes, {self.headers}, chunks {self.pieces}, {self.known}>"

    def on_wire(self) -> bytes:
        lines = [f"POST {self.dialect.path} HTTP/1.1".encode(), b"Host: fuzz"]
        lines += [f"{name}: {value}".encode() for name, value in self.dialect.headers]
        lines += [name.encode() + b": " + value for name, value in self.headers]
        if self.pieces is None:
            return b"\r\n".join([*lines, b"Content-Length: %d" % len(self.body), b"", self.body])
        return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", chunked(self.body, self.pieces)])


def chunked(body: bytes, sizes: tuple[int, ...]) -> bytes:
    """Cut a body into chunks of these sizes and a last one."""
    parts, at = [], 0
    for size in (*sizes, len(body)):
        if part := body[at : at + size]:
            parts.append(b"%x\r\n%s\r\n" % (len(part), part))
        at += size
    return b"".join(parts) + b"0\r\n\r\n"


@st.composite
def _event(draw: st.DrawFn, dialect: Dialect, more: tuple[tuple[bytes, bytes], ...] = ()) -> bytes:
    ascii_only = draw(st.booleans())
    fields = {key: json_pieces.encoded(value, ascii_only=ascii_only) for key, value in dialect.event.items()}
    for key in draw(st.lists(st.text(max_size=6).map(lambda text: f"x-{text}"), max_size=3, unique=True)):
        odd = st.sampled_from(json_pieces.STRANGE) | json_pieces.values.map(json.dumps).map(str.encode)
        fields[key] = draw(odd)
    written = [(json.dumps(key).encode(), value) for key, value in fields.items()]
    replaced = {key for key, _ in more}
    return draw(json_pieces.objects([pair for pair in written if pair[0] not in replaced] + list(more)))


@st.composite
def _body(draw: st.DrawFn, dialect: Dialect, events: list[bytes]) -> bytes:
    gap = draw(json_pieces.space)
    around = [(json.dumps(key).encode(), json.dumps(value).encode()) for key, value in dialect.around.items()]
    if draw(st.booleans()):
        around.append((b'"x-more"', draw(st.sampled_from(json_pieces.STRANGE))))
    whole = gap + b"[" + (gap + b"," + gap).join(events) + gap + b"]"
    return gap + draw(json_pieces.objects([*around, (f'"{dialect.list_key}"'.encode(), whole)])) + gap


@st.composite
def good(draw: st.DrawFn, dialect: Dialect) -> Plain:
    """Good events only: nothing may be quarantined, whatever else they carry."""
    events = draw(st.lists(_event(dialect), min_size=1, max_size=8))
    return Plain(draw(_body(dialect, events)), Known(len(events), frozenset()))


@st.composite
def one_defect(draw: st.DrawFn, dialect: Dialect) -> Plain:
    """One bad event among good ones: it costs itself alone."""
    events = draw(st.lists(_event(dialect), min_size=1, max_size=6))
    index = draw(st.integers(0, len(events) - 1))
    field = ""
    if draw(st.booleans()) and dialect.odd_fields:
        field = draw(st.sampled_from(sorted(dialect.odd_fields)))
        value = draw(st.sampled_from(dialect.odd_fields[field]))
        events[index] = draw(_event(dialect, ((f'"{field}"'.encode(), value),)))
    elif draw(st.booleans()):
        events[index] = draw(_event(dialect, ((b'"x-broken"', draw(st.sampled_from(json_pieces.BROKEN))),)))
    else:
        events[index] = draw(st.sampled_from([b"{}", b"null", b"7", b'"text"', b"[]", b"[{}]", b"true"]))
    return Plain(draw(_body(dialect, events)), Known(len(events), frozenset({index}), field))


@st.composite
def mutated(draw: st.DrawFn, dialect: Dialect) -> Plain:
    """A good body of which bytes were changed, lost, doubled or added anywhere."""
    text = bytearray(draw(good(dialect)).text)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        length = draw(st.integers(0, 4) | st.integers(0, len(text)))
        new = draw(st.binary(max_size=4) | st.sampled_from([b"", b"\0", b'"', b"\\", b",", b"]", b"}", b"[{", b"\xff"]))
        text[at : at + length] = new
    return Plain(bytes(text), None)


@st.composite
def odd_requests(draw: st.DrawFn, dialect: Dialect) -> Plain:
    """Bodies whose oddity lies outside of the events."""
    text = draw(good(dialect)).text
    key = dialect.list_key.encode()
    depth = draw(st.sampled_from([10, 900, 1100, 5000, 49_000, 100_000]))
    broken = draw(st.sampled_from(json_pieces.BROKEN))
    choices = [
        b"\xef\xbb\xbf" + text,
        text.decode(errors="replace").encode("utf-16"),
        text + text,
        text + b"\0",
        b"\0" + text,
        text[: draw(st.integers(0, len(text)))],
        b'{"%s":[],"%s":[{}]}' % (key, key),
        b'{"%s":[{}],"%s":[]}' % (key, key),
        b'{"%s":[{}],"%s":7}' % (key, key),
        b'{"\\u%04x%s":[{}]}' % (key[0], key[1:]),
        b'{"x":%s,"%s":[{}]}' % (broken, key),
        b'{%s:1,"%s":[{}]}' % (broken, key),
        b'{"x":' + b"[" * depth + b"]" * depth + b',"%s":[{}]}' % key,
        b'{"%s":' % key + b"[" * depth + b"]" * depth + b"}",
        b"[" * depth,
        b'{"%s":[%s]}' % (key, b",".join([b"{}"] * draw(st.integers(90, 120)))),
        b'{"%s":[%s]}' % (key, b"[]," * 60_000 + b"NaN"),
        b" " * draw(st.sampled_from([1, limits.BODY_BYTES, limits.BODY_BYTES + 1])),
        b"",
    ]
    return Plain(draw(st.sampled_from(choices)), None)


def anything(dialect: Dialect) -> st.SearchStrategy[Plain]:
    """Return arbitrary JSON, JSON in the place of the events, and arbitrary bytes."""
    key = f'{{"{dialect.list_key}":'.encode()
    documents = json_pieces.values.map(json.dumps).map(str.encode)
    lists = st.lists(json_pieces.values, max_size=6).map(json.dumps).map(str.encode)
    return (documents | lists.map(lambda text: key + text + b"}") | st.binary(max_size=200)).map(
        lambda text: Plain(text, None)
    )


def plain(dialect: Dialect) -> st.SearchStrategy[Plain]:
    """Return a body of any kind, before compression; half of them are good but for one event at most."""
    bad = st.one_of(mutated(dialect), odd_requests(dialect), anything(dialect))
    # one_of would flatten `bad` and take its parts as often as the others.
    return st.sampled_from([good(dialect), one_defect(dialect), one_defect(dialect), bad]).flatmap(lambda kind: kind)


_ODD_TYPES = (
    b"",
    b"text/plain",
    b"application/x-www-form-urlencoded",
    b"application/json; charset=utf-7",
    b"\xff/\xfe",
)


@st.composite
def requests(draw: st.DrawFn, dialect: Dialect) -> list[Sent]:
    """One body as several requests: in different encodings, in chunks or whole, under different types."""
    text, known = draw(plain(dialect))
    found = []
    for body, headers, inflated in draw(st.lists(packing.packed(text), min_size=1, max_size=4)):
        kind = draw(st.none() | st.sampled_from(_ODD_TYPES))
        named = headers if kind is None else (*headers, ("Content-Type", kind))
        pieces = draw(st.none() | st.lists(st.integers(1, 5000), max_size=6).map(tuple))
        found.append(Sent(dialect, body, named, pieces, inflated, known if inflated is not None else None))
    return found
