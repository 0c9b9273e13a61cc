"""Amplitude: Batch Event Upload and Export API (their HTTP documentation is the source of every number here)."""

from __future__ import annotations

import gzip
import time
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from tempfile import TemporaryFile
from typing import IO, Any

import msgspec
import requests

from include.destinations import Contract, Pushed, contract
from include.errors import PipelineError, SetupError, TransientError

MAX_EVENTS = 2_000
THROTTLE_PAUSE_S = 15.0
"""After 429 Amplitude asks for a pause of 15 s or more."""
TIMEOUT_S = 60.0
CHUNK_BYTES = 1 << 20
_ANALYTICS_HOSTS = {
    "https://api2.amplitude.com": "https://amplitude.com",
    "https://api.eu.amplitude.com": "https://analytics.eu.amplitude.com",
}
"""The Export API is not served where events are uploaded."""


class _Exported(msgspec.Struct):
    """What is read of an exported event."""

    insert_id: str | None = msgspec.field(name="$insert_id", default=None)


_exported = msgspec.json.Decoder(_Exported)


class Amplitude:
    """The vendor's API under one project key."""

    vendor = "amplitude"

    def __init__(self, base_url: str, api_key: str, secret_key: str, attempts: int = 5) -> None:
        """Take the endpoint (US, EU or stand-in), the project's keys, and how often a push is tried."""
        self.contract: Contract = contract(self.vendor)
        self._base = base_url.rstrip("/")
        self._analytics = _ANALYTICS_HOSTS.get(self._base, self._base)
        self._api_key = api_key
        self._secret_key = secret_key
        self._attempts = attempts
        self._session = requests.Session()

    def push(self, events: Sequence[Mapping[str, Any]]) -> Pushed:
        """Post up to 2,000 events; safe to repeat, because Amplitude dedupes `insert_id` for 7 days.

        Events that it names as invalid are refused for good, the others are posted again without them.
        """
        left, refused = list(events), list[tuple[str, str]]()
        for _ in range(self._attempts):
            if not left:
                return Pushed((), tuple(refused))
            answer = self._post(left)
            if answer.status_code == requests.codes.ok:
                return Pushed(tuple(event["insert_id"] for event in left), tuple(refused))
            if answer.status_code == requests.codes.bad_request:
                left = _without_invalid(answer, left, refused)
            elif answer.status_code == requests.codes.too_many_requests:
                time.sleep(THROTTLE_PAUSE_S)
            else:
                raise _error(answer, "the batch upload")
        raise TransientError(
            f"Amplitude did not take {len(left)} events in {self._attempts} attempts; the next run goes on"
        )

    def exported(self, start: datetime, end: datetime) -> Iterator[str]:
        """Yield insert ids by server upload time; Amplitude counts in whole hours, the last one included."""
        last = max(start, end - timedelta(hours=1))
        hours = {"start": f"{start:%Y%m%dT%H}", "end": f"{last:%Y%m%dT%H}"}
        with TemporaryFile() as file:  # a day of a large project is gigabytes
            if not self._download(hours, file):
                return
            try:
                with zipfile.ZipFile(file) as archive:
                    for name in archive.namelist():
                        with archive.open(name) as part, gzip.open(part) as lines:
                            yield from _insert_ids(lines)
            except (zipfile.BadZipFile, zlib.error, EOFError, OSError, msgspec.DecodeError) as error:
                raise TransientError(f"Amplitude's export cannot be read, it may be cut off: {error!r}") from error

    def _download(self, hours: Mapping[str, str], file: IO[bytes]) -> bool:
        """Write an export to a file; False when there is no data in these hours."""
        keys = (self._api_key, self._secret_key)
        url = f"{self._analytics}/api/2/export"
        try:
            with self._session.get(url, params=hours, auth=keys, timeout=TIMEOUT_S, stream=True) as answer:
                if answer.status_code == requests.codes.not_found:
                    return False
                if answer.status_code != requests.codes.ok:
                    raise _error(answer, "the export")
                file.writelines(answer.iter_content(CHUNK_BYTES))
        except requests.RequestException as error:
            raise _unreachable(error) from error
        return True

    def _post(self, events: Sequence[Mapping[str, Any]]) -> requests.Response:
        body = msgspec.json.encode({"api_key": self._api_key, "events": events})
        try:
            return self._session.post(
                f"{self._base}/batch", data=body, headers={"Content-Type": "application/json"}, timeout=TIMEOUT_S
            )
        except requests.RequestException as error:
            raise _unreachable(error) from error


def _without_invalid(
    answer: requests.Response, events: list[Mapping[str, Any]], refused: list[tuple[str, str]]
) -> list[Mapping[str, Any]]:
    """Move the events that a 400 names to `refused`; a 400 that names none is a matter of set-up."""
    try:
        body = answer.json()
    except requests.JSONDecodeError:
        body = {"error": answer.text}
    reasons: dict[int, str] = {}
    for kind in (key for key in body if key.startswith("events_with_")):
        for name, indexes in (body[kind] or {}).items():
            reasons.update(dict.fromkeys(indexes, f"{kind.removeprefix('events_with_')}: {name}"))
    for index in body.get("silenced_events") or ():
        reasons[index] = "silenced"
    if not reasons:
        text = f"Amplitude refused the batch: {str(body.get('error'))[:200]}"
        raise SetupError(f"{text}; see docs/runbooks/amplitude-refused.md")
    refused += [(str(events[index]["insert_id"]), reason) for index, reason in sorted(reasons.items())]
    return [event for index, event in enumerate(events) if index not in reasons]


def _insert_ids(lines: Iterable[bytes]) -> Iterator[str]:
    for line in lines:
        if line.strip() and (insert_id := _exported.decode(line).insert_id):
            yield insert_id


def _error(answer: requests.Response, doing: str) -> PipelineError:
    text = f"Amplitude answered {answer.status_code} to {doing}: {answer.text[:200]}"
    if answer.status_code in {
        requests.codes.unauthorized,
        requests.codes.forbidden,
        requests.codes.request_entity_too_large,
    }:
        return SetupError(f"{text}; see docs/runbooks/amplitude-refused.md")
    return TransientError(text)


def _unreachable(error: requests.RequestException) -> TransientError:
    return TransientError(f"Amplitude cannot be reached: {type(error).__name__}")
