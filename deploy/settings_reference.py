"""Writes `.env.example` and `docs/configuration.md` from the settings: `python -m deploy.settings_reference`."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from deploy.other_variables import COMPOSE_SECRETS, CONNECTIONS, WRITTEN_BY_THE_STACK, Example
from include.backfill.airflow import BackfillSettings
from include.contract.kafka_settings import TOPIC_PREFIX, TopicSettings
from include.contract.settings import Setting, reference
from include.migrate import MigrationSettings
from include.settings import PipelineSettings
from ingest_api.settings import PREFIX as INGEST_PREFIX
from ingest_api.settings import Settings as IngestSettings
from local.amplitude.settings import PREFIX as AMPLITUDE_PREFIX
from local.amplitude.settings import AmplitudeSettings
from local.settings import LocalSettings, RunSettings
from local.snowflake.settings import AzureSettings, SnowflakeSettings

ROOT = Path(__file__).resolve().parent.parent


class Group(NamedTuple):
    """Settings classes that one kind of program reads, with the prefix of each."""

    title: str
    reader: str
    classes: tuple[tuple[type[msgspec.Struct], str], ...]


GROUPS = (
    Group("Ingest API", "Read by `python -m ingest_api`.", ((IngestSettings, INGEST_PREFIX),)),
    Group(
        "Topic",
        "What is demanded of the topic; read by the ingest API, `stage_events` and "
        "`python -m include.contract.topic_spec apply|check`.",
        ((TopicSettings, TOPIC_PREFIX),),
    ),
    Group("Pipeline", "Read by the DAGs.", ((PipelineSettings, "PIPELINE_"),)),
    Group("Backfill", "Read by `python -m include.backfill`.", ((BackfillSettings, "BACKFILL_"),)),
    Group("Migration", "Read by `python -m include.migrate`.", ((MigrationSettings, "MIGRATE_"),)),
    Group(
        "One-machine stack",
        "Read by `make run` and its relatives.",
        ((LocalSettings, "LOCAL_"), (RunSettings, "LOCAL_")),
    ),
    Group(
        "Stand-ins",
        "Given to the stand-ins of Snowflake and Amplitude by the stack that starts them.",
        (
            (SnowflakeSettings, "LOCAL_SNOWFLAKE_"),
            (AzureSettings, "LOCAL_AZURE_"),
            (AmplitudeSettings, AMPLITUDE_PREFIX),
        ),
    ),
)

_HEAD = """\
# Every setting, with its default. Written by `python -m deploy.settings_reference`; a test keeps it so.
# `make run` needs none of it. For production copy it to .env, fill in what is required, and load it with
#   set -a; . ./.env; set +a
# For docker-compose.yaml make a .env of random secrets with deploy/local/new_env.py instead.
"""


def settings_of(group: Group) -> list[Setting]:
    """Return the group's settings; the stack's own sentence wins where a stand-in has the same variable."""
    earlier = {setting.variable for setting in reference(LocalSettings, "LOCAL_")}
    own = [setting for kind, prefix in group.classes for setting in reference(kind, prefix)]
    return own if group.title != "Stand-ins" else [setting for setting in own if setting.variable not in earlier]


def documented() -> set[str]:
    """Return every variable that `.env.example` names."""
    found = {setting.variable for group in GROUPS for setting in settings_of(group)}
    found |= {example.variable for example in CONNECTIONS}
    return found | WRITTEN_BY_THE_STACK.keys() | COMPOSE_SECRETS.keys()


def env_example() -> str:
    """Return the text of `.env.example`."""
    blocks = [_HEAD]
    for group in GROUPS:
        blocks.append(_section(group.title, group.reader.replace("`", "")))
        blocks += [_assignment(setting) for setting in settings_of(group)]
    blocks.append(_section("Connections", "Airflow's JSON form; replace what stands in <>. Examples of production."))
    blocks += [_connection(example) for example in CONNECTIONS]
    blocks.append(
        _section(
            "Written by the stack",
            "In .local/endpoints.env, the first six in client.env too, while it runs; nobody sets these.",
        )
    )
    blocks += [_named(WRITTEN_BY_THE_STACK)]
    blocks.append(_section("Secrets of docker-compose.yaml", "Made by deploy/local/new_env.py."))
    blocks += [_named(COMPOSE_SECRETS)]
    return "\n".join(blocks)


def configuration() -> str:
    """Return the text of `docs/configuration.md`."""
    return "\n".join(_configuration_lines()) + "\n"


def _configuration_lines() -> Iterator[str]:
    yield "# Configuration"
    yield ""
    yield "<!-- Written by `python -m deploy.settings_reference`; a test keeps it so. -->"
    yield "Everything is an environment variable. An empty variable counts as not set. An unknown variable with one of"
    yield "the prefixes below, or a wrong value, ends the program that reads it with one sentence that names it."
    yield "`make run` looks at all of them before anything starts; commands beside a running stack (`make sql`,"
    yield "`make sources`) pass over what they do not read."
    yield "[`.env.example`](../.env.example) has the same in a form that a shell can load."
    for group in GROUPS:
        yield from ("", f"## {group.title}", "", group.reader, "", "| variable | type | default | meaning |")
        yield "|---|---|---|---|"
        yield from map(_row, settings_of(group))
    yield from (
        "",
        "## Connections",
        "",
        "Airflow connections in Airflow's JSON form. For the DAGs any other of Airflow's",
    )
    yield "ways to keep a connection (secrets backend, metadata database) does too; `python -m include.migrate`,"
    yield "`include.trace` and `include.accept_gap` read the variables. What stands in `<>` is yours."
    for example in CONNECTIONS:
        yield from ("", f"{example.sentence}", "", "```sh", f"{example.variable}={_quoted(example)}", "```")
    yield from ("", "## Written by the running stack", "", "| variable | meaning |", "|---|---|")
    yield from _meanings(WRITTEN_BY_THE_STACK)
    yield from ("", "## Secrets of docker-compose.yaml", "", "| variable | meaning |", "|---|---|")
    yield from _meanings(COMPOSE_SECRETS)


def _section(title: str, sentence: str) -> str:
    return f"\n# ---- {title} ----\n# {sentence}\n"


def _assignment(setting: Setting) -> str:
    required = "; required" if setting.default is None else ""
    value = shlex.quote(setting.default) if setting.default else ""
    return f"# {_sentence(setting)} ({_type(setting)}{required})\n{setting.variable}={value}"


def _connection(example: Example) -> str:
    return f"# {example.sentence}\n#{example.variable}={_quoted(example)}"


def _quoted(example: Example) -> str:
    return shlex.quote(msgspec.json.encode(example.value).decode())


def _named(variables: Mapping[str, str]) -> str:
    return "\n".join(f"# {meaning}\n#{name}=" for name, meaning in variables.items()) + "\n"


def _meanings(variables: Mapping[str, str]) -> Iterator[str]:
    for name, meaning in variables.items():
        yield f"| `{name}` | {meaning} |"


def _row(setting: Setting) -> str:
    default = "required" if setting.default is None else f"`{setting.default}`" if setting.default else ""
    cells = (f"`{setting.variable}`", _type(setting), default, _sentence(setting))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _sentence(setting: Setting) -> str:
    return setting.description.rstrip(".") + "."


def _type(setting: Setting) -> str:
    name = setting.type_name.removesuffix(" | None")
    choices = re.fullmatch(r"Literal\[(.*)\]", name)
    return f"one of {choices[1]}" if choices else name


FILES = {ROOT / ".env.example": env_example, ROOT / "docs" / "configuration.md": configuration}


def main(arguments: list[str]) -> int:
    """Write both files, or with `--check` say which differs; exit status 1 when one does."""
    parser = argparse.ArgumentParser(prog="python -m deploy.settings_reference", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not up to date")
    check = parser.parse_args(arguments).check
    stale = [file for file, text in FILES.items() if not file.exists() or file.read_text() != text()]
    for file in stale:
        if not check:
            file.write_text(FILES[file]())
        sys.stdout.write(f"{'stale' if check else 'wrote'} {file.relative_to(ROOT)}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
