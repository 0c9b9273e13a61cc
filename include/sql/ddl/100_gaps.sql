-- Gaps that a person accepted; the documents below gaps/ in the lake are the truth, this is where SQL finds them.
CREATE TABLE IF NOT EXISTS {database}.CONTROL.ACCEPTED_GAPS (
    ACCEPTANCE_ID VARCHAR(300) NOT NULL COMMENT 'Name of the acceptance; plans and manifests refer to it',
    TOPIC VARCHAR NOT NULL COMMENT 'Kafka topic',
    KIND VARCHAR NOT NULL COMMENT 'unplanned, unstaged or recreated',
    PLAN_SEQUENCE NUMBER(19, 0) NOT NULL COMMENT 'Plan behind which the offsets are missing; for unstaged the plan that needs them',
    TOPIC_ID VARCHAR NOT NULL COMMENT 'Id of the topic that had the offsets',
    CLUSTER_ID VARCHAR NOT NULL COMMENT 'Id of its cluster',
    NEW_TOPIC_ID VARCHAR COMMENT 'For recreated: id of the topic that took its place',
    NEW_CLUSTER_ID VARCHAR COMMENT 'For recreated: id of that topic''s cluster',
    KAFKA_PARTITION NUMBER(10, 0) NOT NULL COMMENT 'Partition',
    FIRST_OFFSET NUMBER(19, 0) NOT NULL COMMENT 'First offset that is lost',
    END_OFFSET NUMBER(19, 0) COMMENT 'First offset that is not; NULL where nobody knows',
    RECORDS NUMBER(19, 0) COMMENT 'Number of lost offsets; NULL where nobody knows',
    REASON VARCHAR NOT NULL COMMENT 'Why it was accepted',
    ACCEPTED_BY VARCHAR NOT NULL COMMENT 'Who accepted it',
    ACCEPTED_AT TIMESTAMP_NTZ(6) NOT NULL COMMENT 'When, UTC'
) COMMENT = 'One row per accepted range of offsets that Kafka lost';
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE {database}.CONTROL.ACCEPTED_GAPS TO ROLE {database}_LOADER;
