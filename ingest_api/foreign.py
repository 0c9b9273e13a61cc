"""Takes a request of a vendor's dialect: read, find the key, look at its outline, store; the dialect answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from include.contract.extra import request_fields
from include.contract.outline import Outline, outline, write_keys_of
from include.contract.sources import Source
from include.contract.spelling import listed_twice, texts_named
from include.contract.splitting import NotARequestError, split
from ingest_api import auth, storing
from ingest_api.body import Body
from ingest_api.counts import require_count, require_few
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Request
from ingest_api.services import Services
from ingest_api.storing import Taken


class Dialect(msgspec.Struct, frozen=True):
    """What tells one vendor's requests from another's."""

    name: str
    write_key_name: str
    """Key in the body that holds the write key."""
    device_names: tuple[str, ...]
    """Keys of an event that name its device, else its user."""
    opened: Callable[[bytes], bytes] = bytes
    """Turns an inflated body into JSON, where it may come in another form."""
    when_throttled: Mapping[str, object] = {}
    """What the vendor's SDKs look for in an answer 429."""


class Taking(msgspec.Struct, frozen=True, gc=False):
    """A stored request, for the answer."""

    event_count: int
    payload_bytes: int


async def take(
    request: Request,
    services: Services,
    dialect: Dialect,
    call: str,
    events_key: str,
    known: Mapping[str, str] | None = None,
    name: Callable[[Outline], str] | None = None,
) -> Taking:
    """Store a request; returns once it is durable. An empty `events_key` means that the body is one event.

    Raises RefusedError. A key that comes in a header is looked at before the body is read.
    """
    request.dialect = dialect.name
    try:
        return await _take(request, services, dialect, call, events_key, known or {}, name)
    except RefusedError as refused:
        if refused.outcome.status == 429:
            refused.details = dialect.when_throttled
        raise


async def _take(
    request: Request,
    services: Services,
    dialect: Dialect,
    call: str,
    events_key: str,
    known: Mapping[str, str],
    name: Callable[[Outline], str] | None,
) -> Taking:
    source, key, got, size = await _received(request, services, dialect)
    max_events = services.configuration.api.max_events
    seen = await storing.off_loop(size, lambda: _look(got, dialect, events_key, max_events))
    known = {**services.origin.of(request.scope), "platform": source.platform, **known}
    device = seen.device or known.get("client_device_id") or None
    services.rates.charge(source, device, len(seen.events))
    got = await storing.off_loop(size, lambda: storing.without_keys(got, _keys(seen, key, services, got, dialect)))
    taken = Taken(
        source=source,
        dialect=name(seen) if name else dialect.name,
        call=call,
        body=got,
        event_count=len(seen.events),
        device=device,
        events_key=events_key,
        # Cut anew, because the events that were looked at may have had the key in them.
        cut=lambda: (request_fields(got.inflated, events_key), split(got.inflated, events_key)),
        known=known,
    )
    await storing.store(request, services, taken)
    return Taking(len(seen.events), size)


async def _received(request: Request, services: Services, dialect: Dialect) -> tuple[Source, str, Body, int]:
    """Return the source, its write key, the body as JSON, and how many bytes came; raises RefusedError.

    Of a body from anywhere nothing but the key is looked for before the source is known: it may have millions of
    events, or be made to cost time.
    """
    key = auth.write_key(request.scope.headers.get("authorization"))
    source = _source(request, services, key) if key else None
    got = await services.bodies.read(request)
    size = len(got.inflated)
    is_json = got.inflated.lstrip()[:1] == b"{"
    if not is_json:
        got = await storing.off_loop(size, lambda: _opened(got, dialect))
    if source is None:
        key = await storing.off_loop(size, lambda: _key(request, services, dialect, got))
        source = _source(request, services, key)
    if is_json:
        got = await storing.off_loop(size, lambda: _opened(got, dialect))
    return source, key or "", got, size


def as_taken(got: Body, dialect: Dialect, events_key: str, max_events: int) -> Body:
    """Return a body as JSON; raises RefusedError where the vendor's route would refuse it."""
    got = _opened(got, dialect)
    _look(got, dialect, events_key, max_events)
    return got


def _opened(got: Body, dialect: Dialect) -> Body:
    with _as_refusal():
        text = dialect.opened(got.inflated)
    return got if text is got.inflated else Body(text, text, "identity")


def _key(request: Request, services: Services, dialect: Dialect, got: Body) -> str | None:
    """Return the body's write key, else that of the address; of several that may be the body's, a known one."""
    try:
        keys = write_keys_of(got.inflated, dialect.write_key_name)
    except NotARequestError as error:
        if in_url := auth.key_in_url(request.scope):
            return in_url
        raise RefusedError(Outcome.INVALID_BODY, str(error)) from error
    if len(keys) > 1 and (registry := services.sources.current()):
        keys.sort(key=lambda key: registry.find(key) is None)
    return keys[0] if keys else auth.key_in_url(request.scope)


def _look(got: Body, dialect: Dialect, events_key: str, max_events: int) -> Outline:
    text = got.inflated
    with _as_refusal():
        if events_key and listed_twice(text, events_key):
            raise NotARequestError(f"the list {events_key} is there twice")
        if events_key:
            require_few(text, max_events, events_key)  # after that, as each list there costs it 15 us
        seen = outline(text, events_key, dialect.write_key_name, dialect.device_names)
    require_count(len(seen.events), max_events)
    return seen


@contextmanager
def _as_refusal() -> Iterator[None]:
    try:
        yield
    except NotARequestError as error:
        raise RefusedError(Outcome.INVALID_BODY, str(error)) from error


def _source(request: Request, services: Services, key: str | None) -> Source:
    source = services.auth.patient(key)
    request.source_id = source.id
    services.rates.require(source)
    return source


def _keys(seen: Outline, used: str, services: Services, got: Body, dialect: Dialect) -> set[str]:
    """Return the valid write keys that are known of: the one that the request was let in with, and the body's."""
    registry, written = services.sources.current(), seen.write_key
    keys = {used} if used else set()
    if seen.key_literal is None or registry is None:
        return keys
    # Where a body names several, decoders take the last.
    named = texts_named(got.inflated, dialect.write_key_name) | ({written} if written else set())
    return keys | {key for key in named if registry.find(key)}
