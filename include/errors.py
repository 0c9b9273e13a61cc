"""The errors of the pipeline: the type says who acts, and Airflow's retry policy is chosen by it."""

from __future__ import annotations


class PipelineError(Exception):
    """Root of all errors that the pipeline raises on purpose."""


class TransientError(PipelineError):
    """A part is away or busy; the same call may succeed later, so it is retried with backoff."""


class SetupError(PipelineError):
    """A human must act (grants, keys, a missing topic); retrying blindly cannot help."""


class TerminalError(PipelineError):
    """The work itself is impossible; retrying cannot help."""


class DataGapError(TerminalError):
    """Kafka no longer has offsets that no plan covers; the message names topic, partition, range and count."""
