"""Scopes for tests: what is known of a request before its body."""

from __future__ import annotations

from dataclasses import dataclass, field


class Headers:
    """Request headers as RSGI has them: names in lower case; a line break parts the values of repeated ones."""

    def __init__(self, found: dict[str, str] | None = None) -> None:
        self._found = found or {}

    def get(self, key: str, default: str | None = None) -> str | None:
        return self.get_all(key)[0] if key in self._found else default

    def get_all(self, key: str) -> list[str]:
        return self._found[key].split("\n") if key in self._found else []


@dataclass
class FakeScope:
    """What granian would hand in."""

    method: str = "POST"
    path: str = "/v1/events"
    client: str = "192.0.2.1:5000"
    query_string: str = ""
    headers: Headers = field(default_factory=Headers)


def scope(method: str = "POST", client: str = "192.0.2.1:5000", query_string: str = "", **headers: str) -> FakeScope:
    """Return a scope; `user_agent=` becomes the header user-agent."""
    named = Headers({name.replace("_", "-"): text for name, text in headers.items()})
    return FakeScope(method, client=client, query_string=query_string, headers=named)
