-- What kind of load a ledger row is, and the record of backfills.
ALTER TABLE {database}.CONTROL.LOADS ADD COLUMN IF NOT EXISTS KIND VARCHAR(16)
    COMMENT 'load, reload, restate or publish; empty means load';
CREATE TABLE IF NOT EXISTS {database}.CONTROL.BACKFILLS (
    RUN_ID VARCHAR NOT NULL COMMENT 'Run of settle_hour that did it',
    RUN_STARTED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'When that run began, UTC; a run that is repeated begins again',
    HOUR TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Arrival hour, UTC',
    MODE VARCHAR(16) NOT NULL COMMENT 'heal, reload, restate or redrive',
    REASON VARCHAR NOT NULL COMMENT 'Why, in the words of who asked',
    REQUESTED_BY VARCHAR NOT NULL COMMENT 'Who asked',
    PUBLISH BOOLEAN NOT NULL COMMENT 'Whether vendors were to get what they were not offered yet',
    STATE VARCHAR(16) NOT NULL COMMENT 'running, done or failed',
    EVENTS_BEFORE NUMBER(19, 0) NOT NULL COMMENT 'Rows of the hour in EVENTS before',
    EVENTS_AFTER NUMBER(19, 0) COMMENT 'And after',
    FAILED_BEFORE NUMBER(19, 0) NOT NULL COMMENT 'Rows of the hour in FAILED_EVENTS before',
    FAILED_AFTER NUMBER(19, 0) COMMENT 'And after',
    DETAIL VARIANT COMMENT 'What was done, or the error',
    STARTED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'First attempt, UTC',
    FINISHED_AT TIMESTAMP_NTZ(6) COMMENT 'End of the last attempt, UTC'
) COMMENT = 'One row per hour of every backfill that may change something';
