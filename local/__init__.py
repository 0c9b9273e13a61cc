"""The one-machine stack: every part of the pipeline on 127.0.0.1, for developers and tests."""
