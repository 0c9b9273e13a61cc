"""The contract that the ingest API and the pipeline share: envelope, topic, sources, settings; light imports only."""
