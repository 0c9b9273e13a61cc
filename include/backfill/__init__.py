"""Backfill of a date range: rehearsal, the modes of settle_hour, their record, and the command."""
