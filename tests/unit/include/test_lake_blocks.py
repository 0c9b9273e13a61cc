"""Blocks of two attempts at one file never mix, whichever processes they run in."""

from __future__ import annotations

import os
from base64 import b64decode
from typing import Any

from include.blobs import _BlockSink


class Blob:
    """Keeps the ids of the blocks that are staged."""

    blob_name = "events/x.parquet"

    def __init__(self) -> None:
        self.ids: list[str] = []

    def stage_block(self, block_id: str, _: bytes) -> None:
        self.ids.append(b64decode(block_id).decode())


def staged_in_a_fork() -> str:
    """Stage a block in a forked process, as Airflow's workers fork tasks; returns its id."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        blob: Any = Blob()
        sink = _BlockSink(blob)
        sink.write(b"content")
        sink._stage()
        os.write(write, blob.ids[0].encode())
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read) as told:
        return told.read()


def test_attempts_in_two_processes_forked_from_one_have_other_block_ids() -> None:
    first, second = staged_in_a_fork(), staged_in_a_fork()
    assert first != second
    assert len(first) == len(second), "Azure takes ids of one length only"
