"""Finds the source that a request speaks for by its write key."""

from __future__ import annotations

import base64
import binascii

from include.contract.sources import Registry, Source
from ingest_api.outcomes import Outcome, RefusedError


def authenticate(authorization: str | None, registry: Registry | None) -> Source:
    """Return the enabled source of the key in an Authorization header; raises RefusedError, never repeating the key."""
    if registry is None:
        raise RefusedError(Outcome.NO_SOURCES)
    key = write_key(authorization)
    if not key:
        raise RefusedError(Outcome.MISSING_KEY)
    source = registry.find(key)
    if source is None:
        raise RefusedError(Outcome.UNKNOWN_KEY)
    if not source.enabled:
        raise RefusedError(Outcome.SOURCE_DISABLED)
    return source


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
