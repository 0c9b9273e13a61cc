"""The world of the generated users: apps, screens, actions, devices, cars and places."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

VARIANTS = 400
"""Property objects that are made ahead per kind of event; each event picks one."""

CARS = ("Lumen E3", "Lumen E5 Touring", "Lumen S1", "Lumen X7", "Lumen City", "Lumen Van L")
PLACES = (
    ("de-DE", "DE", 60), ("en-GB", "GB", 0), ("fr-FR", "FR", 60), ("it-IT", "IT", 60), ("es-ES", "ES", 60),
    ("en-US", "US", -300), ("sv-SE", "SE", 60), ("pl-PL", "PL", 60), ("nl-NL", "NL", 60), ("ja-JP", "JP", 540),
)  # fmt: skip
"""Locale, country, and the zone's minutes ahead of UTC."""

Properties = Callable[[Random], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One kind of event of an app: its name, how often it happens, and its ready-made property objects as JSON."""

    name: str
    weight: int
    variants: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class App:
    """One client application and everything its devices may be."""

    source_id: str
    steps: tuple[Step, ...]
    devices: tuple[Mapping[str, str], ...]
    versions: tuple[tuple[str, int | None], ...]
    """App version and the schema version that it sends."""
    library: str


def _car(rng: Random) -> dict[str, Any]:
    return {
        "model": rng.choice(CARS), "soc_percent": rng.randint(4, 100), "range_km": rng.randint(12, 620),
        "odometer_km": rng.randint(50, 180_000), "plugged_in": rng.random() < 0.3,
    }  # fmt: skip


def _screen(*names: str) -> Properties:
    def make(rng: Random) -> dict[str, Any]:
        return {
            "screen": rng.choice(names), "previous_screen": rng.choice(names), "load_ms": rng.randint(40, 2_400),
            "tab": rng.choice(("car", "trips", "charging", "service", "profile")), "dark_mode": rng.random() < 0.4,
        }  # fmt: skip

    return make


def _action(*names: str) -> Properties:
    def make(rng: Random) -> dict[str, Any]:
        taken = {"action": rng.choice(names), "succeeded": rng.random() < 0.96, "took_ms": rng.randint(120, 9_000)}
        return taken | _car(rng)

    return make


def _trip(rng: Random) -> dict[str, Any]:
    kilometres = round(rng.expovariate(1 / 18) + 0.4, 1)
    return {
        "trip_km": kilometres, "minutes": int(kilometres * rng.uniform(1, 3)) + 1, "kwh": round(kilometres * 0.17, 2),
        "mode": rng.choice(("comfort", "eco", "sport")), "outside_celsius": rng.randint(-12, 36), **_car(rng),
    }  # fmt: skip


def _charging(rng: Random) -> dict[str, Any]:
    return {
        "station_id": f"CH-{rng.randint(1_000, 99_999)}", "kw": rng.choice((11, 22, 50, 150, 300)),
        "target_percent": rng.choice((70, 80, 90, 100)), "price_cent": rng.randint(0, 6_500), **_car(rng),
    }  # fmt: skip


def _dealer(rng: Random) -> dict[str, Any]:
    return {
        "dealer_id": f"D{rng.randint(100, 4_999)}", "distance_km": round(rng.uniform(0.3, 90), 1),
        "service": rng.choice(("inspection", "tyres", "software update", "recall", "battery check")),
        "slot_days_ahead": rng.randint(1, 40), "model": rng.choice(CARS),
    }  # fmt: skip


def _offer(rng: Random) -> dict[str, Any]:
    return {
        "model": rng.choice(CARS), "price_eur": rng.randrange(24_000, 96_000, 50), "colour": rng.choice(_COLOURS),
        "campaign": rng.choice(("spring", "launch", "fleet", None)), "leasing": rng.random() < 0.5,
        "options": rng.sample(("heat pump", "tow bar", "glass roof", "pilot", "sound", "21 inch"), rng.randint(0, 3)),
    }  # fmt: skip


def _media(rng: Random) -> dict[str, Any]:
    return {
        "kind": rng.choice(("radio", "podcast", "stream", "phone")), "volume": rng.randint(0, 40),
        "seconds": rng.randint(3, 3_000), "voice": rng.random() < 0.2, "seats_taken": rng.randint(1, 5), **_car(rng),
    }  # fmt: skip


_COLOURS = ("snow", "graphite", "deep blue", "copper", "moss")


def build(rng: Random) -> tuple[App, App, App]:
    """Make the three apps; the same `rng` state gives the same property objects."""

    def step(name: str, weight: int, make: Properties) -> Step:
        return Step(name, weight, tuple(json.dumps(make(rng), separators=(",", ":")) for _ in range(VARIANTS)))

    remote = _action("lock", "unlock", "climate_on", "climate_off", "honk", "flash", "open_trunk")
    phone = (
        step("screen_viewed", 45, _screen("home", "car_status", "map", "trips", "charging", "service", "settings")),
        step("remote_action", 18, remote), step("trip_finished", 8, _trip), step("charging_planned", 9, _charging),
        step("dealer_contacted", 3, _dealer), step("Notification Opened", 6, _screen("inbox", "charging", "service")),
    )  # fmt: skip
    web = (
        step("page_viewed", 50, _screen("models", "configurator", "offers", "finance", "dealers", "account")),
        step("configuration_changed", 22, _offer), step("offer_viewed", 12, _offer),
        step("dealer_searched", 8, _dealer),
    )  # fmt: skip
    car = (
        step("trip_started", 6, _trip), step("trip_finished", 6, _trip), step("media_played", 20, _media),
        step("navigation.started", 14, _trip), step("charging_started", 6, _charging), step("drive:tick", 30, _trip),
    )  # fmt: skip
    return (
        App("phone-app", phone, _PHONES, (("4.12.1", 2), ("4.12.0", 2), ("4.11.3", 1), ("4.9.0", None)), "http-mobile"),
        App("web-app", web, _BROWSERS, (("2026.46.2", 2), ("2026.47.0", 2)), "http-web"),
        App("car-app", car, _HEAD_UNITS, (("9.3.0", 1), ("9.1.4", 1), ("8.8.2", None)), "http-embedded"),
    )


def _device(platform: str, os_name: str, os_version: str, device_model: str) -> dict[str, str]:
    return {"platform": platform, "os_name": os_name, "os_version": os_version, "device_model": device_model}


_PHONES = (
    _device("ios", "iOS", "19.1", "iPhone17,2"), _device("ios", "iOS", "18.6.2", "iPhone15,3"),
    _device("android", "Android", "16", "Pixel 10"), _device("android", "Android", "15", "SM-S926B"),
    _device("android", "Android", "13", "XQ-DC54"),
)  # fmt: skip
_BROWSERS = (
    _device("web", "Windows", "11", "Chrome 143"), _device("web", "macOS", "16.1", "Safari 19"),
    _device("web", "Linux", "x86_64", "Firefox 146"), _device("web", "Android", "16", "Chrome Mobile 143"),
)  # fmt: skip
_HEAD_UNITS = (_device("car", "LumenOS", "7.2", "HU-Gen4"), _device("car", "LumenOS", "6.9", "HU-Gen3"))
