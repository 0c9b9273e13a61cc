"""A Snowflake account on one machine, for local runs and tests: the fakesnow server, durable and strict."""
