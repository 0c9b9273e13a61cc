"""Imports third-party modules whose first import warns; what they do afterwards must not warn."""

from __future__ import annotations

import importlib
import warnings


def import_quietly(*modules: str) -> None:
    """Import modules once with their import-time warnings ignored; later imports find them done."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in modules:
            importlib.import_module(module)


def import_great_expectations() -> None:
    """Import Great Expectations with what it imports lazily while validating."""
    import_quietly(
        "great_expectations", "great_expectations.expectations.core", "great_expectations.validator.validator"
    )
