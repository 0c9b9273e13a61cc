"""Reads the ids at every hop without any of the pipeline's code, so that a check cannot repeat the pipeline's mistake.

Every reader returns how often each (source_id, event_id) is there. What has no readable id gets its place as one.
"""

from __future__ import annotations

from typing import TypeAlias

EventKey: TypeAlias = tuple[str, str]
"""source_id and event_id."""
