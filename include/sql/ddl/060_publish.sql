-- What vendors may see, and what they were given.
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.OUTBOX (
    LOAD_ID VARCHAR(300) NOT NULL COMMENT 'Load that brought the event',
    SOURCE_ID VARCHAR(63) NOT NULL COMMENT 'Key of EVENTS',
    EVENT_ID VARCHAR(255) NOT NULL COMMENT 'Key of EVENTS',
    OCCURRED_ON DATE NOT NULL COMMENT 'Key of EVENTS',
    LOADED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'When the load was committed, UTC'
) CLUSTER BY (LOADED_AT) COMMENT = 'New events in load order, written with them';
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.PUBLICATIONS (
    VENDOR VARCHAR NOT NULL COMMENT 'Destination',
    LOAD_ID VARCHAR(300) NOT NULL COMMENT 'Load that was offered',
    PUBLISHED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Watermark of the publication, strictly increasing per vendor',
    EVENTS_LOADED NUMBER(19, 0) NOT NULL COMMENT 'New events of the load',
    EVENTS_OFFERED NUMBER(19, 0) NOT NULL COMMENT 'Of them offered; the rest lack consent, are suppressed, are unfit for the vendor or were offered before'
) COMMENT = 'Loads offered to a vendor';
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.WATERMARKS (
    VENDOR VARCHAR NOT NULL COMMENT 'Destination',
    PUBLISHED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'The vendor''s view shows rows up to here'
) COMMENT = 'The publish gate: one row per vendor';
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.DELIVERIES (
    VENDOR VARCHAR NOT NULL COMMENT 'Destination',
    SOURCE_ID VARCHAR(63) NOT NULL COMMENT 'Key of EVENTS',
    EVENT_ID VARCHAR(255) NOT NULL COMMENT 'Key of EVENTS',
    OCCURRED_ON DATE NOT NULL COMMENT 'Key of EVENTS',
    INSERT_ID VARCHAR NOT NULL COMMENT 'Id under which the vendor knows the event',
    OFFERED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Became available to the vendor',
    TAKEN_AT TIMESTAMP_NTZ(6) COMMENT 'The vendor answered that it accepted it (push)',
    REFUSED_AT TIMESTAMP_NTZ(6) COMMENT 'The vendor answered that it never will (push)',
    REFUSAL VARCHAR COMMENT 'Why it refused',
    CONFIRMED_AT TIMESTAMP_NTZ(6) COMMENT 'Seen in the vendor''s export'
) CLUSTER BY (OCCURRED_ON) COMMENT = 'Delivery memory per vendor and event, longer than any vendor''s own dedupe';
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.PSEUDONYMS (
    VENDOR VARCHAR NOT NULL COMMENT 'Destination; each sees other pseudonyms',
    KIND VARCHAR NOT NULL COMMENT 'user or device',
    IDENTIFIER VARCHAR(255) NOT NULL COMMENT 'Our identifier',
    PSEUDONYM VARCHAR(64) NOT NULL COMMENT 'HMAC-SHA256 as hex; the key never enters Snowflake',
    KEY_VERSION NUMBER(10, 0) NOT NULL COMMENT 'Version of that key'
) COMMENT = 'Identifiers as a vendor may see them';
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.SUPPRESSIONS (
    KIND VARCHAR NOT NULL COMMENT 'user or device',
    IDENTIFIER VARCHAR(255) NOT NULL COMMENT 'Our identifier',
    REASON VARCHAR NOT NULL COMMENT 'Such as consent withdrawn',
    SUPPRESSED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Since when, UTC'
) COMMENT = 'Whoever must not reach a vendor any more, checked at publish time';
CREATE TABLE IF NOT EXISTS {database}.PUBLISH.AMPLITUDE_OUTBOX (
    INSERT_ID VARCHAR NOT NULL COMMENT 'source_id:event_id',
    USER_PSEUDONYM VARCHAR(64) COMMENT 'Pseudonym of the person',
    DEVICE_PSEUDONYM VARCHAR(64) COMMENT 'Pseudonym of the device',
    EVENT_NAME VARCHAR(255) NOT NULL COMMENT 'What happened',
    EVENT_TIME_MS NUMBER(19, 0) NOT NULL COMMENT 'Corrected event time, epoch milliseconds',
    PLATFORM VARCHAR COMMENT 'Platform',
    APP_VERSION VARCHAR COMMENT 'Version of the application',
    OS_NAME VARCHAR COMMENT 'Operating system',
    OS_VERSION VARCHAR COMMENT 'Version of the operating system',
    DEVICE_MODEL VARCHAR COMMENT 'Model of the phone, browser or car',
    LANGUAGE VARCHAR COMMENT 'Locale of the client',
    COUNTRY VARCHAR COMMENT 'Country',
    EVENT_PROPERTIES VARIANT COMMENT 'Allowed properties of the event',
    USER_PROPERTIES VARIANT COMMENT 'Allowed properties of the person',
    SOURCE_ID VARCHAR(63) NOT NULL COMMENT 'Key of EVENTS',
    EVENT_ID VARCHAR(255) NOT NULL COMMENT 'Key of EVENTS',
    OCCURRED_ON DATE NOT NULL COMMENT 'Key of EVENTS',
    PUBLISHED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'Watermark of the publication'
) CLUSTER BY (PUBLISHED_AT) CHANGE_TRACKING = TRUE DATA_RETENTION_TIME_IN_DAYS = 7
  COMMENT = 'What Amplitude may see; insert-only, never recreated';
ALTER TABLE {database}.PUBLISH.AMPLITUDE_OUTBOX ADD COLUMN IF NOT EXISTS UNFIT VARCHAR
    COMMENT 'Why Amplitude takes no such event by its own rules; such a row is in no view and DELIVERIES has it as refused';
CREATE OR REPLACE VIEW {database}.PUBLISH.AMPLITUDE_EVENTS COMMENT = 'Polled by Amplitude''s importer: rows up to the watermark' AS
SELECT
    o.USER_PSEUDONYM AS "user_id",
    o.DEVICE_PSEUDONYM AS "device_id",
    o.EVENT_NAME AS "event_type",
    o.EVENT_TIME_MS AS "time",
    o.EVENT_PROPERTIES AS "event_properties",
    o.USER_PROPERTIES AS "user_properties",
    o.INSERT_ID AS "insert_id",
    o.PLATFORM AS "platform",
    o.APP_VERSION AS "app_version",
    o.OS_NAME AS "os_name",
    o.OS_VERSION AS "os_version",
    o.DEVICE_MODEL AS "device_model",
    o.LANGUAGE AS "language",
    o.COUNTRY AS "country",
    o.PUBLISHED_AT AS "update_time_column"
FROM {database}.PUBLISH.AMPLITUDE_OUTBOX o
JOIN {database}.PUBLISH.WATERMARKS w ON w.VENDOR = 'amplitude' AND o.PUBLISHED_AT <= w.PUBLISHED_AT
WHERE o.UNFIT IS NULL;
