"""A strict stand-in of Amplitude's documented contract, for the one-machine stack and the tests."""
