"""Settings from environment variables: typed, complete in their complaints, silent about values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from include.contract import settings
from include.errors import SetupError


class _Kafka(msgspec.Struct, frozen=True):
    topic: Annotated[str, Meta(description="Topic")] = "events"
    properties: Annotated[dict[str, str], Meta(description="More")] = {}


class _All(msgspec.Struct, frozen=True):
    kafka: _Kafka
    key: Annotated[str, Meta(description="The key")]
    port: Annotated[int, Meta(ge=1, le=65535, description="The port")] = 80
    ratio: float = 0.5
    wanted: bool = False
    hosts: tuple[str, ...] = ("a", "b")
    mode: Literal["x", "y"] = "x"
    flush: int | None = None
    path: Path = Path("here")


def test_defaults_and_values() -> None:
    found = settings.load(_All, "P_", {"P_KEY": "k", "OTHER": "1"})
    assert found == _All(kafka=_Kafka(), key="k")
    environ = {
        "P_KEY": "k",
        "P_PORT": "81",
        "P_RATIO": "0.25",
        "P_WANTED": "true",
        "P_HOSTS": "c, d,",
        "P_MODE": "y",
        "P_FLUSH": "7",
        "P_PATH": "some/where",
        "P_KAFKA_TOPIC": "t",
        "P_KAFKA_PROPERTIES": '{"a":"b"}',
    }
    assert settings.load(_All, "P_", environ) == _All(
        kafka=_Kafka("t", {"a": "b"}),
        key="k",
        port=81,
        ratio=0.25,
        wanted=True,
        hosts=("c", "d"),
        mode="y",
        flush=7,
        path=Path("some/where"),
    )


def test_an_empty_variable_counts_as_not_set() -> None:
    assert settings.load(_All, "P_", {"P_KEY": "k", "P_FLUSH": "", "P_PORT": ""}).port == 80
    with pytest.raises(SetupError, match="P_KEY is not set"):
        settings.load(_All, "P_", {"P_KEY": ""})


def test_every_problem_is_named_at_once_without_its_value() -> None:
    environ = {
        "P_PORT": "hunter2",
        "P_MODE": "hunter2",
        "P_KAFKA_PROPERTIES": "hunter2",
        "P_KAFKA_TOPICS": "hunter2",
        "P_WANTED": "hunter2",
    }
    with pytest.raises(SetupError) as caught:
        settings.load(_All, "P_", environ)
    text = str(caught.value)
    assert "P_KAFKA_TOPICS is not a setting (did you mean P_KAFKA_TOPIC?)" in text
    assert "P_KEY is not set (The key)" in text
    for variable in ("P_PORT", "P_MODE", "P_KAFKA_PROPERTIES", "P_WANTED"):
        assert f"{variable}: " in text
    assert "P_PORT: expected int, got str (The port)" in text
    assert "hunter2" not in text


@pytest.mark.parametrize("port", ["0", "65536", "1.5"])
def test_limits_hold(port: str) -> None:
    with pytest.raises(SetupError, match="P_PORT"):
        settings.load(_All, "P_", {"P_KEY": "k", "P_PORT": port})


def test_the_reference_lists_every_variable_in_order() -> None:
    found = {setting.variable: setting for setting in settings.reference(_All, "P_")}
    assert list(found) == [
        "P_KAFKA_TOPIC",
        "P_KAFKA_PROPERTIES",
        "P_KEY",
        "P_PORT",
        "P_RATIO",
        "P_WANTED",
        "P_HOSTS",
        "P_MODE",
        "P_FLUSH",
        "P_PATH",
    ]
    assert found["P_KEY"] == settings.Setting("P_KEY", "str", None, "The key")
    assert found["P_WANTED"].default == "false"
    assert found["P_HOSTS"].default == "a,b"
    assert found["P_FLUSH"].default == ""
    assert found["P_KAFKA_PROPERTIES"].default == "{}"


def test_defaults_of_the_reference_load_as_the_defaults() -> None:
    environ = {setting.variable: setting.default or "k" for setting in settings.reference(_All, "P_")}
    del environ["P_FLUSH"]
    assert settings.load(_All, "P_", environ) == _All(kafka=_Kafka(), key="k")
