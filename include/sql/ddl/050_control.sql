-- Ledger of loads, writer locks, reconciliation.
CREATE TABLE IF NOT EXISTS {database}.CONTROL.LOADS (
    TOPIC VARCHAR NOT NULL COMMENT 'Kafka topic',
    SEQUENCE NUMBER(19, 0) NOT NULL COMMENT 'Number of the plan in the topic''s chain',
    BATCH_ID VARCHAR(300) NOT NULL COMMENT 'Name of the plan',
    LOAD_ID VARCHAR(300) NOT NULL COMMENT 'Load that brought it; one load may bring many batches',
    CONTRACT_VERSION NUMBER(10, 0) NOT NULL COMMENT 'Version of the mapping that derived the rows',
    INTERVAL_START TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Start of the arrival interval, UTC',
    INTERVAL_END TIMESTAMP_NTZ(6) NOT NULL COMMENT 'End of the arrival interval, UTC',
    ENVELOPES NUMBER(19, 0) NOT NULL COMMENT 'Kafka records drained',
    ANNOUNCED NUMBER(19, 0) NOT NULL COMMENT 'Events as the edge counted them',
    ROWS_STAGED NUMBER(19, 0) NOT NULL COMMENT 'Valid events in the files',
    ROWS_INSERTED NUMBER(19, 0) NOT NULL COMMENT 'Of them new in EVENTS; the rest were duplicates or unparsable',
    FAILED_STAGED NUMBER(19, 0) NOT NULL COMMENT 'Failed events in the files',
    FAILED_INSERTED NUMBER(19, 0) NOT NULL COMMENT 'Rows new in FAILED_EVENTS, unparsable ones included',
    UNPARSED NUMBER(19, 0) NOT NULL COMMENT 'Staged events whose JSON Snowflake could not parse',
    LOADED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'When the load was committed, UTC'
) COMMENT = 'One row per load of a batch; the only memory of what was loaded';
CREATE TABLE IF NOT EXISTS {database}.CONTROL.WRITER_LOCKS (
    WRITER VARCHAR NOT NULL COMMENT 'Serialised writer: load, or publish and the vendor',
    HOLDER VARCHAR COMMENT 'Who took it last',
    TAKEN_AT TIMESTAMP_NTZ(6) COMMENT 'When, UTC'
) COMMENT = 'One row per serialised writer; its transaction updates the row first and so waits for another writer';
CREATE TABLE IF NOT EXISTS {database}.CONTROL.RECONCILIATION (
    HOUR TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Arrival hour, UTC',
    HOP VARCHAR NOT NULL COMMENT 'Step that is compared, such as kafka_to_lake',
    EXPECTED NUMBER(19, 0) NOT NULL COMMENT 'What went in',
    ACTUAL NUMBER(19, 0) NOT NULL COMMENT 'What came out',
    EXPLAINED NUMBER(19, 0) NOT NULL COMMENT 'Part of the difference that has a reason, such as duplicates',
    DETAIL VARIANT COMMENT 'Numbers behind the comparison',
    CHECKED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'When, UTC'
) COMMENT = 'One row per hour and hop: latest result of settle_hour';
