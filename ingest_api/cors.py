"""Lets web pages on other hosts post events: headers of the Fetch standard's CORS protocol."""

from __future__ import annotations

import re
from collections.abc import Collection

from ingest_api.rsgi import Scope

_HEADERS = "Authorization, Content-Type, Content-Encoding, AnonymousId, SentAt, X-Retry-Count"
_RUDDER = re.compile(r"rsa-[a-z0-9-]{1,40}", re.IGNORECASE)
_MAX_AGE_SECONDS = "86400"


class Cors:
    """Says which origins may post; the events need no cookies, so none are allowed."""

    def __init__(self, origins: Collection[str]) -> None:
        """Take the origins, such as `https://shop.example`; `*` is every one."""
        self._origins = frozenset(origins)

    def headers(self, scope: Scope) -> tuple[tuple[str, str], ...]:
        """Return the headers of an answer; none for a request that no page made."""
        origin = scope.headers.get("origin")
        if origin is None:
            return ()
        if "*" in self._origins:
            allowed: tuple[tuple[str, str], ...] = (("access-control-allow-origin", "*"),)
        elif origin in self._origins:
            allowed = (("access-control-allow-origin", origin), ("vary", "origin"))
        else:
            return (("vary", "origin"),)
        return (*allowed, *(_preflight(scope) if scope.method == "OPTIONS" else ()))


def _preflight(scope: Scope) -> tuple[tuple[str, str], ...]:
    asked = scope.headers.get("access-control-request-headers") or ""
    more = [name for name in map(str.strip, asked.split(",")) if _RUDDER.fullmatch(name)]
    return (
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", ", ".join([_HEADERS, *more[:20]])),
        ("access-control-max-age", _MAX_AGE_SECONDS),
    )
