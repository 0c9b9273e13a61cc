"""Lets web pages on other hosts post events: headers of the Fetch standard's CORS protocol."""

from __future__ import annotations

import re
from collections.abc import Collection

from ingest_api.rsgi import Scope

Headers = tuple[tuple[str, str], ...]

_HEADERS = "Authorization, Content-Type, Content-Encoding, AnonymousId, SentAt, X-Retry-Count, traceparent, tracestate"
_EXPOSED: Headers = (("access-control-expose-headers", "Retry-After, X-Request-Id"),)
_RUDDER = re.compile(r"rsa-[a-z0-9-]{1,40}", re.IGNORECASE)
_MAX_AGE_SECONDS = "86400"
_EVERY: Headers = (("access-control-allow-origin", "*"),)
_VARIES: Headers = (("vary", "origin"),)


class Cors:
    """Says which origins may post; the events need no cookies, so none are allowed."""

    def __init__(self, origins: Collection[str]) -> None:
        """Take the origins, such as `https://shop.example`; `*` is every one."""
        self._origins = frozenset(origins)
        # A cache must not hand a page what it keeps of an answer to somebody who is no page.
        self._for_caches = _EVERY if "*" in self._origins else _VARIES

    def headers(self, scope: Scope) -> Headers:
        """Return the headers of an answer; none for a request that no page made, unless a cache may keep the answer."""
        origin = scope.headers.get("origin")
        if origin is None:
            return self._for_caches if scope.method == "GET" else ()
        if "*" in self._origins:
            allowed = _EVERY
        elif origin in self._origins:
            allowed = (("access-control-allow-origin", origin), *_VARIES)
        else:
            return _VARIES
        return (*allowed, *(_preflight(scope) if scope.method == "OPTIONS" else _EXPOSED))


def _preflight(scope: Scope) -> Headers:
    asked = scope.headers.get("access-control-request-headers") or ""
    more = [name for name in map(str.strip, asked.split(",")) if _RUDDER.fullmatch(name)]
    return (
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", ", ".join([_HEADERS, *more[:20]])),
        ("access-control-max-age", _MAX_AGE_SECONDS),
    )
