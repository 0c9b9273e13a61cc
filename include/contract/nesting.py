"""How deep a request may be nested, for the edge: less deep than all that reads it later can."""

from __future__ import annotations

import sys

MAX_DEPTH = 500
"""Brackets in brackets that an event may have at any rate; what is deeper may be quarantined as nested too deep."""
_FRAMES = 100
"""The edge's own calls."""


def limit_depth() -> None:
    """Have this process decode little more than MAX_DEPTH: a decoder goes as deep as the interpreter's limit lets it.

    With the usual limit the edge would take what the drain, which decodes from within many more calls, cannot read.
    """
    sys.setrecursionlimit(MAX_DEPTH + _FRAMES)
