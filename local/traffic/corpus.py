"""Requests generated once and kept on disk, so that a benchmark measures the pipeline and not the generator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from itertools import islice
from pathlib import Path

import msgspec

from local.traffic.generator import generate
from local.traffic.model import PlannedRequest, TrafficConfig

_LENGTH_BYTES = 4
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(PlannedRequest).decode


def corpus(folder: Path, config: TrafficConfig, requests: int) -> Iterator[PlannedRequest]:
    """Yield the first `requests` requests of `generate(config)`, written below `folder` the first time.

    The file's name is a hash of the configuration and of the generator's own code, so a change of either makes a new
    one; memory stays constant.
    """
    path = folder / f"traffic-{_digest(config, requests)}.msgpack"
    if not path.exists():
        _write(path, islice(generate(config), requests))
    return _read(path)


def _write(path: Path, planned: Iterator[PlannedRequest]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Another name first, so that a cut-off run leaves no half corpus under the right one.
    unfinished = path.with_suffix(f".{os.getpid()}")
    with unfinished.open("wb") as file:
        for request in planned:
            record = _encode(request)
            file.write(len(record).to_bytes(_LENGTH_BYTES, "big"))
            file.write(record)
    unfinished.replace(path)


def _read(path: Path) -> Iterator[PlannedRequest]:
    with path.open("rb") as file:
        while length := file.read(_LENGTH_BYTES):
            yield _decode(file.read(int.from_bytes(length, "big")))


def _digest(config: TrafficConfig, requests: int) -> str:
    digest = sha256(msgspec.json.encode([config, requests]))
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
