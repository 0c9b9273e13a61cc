"""Write keys: where they may come from, and what is answered when they are wrong."""

from __future__ import annotations

import base64

import pytest

from include.contract.sources import Registry, Source, hash_key
from ingest_api.auth import authenticate, write_key
from ingest_api.outcomes import Outcome, RefusedError

OPEN = Source("ios", "iOS", (hash_key("key-1"),))
CLOSED = Source("web", "Web", (hash_key("key-2"),), enabled=False)
REGISTRY = Registry({"ios": OPEN, "web": CLOSED}, {hash_key("key-1"): OPEN, hash_key("key-2"): CLOSED})


def _basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header", ["Bearer key-1", "bearer   key-1 ", _basic("key-1:"), _basic("key-1"), _basic("key-1:ignored:x")]
)
def test_both_schemes_bring_the_key(header: str) -> None:
    assert authenticate(write_key(header), REGISTRY) is OPEN


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer  ", "Basic", "Basic !!!", "Basic /w==", "Basic OnA=", "Digest key-1", "key-1"],
)
def test_no_key(header: str | None) -> None:
    assert write_key(header) is None
    with pytest.raises(RefusedError) as caught:
        authenticate(write_key(header), REGISTRY)
    assert caught.value.outcome is Outcome.MISSING_KEY


@pytest.mark.parametrize(
    ("header", "outcome", "source_id", "digits"),
    [
        ("Bearer key-9", Outcome.UNKNOWN_KEY, "", hash_key("key-9")[:8]),
        ("Bearer key-2", Outcome.SOURCE_DISABLED, "web", ""),
    ],
)
def test_a_key_that_may_not_send(header: str, outcome: Outcome, source_id: str, digits: str) -> None:
    with pytest.raises(RefusedError) as caught:
        authenticate(write_key(header), REGISTRY)
    assert caught.value.outcome is outcome
    assert "key-" not in caught.value.message
    assert (caught.value.source_id, caught.value.key_fingerprint) == (source_id, digits)


def test_without_a_registry_the_client_tries_again() -> None:
    with pytest.raises(RefusedError) as caught:
        authenticate("key-1", None)
    assert caught.value.outcome is Outcome.NO_SOURCES
    assert caught.value.outcome.status == 503
