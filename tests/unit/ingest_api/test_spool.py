"""The spool on an event loop: groups, limits and a disk that fails, and which way a record takes beside Kafka."""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path
from typing import cast

import pytest

from ingest_api import group_commit
from ingest_api.delivery import Delivery
from ingest_api.outcomes import Outcome, RefusedError
from ingest_api.publisher import Publisher
from ingest_api.spool_frames import Frame
from ingest_api.spool_segment import Segment
from tests.unit.ingest_api.spool_house import MIB, House, in_house


def test_what_kafka_takes_is_not_spooled(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        assert await house.store(b"1") == "stored"
        assert house.kafka.headers == [[("request_id", "r")]]
        assert house.spool.status().spooled_records == 0

    in_house(tmp_path, use)


def test_a_group_has_one_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(house: House) -> None:
        syncs: list[int] = []
        monkeypatch.setattr("ingest_api.spool_segment.os.fdatasync", syncs.append)
        await asyncio.gather(*(house.spool.append(None, b"%d" % number, []) for number in range(500)))
        assert len(syncs) <= 2
        assert house.spool.status().waiting_records == house.spool.status().spooled_records == 500

    in_house(tmp_path, use)


def test_while_kafka_is_silent_nobody_waits_for_it_and_a_probe_finds_it_back(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
        assert [await house.store(b"%d" % number) for number in range(10)] == ["stored"] * 10
        assert house.kafka.tried == [b"0"], "the others went to the spool at once"
        house.answers = False
        assert await house.drainer.turn() > 0
        assert house.kafka.tried == [b"0"], "no probe while Kafka does not even answer"
        house.answers = True
        assert await house.drainer.turn() >= 1
        assert house.kafka.tried == [b"0", b"0"], "one probe"
        house.kafka.everything = None
        await house.drain()
        assert house.kafka.taken == [b"%d" % number for number in range(10)]
        assert {name for name, _ in house.kafka.headers[0]} == {"request_id", "spooled_at"}
        assert await house.store(b"live") == "stored"
        assert house.kafka.taken[-1] == b"live"
        assert house.spool.status()[:3] == (0, 0, 0.0)

    in_house(tmp_path, use)


def test_records_of_a_silent_partition_do_not_hold_back_the_others(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        for number in range(20):
            await house.spool.append(None, b"%d" % number, [])
        house.kafka.refusals = {b"3": Outcome.NOT_ACKNOWLEDGED, b"7": Outcome.QUEUE_FULL}
        await house.drainer.turn()
        assert house.spool.status().waiting_records == 2
        house.kafka.refusals = {}
        await house.drain()
        assert sorted(map(int, house.kafka.taken)) == list(range(20))

    in_house(tmp_path, use)


def test_a_record_that_the_topic_has_to_take_is_spooled_where_kafka_calls_it_too_large(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        house.kafka.refusals = {b"live": Outcome.RECORD_TOO_LARGE, bytes(9 * MIB): Outcome.RECORD_TOO_LARGE}
        assert await house.store(bytes(9 * MIB)) == "record_too_large"
        assert await house.store(b"live") == "stored"
        house.kafka.refusals = {}
        await house.drain()
        assert house.kafka.taken == [b"live"]
        alone = Delivery(cast("Publisher", house.kafka), None, 8 * MIB)
        house.kafka.refusals = {b"live": Outcome.RECORD_TOO_LARGE}
        with pytest.raises(RefusedError) as caught:
            await alone.store("k", b"live", [])
        assert caught.value.outcome is Outcome.NOT_ACKNOWLEDGED

    in_house(tmp_path, use)


def test_a_file_that_somebody_deleted_is_named_and_does_not_age_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def use(house: House) -> None:
        house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
        assert await house.store(b"1") == "stored"
        for file in tmp_path.rglob("*.spool"):
            file.unlink()
        house.kafka.everything = None
        await house.drain()
        assert house.spool.status()[:3] == (0, 0, 0.0)
        assert "spool_file_gone" in [record.message for record in caplog.records]

    in_house(tmp_path, use)


def test_what_is_too_large_is_refused_before_and_set_aside_after(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
        assert await house.store(bytes(9 * MIB)) == "record_too_large"
        assert await house.store(b"later") == "stored"
        house.kafka.everything = None
        house.kafka.refusals = {b"later": Outcome.RECORD_TOO_LARGE}
        await house.drain()
        assert house.kafka.taken == []
        assert house.spool.status().set_aside_files == 1
        assert "set aside" in house.spool.warnings()[0]

    in_house(tmp_path, use)


def test_what_the_topic_has_to_take_waits_while_the_topic_is_wrong(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        house.topic_well_at = time.monotonic()
        await house.spool.append(None, b"large", [])
        await house.spool.append(None, b"small", [])
        house.kafka.refusals = {b"large": Outcome.RECORD_TOO_LARGE}
        for _ in range(3):
            assert await house.drainer.turn() >= 1, "no busy loop"
        assert house.kafka.taken == [b"small"]
        assert house.spool.status().waiting_records == 1
        assert list(tmp_path.rglob("*.refused-*")) == []
        house.topic_well_at, house.kafka.refusals = time.monotonic(), {}
        await house.drain()
        assert house.kafka.taken == [b"small", b"large"]
        assert house.spool.status().set_aside_files == 0

    in_house(tmp_path, use)


def test_what_a_topic_that_is_right_does_not_take_is_set_aside_though_others_are_sent(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        house.topic_well_at = time.monotonic()
        await house.spool.append(None, b"large", [])
        house.kafka.refusals = {b"large": Outcome.RECORD_TOO_LARGE}
        assert await house.drainer.turn() >= 1
        await house.spool.append(None, b"later", [])
        house.topic_well_at = time.monotonic()
        await house.drain()
        assert house.kafka.taken == [b"later"]
        assert house.spool.status().set_aside_files == 1

    in_house(tmp_path, use)


def test_the_size_limit_holds_until_something_was_drained(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
        answers = await asyncio.gather(*(house.store(bytes(300_000)) for _ in range(5)))
        assert answers == ["stored"] * 3 + ["spool_full"] * 2
        assert house.spool.status().failed_records == 2
        house.kafka.everything = None
        await house.drain()
        assert await house.store(bytes(300_000)) == "stored"

    in_house(tmp_path, use, spool_max_bytes=MIB)


def test_the_age_limit_stops_the_taking_and_drops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(house: House) -> None:
        house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
        assert await house.store(b"1") == "stored"
        now = time.time()
        monkeypatch.setattr("ingest_api.spool.time.time", lambda: now + 61)
        assert "INGEST_SPOOL_MAX_AGE_SECONDS" in (house.spool.problem() or "")
        assert await house.store(b"2") == "spool_full"
        assert house.kafka.tried == [b"1", b"2"], "before an honest 503 Kafka is asked"
        house.kafka.everything = None
        await house.drain()
        assert house.kafka.taken == [b"1"]
        assert house.spool.problem() is None

    in_house(tmp_path, use, spool_max_age_seconds=60)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_is_never_200_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(code, "the disk fails")

    async def use(house: House) -> None:
        house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
        with monkeypatch.context() as patch:
            patch.setattr("ingest_api.spool_segment.os.fdatasync", fail)
            assert await house.store(b"1") == "spool_full"
            assert "the disk fails" in (house.spool.problem() or "")
            await house.spool.maintain()
            assert house.spool.problem()
        monkeypatch.setattr("ingest_api.spool._LOOK_SECONDS", 0.0)
        await house.spool.maintain()
        assert house.spool.problem() is None
        assert await house.store(b"2") == "stored"
        house.kafka.everything = None
        await house.drain()
        assert house.kafka.taken == [b"2"]

    in_house(tmp_path, use)


def test_a_bug_in_the_writing_is_no_200_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(house: House) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(house.spool._files, "append", lambda _frames, _oldest: 1 // 0)
            with pytest.raises(RefusedError):
                await house.spool.append(None, b"1", [])
        await house.spool.append(None, b"2", [])

    in_house(tmp_path, use)


def test_an_fsync_that_hangs_is_an_answer_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def use(house: House) -> None:
        monkeypatch.setattr(group_commit, "_TIMEOUT_SECONDS", 0.1)
        with monkeypatch.context() as patch:
            patch.setattr("ingest_api.spool_segment.os.fdatasync", lambda _descriptor: time.sleep(0.6))
            house.kafka.everything = Outcome.NOT_ACKNOWLEDGED
            began = time.monotonic()
            assert set(await asyncio.gather(house.store(b"1"), house.store(b"2"))) == {"spool_full"}
            late = asyncio.create_task(house.store(b"3"))
            assert await late == "spool_full"
            assert time.monotonic() - began < 0.5
            await asyncio.sleep(0.7)
        assert house.spool.status().waiting_records <= 2, "what nobody waits for is not written"

    in_house(tmp_path, use)


def test_the_drain_is_bounded_and_ends_after_its_part(tmp_path: Path) -> None:
    async def use(house: House) -> None:
        for number in range(8):
            await house.spool.append(None, b"%d" % number + bytes(MIB // 2 - 10), [])
        sizes: list[int] = []
        send = house.drainer._send

        async def watched(segment: Segment, part: list[Frame]) -> bool:
            sizes.append(len(part))
            await house.drainer.stop()
            return await send(segment, part)

        house.drainer._send = watched  # type: ignore[method-assign]
        await house.drainer.turn()
        assert sizes == [2]
        assert house.spool.status().waiting_records == 6

    in_house(tmp_path, use)
