"""Makes the `.env` of docker-compose.yaml: random secrets, once; needs nothing but Python's standard library."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path

SOURCES = ("PHONE_APP", "WEB_APP", "CAR_APP")


def variables() -> dict[str, str]:
    """Return every variable that docker-compose.yaml requires, with new secrets."""
    keys = {source: secrets.token_urlsafe(24) for source in SOURCES}
    return {
        "POSTGRES_PASSWORD": secrets.token_hex(24),
        "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(32),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(64),
        "PIPELINE_PSEUDONYM_KEY": secrets.token_hex(32),
        # settle_hour catches up from here; an earlier date means a run for every hour since.
        "PIPELINE_START_DATE": f"{datetime.now(UTC):%Y-%m-%dT%H:00}",
        "LOCAL_AMPLITUDE_API_KEY": secrets.token_hex(16),
        "LOCAL_AMPLITUDE_SECRET_KEY": secrets.token_hex(16),
        **{f"LOCAL_WRITE_KEY_{source}": key for source, key in keys.items()},
        **{
            f"LOCAL_WRITE_KEY_{source}_SHA256": hashlib.sha256(key.encode()).hexdigest() for source, key in keys.items()
        },
    }


def main() -> int:
    """Write `.env` beside docker-compose.yaml; an existing one is left alone."""
    file = Path(__file__).resolve().parents[2] / ".env"
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{file} exists and is left alone; move it away to make new secrets.\n")
        return 1
    with os.fdopen(descriptor, "w") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in variables().items())
    sys.stdout.write(f"wrote {file}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
