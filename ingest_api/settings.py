"""The API's settings, read from INGEST_* (and TOPIC_* for what is demanded of the topic)."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from include.contract import settings
from include.contract.kafka_settings import TOPIC_PREFIX, KafkaConnection, TopicSettings
from include.contract.topic_spec import TopicSpec
from include.errors import SetupError

PREFIX = "INGEST_"


class Settings(msgspec.Struct, frozen=True):
    """Every knob of the API."""

    kafka: KafkaConnection
    host: Annotated[str, Meta(description="Address to listen on")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Port to listen on")] = 8000
    sources_path: Annotated[
        Path, Meta(description="File with the sources and the hashes of their write keys (JSON)")
    ] = Path("sources.json")
    grace_seconds: Annotated[
        int,
        Meta(
            ge=0,
            description="How long a key that may not send (unknown, or of a disabled source) is answered 503 from when "
            "it first came, before 401 or 403, on which mobile SDKs delete events, in seconds; 0: not at all",
        ),
    ] = 86_400
    max_body_bytes: Annotated[
        int,
        Meta(
            ge=1, description="Largest request body as it comes, in bytes; one above TOPIC_MAX_MESSAGE_BYTES is divided"
        ),
    ] = 21_000_000
    max_inflated_bytes: Annotated[int, Meta(ge=1, description="Largest request body after inflating, in bytes")] = (
        21_000_000
    )
    max_events: Annotated[int, Meta(ge=1, description="Most events in one request")] = 5_000
    max_event_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="Largest event of POST /v1/events, in bytes; a larger one is quarantined, the others are not. "
            "The validation fails smaller ones than the default already",
        ),
    ] = 1024 * 1024
    max_in_flight_requests: Annotated[
        int, Meta(ge=1, description="Most requests of a process being worked on; more wait in line")
    ] = 1_024
    max_in_flight_bytes: Annotated[
        int,
        Meta(
            ge=1,
            description="Most bytes of bodies that a process holds, as they came and inflated; it needs up to four "
            "times as much memory",
        ),
    ] = 64 * 1024 * 1024
    in_flight_wait_ms: Annotated[
        int, Meta(ge=0, le=3_000, description="How long a request waits in line before it is answered 429, in ms")
    ] = 2_000
    rated_devices: Annotated[
        int,
        Meta(ge=1, description="How many devices a process counts events of at a time, where their source limits them"),
    ] = 50_000
    ack_timeout_ms: Annotated[
        int,
        Meta(
            ge=100,
            le=8_000,
            description="How long a request waits for Kafka before it is answered 503, where the spool is off, in ms",
        ),
    ] = 6_000
    spool_dir: Annotated[
        str,
        Meta(
            description="Folder on a lasting disk for what Kafka does not acknowledge; processes may share it. "
            "Empty: no spool, then the answer is 503"
        ),
    ] = ""
    spool_after_ms: Annotated[
        int, Meta(ge=50, le=3_000, description="How long a request waits for Kafka before it is spooled, in ms")
    ] = 2_000
    spool_max_bytes: Annotated[
        int, Meta(ge=1024 * 1024, description="Most bytes in a process's spool; above it the answer is 503")
    ] = 1024 * 1024 * 1024
    spool_max_age_seconds: Annotated[
        int,
        Meta(ge=1, description="Age of the oldest spooled record from which no more is taken; none is ever dropped"),
    ] = 86_400
    linger_ms: Annotated[
        int, Meta(ge=0, le=1_000, description="How long librdkafka gathers records for one request to a broker, in ms")
    ] = 2
    queue_bytes: Annotated[
        int, Meta(ge=1024 * 1024, description="Most bytes waiting for Kafka; above it the answer is 503 at once")
    ] = 256 * 1024 * 1024
    retry_after_seconds: Annotated[
        int, Meta(ge=0, description="Retry-After of every answer 429 and 503, in seconds")
    ] = 5
    check_interval_seconds: Annotated[
        float, Meta(gt=0, description="Time between two checks of the topic for /health/ready, in seconds")
    ] = 3.0
    header_timeout_ms: Annotated[
        int,
        Meta(
            ge=1,
            description="How long a client may take to send its request headers, and a connection may be idle between "
            "two requests, in ms",
        ),
    ] = 10_000
    body_timeout_ms: Annotated[
        int, Meta(ge=1, description="How long a client may take to send a body before it is answered 408, in ms")
    ] = 30_000
    send_timeout_ms: Annotated[
        int,
        Meta(
            ge=1_000,
            description="How long a client may take nothing of its answer before its connection is closed, in ms",
        ),
    ] = 30_000
    max_connections: Annotated[
        int, Meta(ge=1, description="Most open connections of a process; more wait until one is closed")
    ] = 4_096
    workers: Annotated[int, Meta(ge=1, le=64, description="Processes that serve; limits are for each of them")] = 1
    stop_timeout_seconds: Annotated[
        int, Meta(ge=1, le=60, description="How long requests in progress may take after SIGTERM, in seconds")
    ] = 8
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(description="Origins of web pages that may post, such as https://shop.example; * is every one"),
    ] = ("*",)
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(description="Addresses or networks of gateways whose headers about the client are believed; empty: none"),
    ] = ()
    country_header: Annotated[
        str, Meta(description="Header in which a trusted gateway names the client's country; empty: none")
    ] = ""
    client_ip: Annotated[
        Literal["none", "truncated"],
        Meta(description="What is kept of a client's address: none, or truncated to 24 bits (IPv6: 48)"),
    ] = "none"
    traces: Annotated[
        bool, Meta(description="Whether requests are traced; OpenTelemetry's own OTEL_* variables say where to")
    ] = False
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="Least level of what is logged")
    ] = "info"

    @property
    def kafka_deadline_ms(self) -> int:
        """How long a record may take to be acknowledged, in ms; then it is spooled, or refused without a spool."""
        return self.spool_after_ms if self.spool_dir else self.ack_timeout_ms

    @property
    def large_in_flight_bytes(self) -> int:
        """Most bytes in flight that large bodies may bring it to: the rest is for the usual ones."""
        return self.max_in_flight_bytes * 3 // 4


class Configuration(msgspec.Struct, frozen=True):
    """The API's settings and the topic it needs."""

    api: Settings
    topic: TopicSpec


