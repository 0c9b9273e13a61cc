"""Boundaries of a step: every place where it changes or asks something outside its own process, before and after."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from azure.storage.blob import BlobClient
from confluent_kafka import Consumer

from include import blobs, topic
from include.destinations.amplitude import Amplitude
from include.lake import Lake
from include.warehouse import Warehouse

Reached = Callable[[str], None]
_VARYING = re.compile(r"L_[0-9A-F]{8}_|\b\d+ ")
_DOCUMENTS = {"plans": "plan", "parts": "part", "quality": "quality document", "manifests": "manifest"}
_FILES = {"events": "events", "failed": "failed events", "landing": "confirmed ids"}
SMALL_BLOCK_BYTES = 3_000
"""Files of the audit are small; so they still consist of several blocks."""


def arm(reached: Reached) -> None:
    """Call `reached` at every boundary that this process passes from now on."""
    blobs.BLOCK_BYTES = SMALL_BLOCK_BYTES
    _around(BlobClient, "stage_block", lambda args: f"block of the {_kind(args[0])} file", reached)
    _around(BlobClient, "commit_block_list", lambda args: f"commit of the {_kind(args[0])} file", reached)
    _around(Lake, "put_once", lambda args: f"write of the {_document(args[1])}", reached)
    _around(Lake, "get", lambda args: f"read of the {_document(args[1])}", reached)
    _around(Warehouse, "run", _doing, reached)
    _around(Warehouse, "insert", _doing, reached)
    _around(topic, "observe", lambda _: "look at the topic", reached)
    _around(Amplitude, "_post", lambda _: "post to the vendor", reached)
    _arm_kafka(reached)


def _around(where: Any, name: str, label: Callable[[tuple[Any, ...]], str], reached: Reached) -> None:
    original = getattr(where, name)
    signature = inspect.signature(original)

    def watched(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        text = label(bound.args)
        reached(f"before {text}")
        done = original(*args, **kwargs)
        reached(f"after {text}")
        return done

    setattr(where, name, watched)


def _arm_kafka(reached: Reached) -> None:
    drain = topic.drain

    class Watched(Consumer):
        """A consumer whose commit is a boundary; a method of the C class itself cannot be replaced."""

        def commit(self, *args: Any, **kwargs: Any) -> Any:
            reached("before commit of the group's offsets")
            done = super().commit(*args, **kwargs)
            reached("after commit of the group's offsets")
            return done

    def watched(*args: Any) -> Iterator[Any]:
        for record in drain(*args):
            reached("amid the records of a range")
            yield record

    vars(topic).update(Consumer=Watched, drain=watched)


def _kind(blob: BlobClient) -> str:
    return _FILES[str(blob.blob_name).partition("/")[0]]


def _document(name: str) -> str:
    return _DOCUMENTS[name.partition("/")[0]]


def _doing(args: tuple[Any, ...]) -> str:
    """Return what a statement is for, without what differs from attempt to attempt."""
    return _VARYING.sub("", args[3])
