"""Makes the keys and passwords of the one-machine stack once, and keeps them in its state folder."""

from __future__ import annotations

import base64
import os
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from include.contract.sources import Source, hash_key

SOURCES = {"phone-app": "Phone app", "web-app": "Web app", "car-app": "Car app"}
_PLATFORMS = {"web-app": "web", "car-app": "car"}


class Credentials(msgspec.Struct, frozen=True):
    """Secrets of one stack; random, so that no two installations share one."""

    write_keys: dict[str, str]
    amplitude_api_key: str
    amplitude_secret_key: str
    pseudonym_key: str
    warehouse_password: str
    airflow_fernet_key: str
    airflow_api_secret: str
    airflow_jwt_secret: str
    created_at: str
    """Hour in which the state was made, UTC: settle_hour catches up from there."""


def load_or_create(file: Path) -> Credentials:
    """Return the stack's credentials; made at the first call, the same ever after.

    A state made by an older version gets what it lacks.
    """
    kept = msgspec.json.decode(file.read_bytes(), type=dict[str, Any]) if file.exists() else {}
    wanted = {**msgspec.to_builtins(_new()), **kept}
    if wanted != kept:
        write_private(file, msgspec.json.format(msgspec.json.encode(wanted), indent=2).decode())
    return msgspec.convert(wanted, Credentials)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(file)


def sources(credentials: Credentials) -> list[Source]:
    """Return the sources that a stack has from the start: who may post, by the hash of its write key."""
    return [
        Source(id_, name, (hash_key(credentials.write_keys[id_]),), _PLATFORMS.get(id_, ""))
        for id_, name in SOURCES.items()
    ]


def _new() -> Credentials:
    return Credentials(
        write_keys={source: secrets.token_urlsafe(24) for source in SOURCES},
        amplitude_api_key=secrets.token_hex(16),
        amplitude_secret_key=secrets.token_hex(16),
        pseudonym_key=secrets.token_hex(32),
        warehouse_password=secrets.token_urlsafe(16),
        airflow_fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        airflow_api_secret=secrets.token_urlsafe(32),
        airflow_jwt_secret=secrets.token_urlsafe(64),
        created_at=f"{datetime.now(UTC):%Y-%m-%dT%H:00}",
    )
