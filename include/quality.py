"""Great Expectations over every row: each distinct value of a fact is judged once, for all rows that have it.

An expectation looks at one value of one column, so its answer about a value holds for every row and chunk that has it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from include.collector import collector_off
from include.distinct import Answers, Distinct, Tally
from include.errors import SetupError

SUITES = Path(__file__).parent.parent / "great_expectations" / "expectations"
GATE = "critical"
# One line per registered method and import: noise in every task's log.
logging.getLogger("great_expectations, see docs/runbooks/settings.md").setLevel(logging.WARNING)
REMEMBERED_VALUES = 200_000
"""Where the answers of a process are forgotten, so that memory stays bounded whatever clients send."""


class Reason(msgspec.Struct, frozen=True):
    """Why a row failed: the expectation, the fact it looked at, and the value it found."""

    expectation: str
    column: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Failed rows with their reasons, in suite order, and a tally per expectation."""

    failed: dict[int, list[Reason]] = field(default_factory=dict)
    tallies: list[Tally] = field(default_factory=list)


class Suite:
    """A suite of JSON expectations, ready to judge facts; make one per process, it is expensive."""

    def __init__(self, name: str) -> None:
        """Load `great_expectations/expectations/<name>.json`; raises SetupError when GX drops a part of it."""
        with collector_off():  # a quarter of the seconds that the import takes
            import great_expectations as gx  # noqa: PLC0415 - which only validation should pay
            from great_expectations.core import ExpectationSuite  # noqa: PLC0415
            from great_expectations.data_context.types.base import (  # noqa: PLC0415
                DataContextConfig,
                InMemoryStoreBackendDefaults,
                ProgressBarsConfig,
            )

        declared = json.loads((SUITES / f"{name}.json").read_text())
        self.configs: list[dict[str, Any]] = declared["expectations"]
        self._answers = Answers({})
        # GX logs and drops an expectation whose configuration is invalid.
        taken = ExpectationSuite(name=name, expectations=self.configs).expectations
        if len(taken) != len(self.configs):
            raise SetupError(
                f"suite {name}: GX took {len(taken)} of {len(self.configs)} expectations, see docs/runbooks/settings.md"
            )
        # By default, every context leaves a folder for a documentation site of its own behind.
        stores = InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        context = gx.get_context(mode="ephemeral", project_config=DataContextConfig(store_backend_defaults=stores))
        context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        asset = context.data_sources.add_pandas("facts").add_dataframe_asset(name)
        self._batches = asset.add_batch_definition_whole_dataframe("chunk")

    def judge(self, facts: Mapping[str, pa.Array], parameters: Mapping[str, Any]) -> Verdict:
        """Judge all rows.

        Args:
            facts: columns of equal length, named as in the suite.
            parameters: values for the suite's `$PARAMETER` placeholders.

        Raises:
            SetupError: an expectation could not be evaluated; a row must never pass because of that.

        """
        rows = len(next(iter(facts.values())))
        if rows == 0:
            return Verdict(tallies=[Tally(config) for config in self.configs])
        columns = {name: Distinct(column) for name, column in facts.items()}
        unexpected = self._judge_new_values(columns, parameters)
        verdict = Verdict()
        for config, values in zip(self.configs, unexpected, strict=True):
            column = columns[config["kwargs"]["column"]]
            found = column.codes_of(values)
            verdict.tallies.append(column.tally(config, found))
            if config["severity"] == GATE:
                for row, value in column.rows_of(found):
                    reason = Reason(config["type"], config["kwargs"]["column"], value)
                    verdict.failed.setdefault(row, []).append(reason)
        return verdict

    def _judge_new_values(self, columns: Mapping[str, Distinct], parameters: Mapping[str, Any]) -> list[Set[Any]]:
        """Let GX judge what it was not asked yet; returns the unexpected values of each expectation of the suite."""
        if self._answers.parameters != parameters or self._answers.count > REMEMBERED_VALUES:
            self._answers = Answers(parameters)
        new = self._answers.not_judged(columns)
        asked = [number for number, config in enumerate(self.configs) if config["kwargs"]["column"] in new]
        if asked:
            found = self._unexpected(new, [self.configs[number] for number in asked], parameters)
            self._answers.learn(new, dict(zip(asked, found, strict=True)))
        return [self._answers.unexpected[number] for number in range(len(self.configs))]

    def _unexpected(
        self, new: Mapping[str, list[Any]], configs: list[dict[str, Any]], parameters: Mapping[str, Any]
    ) -> Iterator[list[Any]]:
        import pandas as pd  # noqa: PLC0415 - see __init__
        from great_expectations.core import ExpectationSuite  # noqa: PLC0415

        height = max(map(len, new.values()))
        padded = {name: values + values[:1] * (height - len(values)) for name, values in new.items()}
        frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in padded.items()})
        outcome = self._batches.get_batch({"dataframe": frame}).validate(
            ExpectationSuite(name="new values", expectations=configs),
            result_format={"result_format": "COMPLETE"},
            expectation_parameters=dict(parameters),
        )
        results: list[dict[str, Any]] = [result.to_json_dict() for result in outcome.results]
        by_config = {_identity(result["expectation_config"]): result for result in results}
        for config in configs:
            values = padded[config["kwargs"]["column"]]
            yield [values[index] for index in _indexes(by_config[_identity(_resolved(config, parameters))], config)]


@lru_cache(maxsize=4)
def suite(name: str) -> Suite:
    """Return this process's suite of that name."""
    return Suite(name)


def judge_interval(totals: Mapping[str, float]) -> list[Tally]:
    """Judge an interval's totals by suite `interval`; its warnings are counted, they stop nothing."""
    facts = {name: pa.array([value]).dictionary_encode() for name, value in totals.items()}
    return suite("interval").judge(facts, {}).tallies


def _identity(config: Mapping[str, Any]) -> tuple[str, str]:
    kwargs = {key: value for key, value in config["kwargs"].items() if key != "batch_id"}
    return str(config["type"]), json.dumps(kwargs, sort_keys=True, default=float)


def _resolved(config: dict[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    kwargs = {
        key: parameters[value["$PARAMETER"]] if isinstance(value, dict) and "$PARAMETER" in value else value
        for key, value in config["kwargs"].items()
    }
    return {
        **config,
        "kwargs": {key: float(v) if key in {"min_value", "max_value"} else v for key, v in kwargs.items()},
    }


def _indexes(result: Mapping[str, Any], config: Mapping[str, Any]) -> list[int]:
    found = result["result"].get("unexpected_index_list")
    if found is None:  # what an expectation that raised looks like: success=False and no list
        raise SetupError(
            f"expectation {config['type']} {config['kwargs']} could not be evaluated: {result['exception_info']}"
        )
    return [int(index) for index in found]
