-- name: take_lock
UPDATE CONTROL.WRITER_LOCKS SET HOLDER = %(holder)s, TAKEN_AT = SYSDATE() WHERE WRITER = %(writer)s;

-- name: now
SELECT SYSDATE();

-- name: loaded
SELECT SEQUENCE FROM CONTROL.LOADS WHERE TOPIC = %(topic)s AND SEQUENCE >= %(from_sequence)s ORDER BY SEQUENCE;

-- name: first_missing
SELECT COALESCE(MIN(l.SEQUENCE) + 1, 1) FROM (
    SELECT 0 AS SEQUENCE UNION ALL SELECT SEQUENCE FROM CONTROL.LOADS WHERE TOPIC = %(topic)s
) l
LEFT JOIN CONTROL.LOADS n ON n.TOPIC = %(topic)s AND n.SEQUENCE = l.SEQUENCE + 1
WHERE n.SEQUENCE IS NULL;

-- name: insert
INSERT INTO CONTROL.LOADS (
    TOPIC, SEQUENCE, BATCH_ID, LOAD_ID, CONTRACT_VERSION, INTERVAL_START, INTERVAL_END, ENVELOPES, ANNOUNCED,
    ROWS_STAGED, ROWS_INSERTED, FAILED_STAGED, FAILED_INSERTED, UNPARSED, LOADED_AT
) VALUES (
    %(topic)s, %(sequence)s, %(batch_id)s, %(load_id)s, %(contract_version)s, %(interval_start)s, %(interval_end)s,
    %(envelopes)s, %(announced)s, %(rows_staged)s, %(rows_inserted)s, %(failed_staged)s, %(failed_inserted)s,
    %(unparsed)s, %(loaded_at)s
);
