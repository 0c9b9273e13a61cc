"""Finds misspelled settings before anything starts: each program knows its own alone, and some start much later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from include.contract.kafka_settings import TOPIC_PREFIX, TopicSettings
from include.contract.settings import reference, unknown
from include.errors import SetupError
from include.migrate import MigrationSettings
from include.settings import PipelineSettings
from ingest_api.settings import PREFIX as INGEST_PREFIX
from ingest_api.settings import Settings as IngestSettings
from local.amplitude.settings import PREFIX as AMPLITUDE_PREFIX
from local.amplitude.settings import AmplitudeSettings
from local.settings import LocalSettings, RunSettings
from local.snowflake.settings import AzureSettings, SnowflakeSettings

_READ: tuple[tuple[type[msgspec.Struct], str], ...] = (
    (IngestSettings, INGEST_PREFIX),
    (TopicSettings, TOPIC_PREFIX),
    (PipelineSettings, "PIPELINE_"),
    (MigrationSettings, "MIGRATE_"),
    (LocalSettings, "LOCAL_"),
    (RunSettings, "LOCAL_"),
    (SnowflakeSettings, "LOCAL_SNOWFLAKE_"),
    (AzureSettings, "LOCAL_AZURE_"),
    (AmplitudeSettings, AMPLITUDE_PREFIX),
)
_PREFIXES = (INGEST_PREFIX, TOPIC_PREFIX, "PIPELINE_", "MIGRATE_", "LOCAL_")
_WRITTEN_BY_THE_STACK = ("LOCAL_URL_", "LOCAL_WRITE_KEY_")
"""Beginnings of what a shell has that sourced `client.env` or `endpoints.env`."""


def require_known(environ: Mapping[str, str]) -> None:
    """Raise SetupError naming every variable with one of our prefixes that no program reads."""
    if problems := list(_problems(environ)):
        raise SetupError("wrong settings: " + "; ".join(problems))


def _problems(environ: Mapping[str, str]) -> Iterator[str]:
    known = [setting.variable for kind, prefix in _READ for setting in reference(kind, prefix)]
    ours = [name for name in environ if not name.startswith(_WRITTEN_BY_THE_STACK)]
    for prefix in _PREFIXES:
        yield from unknown(known, prefix, ours)
