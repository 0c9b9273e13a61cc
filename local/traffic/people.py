"""Persons with their devices, made on demand: person 17 of a seed is the same in every run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from random import Random

from local.traffic.catalogue import CARS, PLACES, App
from local.traffic.model import TrafficConfig

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DEVICES_OF_A_PERSON = (("phone-app",), ("phone-app", "web-app"), ("phone-app", "web-app", "car-app"), ("web-app",))
ODDS = (40, 25, 25, 10)
LOCAL_TIME_RATIO = 0.3


@dataclass(slots=True)
class Device:
    """One device of a person and where its user is: session, sign-in, time of its last event (device clock, ms)."""

    app: App
    user_id: str
    fixed: str
    """The JSON of all fields that no event of this device changes."""
    user_properties: str
    consented: bool
    skew_ms: int
    utc_offset_minutes: int
    """Which offset its library writes times with; most write UTC."""
    signed_in: bool = False
    session_id: int = 0
    last_ms: int = 0


class People:
    """Finds devices of persons; only those that were asked for take memory."""

    def __init__(self, config: TrafficConfig, apps: tuple[App, ...]) -> None:
        self._config = config
        self._apps = {app.source_id: app for app in apps}
        self._persons: dict[int, tuple[Device, ...]] = {}

    def person(self, number: int) -> tuple[Device, ...]:
        """Return the devices of a person."""
        found = self._persons.get(number)
        if found is None:
            found = self._persons[number] = self._make(number)
        return found

    def _make(self, number: int) -> tuple[Device, ...]:
        rng = Random(f"person:{self._config.seed}:{number}")  # noqa: S311 - believable, not secret
        user_id = f"user-{rng.getrandbits(48):012x}"
        place = rng.choice(PLACES)
        consent, consented = _consent(rng, self._config.unconsented_ratio)
        traits = {"plan": rng.choice(("basic", "plus", "fleet")), "car_model": rng.choice(CARS), "locale": place[0]}
        properties = json.dumps(traits, separators=(",", ":"))
        devices = []
        for source_id in rng.choices(DEVICES_OF_A_PERSON, ODDS)[0]:
            app = self._apps[source_id]
            devices.append(
                Device(
                    app, user_id, _fixed(rng, app, place) + consent, properties, consented,
                    _skew(rng, self._config.skewed_ratio), place[2] if rng.random() < LOCAL_TIME_RATIO else 0,
                )
            )  # fmt: skip
        return tuple(devices)


def _consent(rng: Random, unconsented_ratio: float) -> tuple[str, bool]:
    """Return the JSON member (empty when it was never asked for) and whether it allows analytics."""
    if rng.random() >= unconsented_ratio:
        return rng.choice((',"consent":{"analytics":true}', ',"consent":{"analytics":true,"marketing":false}')), True
    refused = (',"consent":{"analytics":false}', ',"consent":{"marketing":true}', ',"consent":{}', "")
    return rng.choice(refused), False


def _fixed(rng: Random, app: App, place: tuple[str, str, int]) -> str:
    version, schema_version = rng.choice(app.versions)
    fields: dict[str, object] = {"device_id": _device_id(rng), **rng.choice(app.devices), "app_version": version}
    if schema_version is not None:
        fields["schema_version"] = schema_version
    fields |= {"locale": place[0], "country": place[1], "library_name": app.library, "library_version": "1.9.2"}
    return json.dumps(fields, separators=(",", ":"))[1:-1]


def _device_id(rng: Random) -> str:
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _skew(rng: Random, skewed_ratio: float) -> int:
    if rng.random() >= skewed_ratio:
        return rng.randint(-1_500, 1_500)
    return rng.choice((-1, 1)) * rng.randint(2 * MINUTE_MS, 48 * HOUR_MS)
