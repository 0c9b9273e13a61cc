"""Believable users of a car maker's apps, seeded and deterministic, for the smoke run, tests and benchmarks."""

from __future__ import annotations

from local.traffic.corpus import corpus
from local.traffic.generator import generate
from local.traffic.model import ExpectedEvent, PlannedRequest, TrafficConfig

__all__ = ["ExpectedEvent", "PlannedRequest", "TrafficConfig", "corpus", "generate"]
