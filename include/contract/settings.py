"""Reads typed settings from environment variables, for the ingest API, the DAGs and the one-machine stack."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard, TypeVar, get_args, get_origin

import msgspec

from include.errors import SetupError

T = TypeVar("T", bound=msgspec.Struct)


class Setting(NamedTuple):
    """One environment variable as the documentation shows it."""

    variable: str
    type_name: str
    default: str | None
    description: str


def load(cls: type[T], prefix: str, environ: Mapping[str, str]) -> T:
    """Build `cls` from the variables `<prefix><FIELD>`.

    A field whose type is itself a settings class reads `<prefix><FIELD>_<ITS FIELD>`. Lists are comma separated,
    mappings are JSON, an empty variable counts as not set. Raises SetupError naming every variable that is unknown,
    missing or of the wrong type; never its value, because it may be a secret.
    """
    problems = list(unknown([setting.variable for setting in reference(cls, prefix)], prefix, environ))
    values = _values(cls, prefix, environ, problems)
    if problems:
        raise SetupError("wrong settings: " + "; ".join(problems) + "; see docs/runbooks/settings.md")
    return cls(**values)


def reference(cls: type[msgspec.Struct], prefix: str) -> list[Setting]:
    """List every variable that `load` reads for `cls`, in the order of its fields."""
    found: list[Setting] = []
    for field in msgspec.structs.fields(cls):
        variable, kind = prefix + field.name.upper(), _plain(field.type)
        if _is_settings(kind):
            found += reference(kind, variable + "_")
            continue
        default = None if field.required else _as_text(_default(field))
        found.append(Setting(variable, _type_name(kind), default, _description(field.type)))
    return found


def unknown(known: Sequence[str], prefix: str, variables: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each variable with this prefix that is none of the known ones."""
    for variable in sorted(variables):
        if variable.startswith(prefix) and variable not in known:
            close = difflib.get_close_matches(variable, known, n=1)
            yield f"{variable} is not a setting" + (f" (did you mean {close[0]}?)" if close else "")


def _values(cls: type[msgspec.Struct], prefix: str, environ: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(cls):
        variable, kind = prefix + field.name.upper(), _plain(field.type)
        if _is_settings(kind):
            # A broken part leaves its problems in the list, and `load` raises before using the values.
            nested = _values(kind, variable + "_", environ, problems)
            values[field.name] = kind(**nested) if not problems else None
        elif environ.get(variable):
            values[field.name] = _convert(variable, environ[variable], field.type, problems)
        elif field.required:
            problems.append(f"{variable} is not set ({_description(field.type)})")
    return values


def _convert(variable: str, text: str, kind: object, problems: list[str]) -> object:
    plain = _plain(kind)
    origin = get_origin(plain) or plain
    try:
        raw: object = text
        if origin in (tuple, list, frozenset, set):
            raw = [part.strip() for part in text.split(",") if part.strip()]
        elif origin is dict:
            raw = msgspec.json.decode(text)
        return msgspec.convert(raw, kind, strict=False, dec_hook=_path)
    except msgspec.DecodeError as error:
        said = _without_value(error)
        needed = "" if said.startswith("expected") else f", needs {_type_name(plain)}"
        problems.append(f"{variable}: {said}{needed} ({_description(kind)})")
        return None


def _path(kind: type, value: object) -> object:
    if kind is Path:
        return Path(str(value))
    raise NotImplementedError(f"settings cannot be of type {kind}")


def _without_value(error: Exception) -> str:
    # "Invalid enum value 'x'" is the only message of msgspec that repeats what it was given.
    return str(error).split(" '", maxsplit=1)[0].replace("`", "").lower()


def _is_settings(kind: object) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _plain(kind: object) -> object:
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _description(kind: object) -> str:
    metas = [meta for meta in getattr(kind, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    return next((meta.description for meta in metas if meta.description), "")


def _default(field: msgspec.structs.FieldInfo) -> object:
    return field.default if field.default is not msgspec.NODEFAULT else field.default_factory()


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset | set):
        return ",".join(str(part) for part in value)
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def _type_name(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind).replace("typing.", "")
