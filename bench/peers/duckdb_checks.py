"""The drain as a database does it, for benchmark B6: each event a line of JSON, DuckDB reads, checks and writes them.

No Great Expectations: the same checks are SQL. DuckDB is that of local/requirements.txt.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import msgspec

from bench.backlog import MAX_INFLATED_BYTES, Job
from bench.peers.records import Drained, Envelope, envelopes, upload
from include.contract.compression import inflate

EVENTS = 200_000
_TEXTS = ("event_id", "event_name", "user_id", "device_id", "session_id", "platform", "app_version", "os_name",
          "os_version", "device_model", "locale", "country", "library_name", "library_version")  # fmt: skip
_JSON = ("consent", "event_properties", "user_properties")
_TIMES = ("occurred_at", "_sent_at", "_received_at")
_COLUMNS = {
    **dict.fromkeys(_TEXTS, "VARCHAR"), **dict.fromkeys(_JSON, "JSON"), **dict.fromkeys(_TIMES, "VARCHAR"),
    "schema_version": "VARCHAR", "_source_id": "VARCHAR", "_rejected": "BOOLEAN",
}  # fmt: skip
_LONGEST = ", ".join(f"length({name})" for name in _TEXTS[5:])
_SIZE = " + ".join(f"coalesce(strlen({name}::VARCHAR), 0)" for name in _JSON)
_IS_OBJECT = " AND ".join(f"coalesce(json_type({name}), 'OBJECT') IN ('OBJECT', 'NULL')" for name in _JSON)
_AHEAD = "(epoch(occurred) - epoch(coalesce(try_cast(_sent_at AS TIMESTAMPTZ), _received_at::TIMESTAMPTZ))) / 60"
_READ = f"""
    CREATE OR REPLACE TEMP TABLE judged AS
    SELECT * EXCLUDE (occurred), coalesce(
        NOT _rejected AND _source_id IN (SELECT unnest($known)) AND event_name IS NOT NULL
        AND regexp_full_match(event_name, '(?:\\pL|[$\\[])(?:[\\pL\\pN_ .:,;$&/|+*#%!?@=()''\\[\\]-]){{0,254}}')
        AND platform IN ('ios', 'android', 'web', 'car', 'server')
        AND coalesce(schema_version, '1') IN ('1', '2')
        AND coalesce(user_id, '') || coalesce(device_id, '') <> ''
        AND greatest(length(event_id), length(user_id), length(device_id), length(session_id), 0) <= 255
        AND greatest({_LONGEST}, 0) <= 1024 AND {_SIZE} < 32768 AND {_IS_OBJECT}
        AND coalesce({_AHEAD} < 1441, true), false) AS is_valid
    FROM (
        SELECT *, try_cast(occurred_at AS TIMESTAMPTZ) AS occurred
        FROM read_json($lines, format = 'newline_delimited', columns = $columns, maximum_object_size = 16777216)
    )
"""  # noqa: S608 - the columns above


class _Request(msgspec.Struct):
    events: list[msgspec.Raw]
    sent_at: str | None = None


_request = msgspec.json.Decoder(_Request)
_rejected = msgspec.json.Decoder(dict[int, str], strict=False)


def drain(job: Job, known: Sequence[str]) -> Drained:
    """Validate all envelopes of the topic and write them to the lake."""
    total = Drained(0, 0, 0)
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        lines = Path(folder) / "lines.json"
        for number, chunk in enumerate(_chunks(job)):
            lines.write_bytes(b"".join(chunk))
            connection.execute(_READ, {"lines": str(lines), "columns": _COLUMNS, "known": list(known)})
            counts = dict(connection.execute("SELECT is_valid, count(*) FROM judged GROUP BY ALL").fetchall())
            size = 0
            for name, which in (("events", "is_valid"), ("failed", "NOT is_valid")):
                path = Path(folder) / f"{name}-{number}.parquet"
                query = f"SELECT * EXCLUDE (is_valid) FROM judged WHERE {which}"  # noqa: S608
                connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
                size += upload(job, path)
            total = Drained(total.valid + counts.get(True, 0), total.failed + counts.get(False, 0), total.bytes + size)
    return total


def _chunks(job: Job) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    for envelope in envelopes(job):
        chunk += _lines(envelope)
        if len(chunk) >= EVENTS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _lines(envelope: Envelope) -> Iterator[bytes]:
    """Yield events with what their request says put in front of their own keys."""
    request = _request.decode(inflate(envelope.value, MAX_INFLATED_BYTES))
    rejected = _rejected.decode(envelope.headers.get("rejected", "{}"))
    about = {"_source_id": envelope.headers["source_id"], "_received_at": envelope.headers["received_at"],
             "_sent_at": request.sent_at}  # fmt: skip
    start = msgspec.json.encode(about)[:-1]
    for index, raw in enumerate(request.events):
        yield start + b',"_rejected":%s,' % (b"true" if index in rejected else b"false") + bytes(raw)[1:] + b"\n"
