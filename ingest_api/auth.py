"""Finds the source that a request speaks for by its write key."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs

from include.contract.source import fingerprint, hash_key
from include.contract.sources import Registry, Source, WatchedRegistry
from ingest_api.grace import Grace
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.rsgi import Scope

_SOFTENED = {Outcome.UNKNOWN_KEY: Outcome.KEY_NOT_YET_KNOWN, Outcome.SOURCE_DISABLED: Outcome.SOURCE_ON_HOLD}


class Authenticator:
    """Knows the sources, and how long one that may not send was asked to wait."""

    def __init__(self, sources: WatchedRegistry, grace: Grace) -> None:
        self._sources = sources
        self._grace = grace

    def at_once(self, key: str | None) -> Source:
        """Return the enabled source of a write key; raises RefusedError with the honest answer."""
        return authenticate(key, self._sources.current())

    def patient(self, key: str | None) -> Source:
        """Return the enabled source of a write key; raises RefusedError, at first with one that asks to try again.

        The vendors' SDKs delete their events or switch themselves off on anything that sounds final, and an unknown
        key or a disabled source is mostly an operator's mistake.
        """
        try:
            return self.at_once(key)
        except RefusedError as refused:
            softened = _SOFTENED.get(refused.outcome)
            if softened is None or key is None or self._grace.is_over(key):
                raise
            raise RefusedError(
                softened, source_id=refused.source_id, key_fingerprint=refused.key_fingerprint
            ) from refused


def authenticate(key: str | None, registry: Registry | None) -> Source:
    """Return the enabled source of a write key; raises RefusedError, never repeating the key."""
    if registry is None:
        raise RefusedError(Outcome.NO_SOURCES)
    if not key:
        raise RefusedError(Outcome.MISSING_KEY)
    source = registry.find(key)
    if source is None:
        raise RefusedError(Outcome.UNKNOWN_KEY, key_fingerprint=fingerprint(hash_key(key)))
    if not source.enabled:
        raise RefusedError(Outcome.SOURCE_DISABLED, source_id=source.id)
    return source


def key_in_url(scope: Scope) -> str | None:
    """Read the key of a browser's last beacon, which can have no headers (RudderStack: `?writeKey=`)."""
    return next(iter(parse_qs(scope.query_string).get("writeKey", [])), None)


def write_key(authorization: str | None) -> str | None:
    """Read the key from `Bearer <key>` or from the user name of `Basic`; None when there is none."""
    scheme, _, rest = (authorization or "").partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip() or None
    if scheme.lower() == "basic":
        return _user_name(rest.strip())
    return None


def _user_name(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode().partition(":")[0] or None
    except (binascii.Error, ValueError):
        return None
