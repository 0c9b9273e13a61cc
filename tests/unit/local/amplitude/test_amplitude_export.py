"""The Export API: zip of gzipped lines, by server upload time, with permission, range and delay."""

from __future__ import annotations

import base64
import gzip
import io
import json
import zipfile
from pathlib import Path

from httpx2 import Response
from starlette.testclient import TestClient

from tests.unit.local.amplitude.calls import Clock, event, new_client, upload


def export(client: TestClient, start: str, end: str, keys: str = "key-1:secret-1") -> Response:
    key = base64.b64encode(keys.encode()).decode()
    return client.get("/api/2/export", params={"start": start, "end": end}, headers={"authorization": f"Basic {key}"})


def test_export_is_a_zip_of_gzipped_lines_by_upload_hour(client: TestClient, clock: Clock) -> None:
    upload(client, event(app_version="4.2", event_properties={"a": 1}), event("i-2"))
    clock.now += 3600
    upload(client, event("i-3"))
    answer = export(client, "20261123T00", "20261123T01")
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    names = archive.namelist()
    assert names == ["100001/100001_2026-11-23_0#0.json.gz", "100001/100001_2026-11-23_1#0.json.gz"]
    lines = [json.loads(line) for name in names for line in gzip.decompress(archive.read(name)).splitlines()]
    assert [line["$insert_id"] for line in lines] == ["i-1", "i-2", "i-3"]
    shown = {"app": 100001, "version_name": "4.2", "event_properties": {"a": 1}, "session_id": -1}
    times = {"event_time": "1970-01-01 00:00:00.005000", "server_upload_time": "2026-11-23 00:21:37.500000"}
    assert lines[0].items() >= {**times, "device_id": "device-1"}.items()
    assert {name: lines[0][name] for name in shown} == shown
    assert len(zipfile.ZipFile(io.BytesIO(export(client, "20261123T01", "20261123T01").content)).namelist()) == 1


def test_export_without_data_or_permission_or_with_a_wrong_range(client: TestClient) -> None:
    assert export(client, "20261123T00", "20261123T00").status_code == 404
    assert export(client, "20261123T00", "20261123T00", keys="key-1:guess").status_code == 403
    assert client.get("/api/2/export", params={"start": "20261123T00", "end": "20261123T00"}).status_code == 403
    for start, end in (("20261123", "20261123T00"), ("20261123T01", "20261123T00"), ("20251122T00", "20261123T01")):
        assert export(client, start, end).status_code == 400


def test_export_delay_holds_an_hour_back_until_it_has_passed(tmp_path: Path, clock: Clock) -> None:
    with new_client(tmp_path, clock, export_delay_seconds=7200) as client:
        upload(client, event())
        clock.now = 1_795_392_000 + 3 * 3600 - 1  # one second before 03:00
        assert export(client, "20261123T00", "20261123T00").status_code == 404
        clock.now += 1
        assert export(client, "20261123T00", "20261123T00").status_code == 200
