"""Brings the tool chain into `.tools`; runs on the user's own Python and needs nothing but its standard library."""
