"""Great Expectations, imported once for the unit tests that let it judge."""

from __future__ import annotations

import pytest

from tests.quiet_imports import import_great_expectations


@pytest.fixture(scope="session")
def gx() -> None:
    import_great_expectations()
