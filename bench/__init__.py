"""Benchmarks of the pipeline, each beside the limit of its machine: `python -m bench`, or one module of it."""