def load(environ: Mapping[str, str]) -> Configuration:
    """Read everything; raises SetupError that names what is wrong."""
    api = settings.load(Settings, PREFIX, environ)
    _require_networks(api.trusted_proxies)
    _require_room(api)
    wish = settings.load(TopicSettings, TOPIC_PREFIX, environ)
    return Configuration(api, TopicSpec.of(api.kafka.topic, wish))


def sources_path(environ: Mapping[str, str]) -> Path:
    """Return where the sources are, for a command that needs no other setting."""
    default = next(field.default for field in msgspec.structs.fields(Settings) if field.name == "sources_path")
    return Path(environ.get(f"{PREFIX}SOURCES_PATH") or default)


def _require_room(api: Settings) -> None:
    largest = api.max_body_bytes + api.max_inflated_bytes
    if largest > api.large_in_flight_bytes:
        raise SetupError(
            f"wrong settings: {PREFIX}MAX_IN_FLIGHT_BYTES={api.max_in_flight_bytes} has no room for the largest body; "
            f"set it to at least {largest * 4 // 3 + 1}, or lower {PREFIX}MAX_BODY_BYTES and {PREFIX}MAX_INFLATED_BYTES"
        )


def _require_networks(texts: tuple[str, ...]) -> None:
    for text in texts:
        try:
            ip_network(text, strict=False)
        except ValueError as error:
            raise SetupError(f"wrong settings: {PREFIX}TRUSTED_PROXIES: {error}") from error


def reference() -> list[settings.Setting]:
    """List every variable that `load` reads."""
    return settings.reference(Settings, PREFIX) + settings.reference(TopicSettings, TOPIC_PREFIX)
