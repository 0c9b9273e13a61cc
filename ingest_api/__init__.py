"""The ingest API: takes batches of events over HTTP and answers 200 once Kafka has them durably."""
