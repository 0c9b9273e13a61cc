"""The live board of `make run`: what the parts themselves say about their health, the events and the intervals."""
