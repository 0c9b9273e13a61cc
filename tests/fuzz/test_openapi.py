"""Every route of the served OpenAPI document, tried by schemathesis: the API does what the document says."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from requests import Session
from schemathesis import APIOperation, BaseSchema, Case, GenerationMode
from schemathesis.checks import CheckFunction, load_all_checks
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from tests.fuzz import limits
from tests.fuzz.watched_api import WatchedApi
from tests.integration.ingest_server import KEY

Operation = APIOperation[Any, Any, Any, Any]
_LONG = pytest.param(100, 1_000, 0, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])
_MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]
_KEY = {"Authorization": f"Bearer {KEY}"}

load_all_checks()
# What is odd in an event is taken by design: the answer is 200, and the event is quarantined now or later.
_NOT_OURS: list[CheckFunction] = [checks.negative_data_rejection]
# Which bodies are good depends there on what the URL says they are, which no document can say.
_BY_THE_URL = {"/v1/events:validate": [checks.positive_data_acceptance]}


@pytest.fixture
def document(api: WatchedApi) -> BaseSchema:
    schema: BaseSchema = schemathesis.openapi.from_url(f"http://127.0.0.1:{api.port}/openapi.json")
    # A 503 is an answer like any other where the document has it; status_code_conformance looks after that.
    schema.config.checks.not_a_server_error.expected_statuses = ["2xx", "3xx", "4xx", "503"]
    return schema


@pytest.mark.parametrize(("cases", "borders", "fixed_seed"), [(3, 12, 3), _LONG])
def test_the_document_is_true(api: WatchedApi, document: BaseSchema, cases: int, borders: int, fixed_seed: int) -> None:
    chosen, seen, failures = limits.seed(fixed_seed), Counter[str](), list[str]()
    print(f"FUZZ_SEED={chosen}")  # noqa: T201 - to run a failure again
    session = Session()
    for found in document.get_all_operations():
        assert isinstance(found, Ok), found.err()
        operation = found.ok()
        try:
            _covering(operation, document, borders, session, seen)
            _generated(operation, GenerationMode.POSITIVE, cases, chosen, session, seen)
            # A route that takes nothing has nothing that could be wrong.
            with suppress(Unsatisfiable):
                _generated(operation, GenerationMode.NEGATIVE, cases, chosen, session, seen)
        except* AssertionError as group:
            failures += [f"{operation.label}: {error}" for error in group.exceptions]
        assert seen[f"{operation.label} 200"], f"{operation.label} was never answered 200"
        api.assert_well()
    print(sum(seen.values()), "requests:", dict(seen))  # noqa: T201
    assert not failures, "\n\n".join(failures)


def _covering(operation: Operation, document: BaseSchema, borders: int, session: Session, seen: Counter[str]) -> None:
    """Try the borders of every field, missing and repeated ones, and methods that the document does not have."""
    config = document.config.generation
    found = document.iter_coverage_cases(operation, generation_modes=_MODES, generation_config=config)
    for case in islice(found, borders):
        _try(case, session, seen)


def _generated(
    operation: Operation, mode: GenerationMode, cases: int, chosen: int, session: Session, seen: Counter[str]
) -> None:
    @seed(chosen)
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck),
              phases=[Phase.generate, Phase.shrink])  # fmt: skip
    @given(operation.as_strategy(generation_mode=mode))
    def run(case: Case[Any]) -> None:
        _try(case, session, seen)

    run()


def _try(case: Case[Any], session: Session, seen: Counter[str]) -> None:
    response = case.call(session=session, headers=_KEY)
    seen[f"{case.operation.label} {response.status_code}"] += 1
    not_here = _BY_THE_URL.get(case.operation.path, [])
    case.validate_response(response, headers=_KEY, excluded_checks=[*_NOT_OURS, *not_here])
