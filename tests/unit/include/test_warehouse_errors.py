"""The connector's errors as ours: who acts is decided by Snowflake's error number."""

from __future__ import annotations

import pytest
from snowflake.connector.errors import (
    DatabaseError,
    Error,
    InterfaceError,
    InternalServerError,
    OperationalError,
    ProgrammingError,
    ServiceUnavailableError,
)

from include.errors import PipelineError, SetupError, TerminalError, TransientError
from include.warehouse import opened, warehouse_error

TABLE: list[tuple[Error, type[PipelineError]]] = [
    (ProgrammingError("Object 'X' does not exist or not authorized.", errno=2003), SetupError),
    (ProgrammingError("Insufficient privileges", errno=3001), SetupError),
    (ProgrammingError("No active warehouse selected", errno=606), SetupError),
    (DatabaseError("Incorrect username or password", errno=390100), SetupError),
    (DatabaseError("JWT token is invalid", errno=390144), SetupError),
    (DatabaseError("role not granted", errno=390189), SetupError),
    (ProgrammingError("SQL execution cancelled", errno=604), TransientError),
    (ProgrammingError("Lock timeout", errno=625), TransientError),
    (ProgrammingError("Statement reached its timeout", errno=630), TransientError),
    (ProgrammingError("transaction aborted", errno=635), TransientError),
    (ProgrammingError("Session no longer exists", errno=390114), TransientError),
    (OperationalError("Failed to connect", errno=250001), TransientError),
    (OperationalError("HTTP 403", errno=250001), TransientError),
    (InterfaceError("bad response", errno=252004), TransientError),
    (ServiceUnavailableError(), TransientError),
    (InternalServerError(), TransientError),
    (Error("anything"), TransientError),
    (ProgrammingError("SQL compilation error: syntax error", errno=1003), TerminalError),
    (ProgrammingError("Duplicate row detected during DML action", errno=100090), TerminalError),
    (ProgrammingError("Error parsing the parquet file", errno=100082), TerminalError),
]


@pytest.mark.parametrize(("error", "ours"), TABLE, ids=[f"{type(error).__name__}-{error.errno}" for error, _ in TABLE])
def test_each_error_says_who_acts(error: Error, ours: type[PipelineError]) -> None:
    mapped = warehouse_error(error, "MERGE into EVENTS")
    assert type(mapped) is ours
    assert "MERGE into EVENTS" in str(mapped)
    assert str(abs(error.errno or 0)) in str(mapped)


def test_a_long_message_is_clipped_and_its_cause_kept() -> None:
    cause = OperationalError("x" * 5_000, errno=250001)

    def connect() -> None:
        raise cause

    with pytest.raises(TransientError, match="connecting") as caught:
        opened(connect)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 500
    assert caught.value.__cause__ is cause
