-- name: offer
INSERT INTO PUBLISH.AMPLITUDE_OUTBOX (
    INSERT_ID, USER_PSEUDONYM, DEVICE_PSEUDONYM, EVENT_NAME, EVENT_TIME_MS, PLATFORM, APP_VERSION, OS_NAME, OS_VERSION,
    DEVICE_MODEL, LANGUAGE, COUNTRY, EVENT_PROPERTIES, USER_PROPERTIES, SOURCE_ID, EVENT_ID, OCCURRED_ON, PUBLISHED_AT,
    UNFIT
)
SELECT
    INSERT_ID, USER_PSEUDONYM, DEVICE_PSEUDONYM, EVENT_NAME, EVENT_TIME_MS, PLATFORM, APP_VERSION, OS_NAME, OS_VERSION,
    DEVICE_MODEL, LANGUAGE, COUNTRY, EVENT_PROPERTIES, USER_PROPERTIES, SOURCE_ID, EVENT_ID, OCCURRED_ON,
    %(published_at)s, UNFIT
FROM (
SELECT
    due.*,
    -- What Amplitude takes from nobody (HTTP V2 API: keys for the event argument, reserved names, limits of properties).
    -- Exact but for the depth: more than 40 brackets are taken for it, wherever they are.
    CASE
        WHEN EVENT_TIME_MS < 0 THEN 'time: before 1970'
        WHEN USER_PSEUDONYM IS NULL AND DEVICE_PSEUDONYM IS NULL THEN 'user_id, device_id: neither is there'
        WHEN EVENT_NAME IN (
            '[Amplitude] Start Session', '[Amplitude] End Session', '[Amplitude] Revenue',
            '[Amplitude] Revenue (Verified)', '[Amplitude] Revenue (Unverified)', '[Amplitude] Merged User'
        ) THEN 'event_type: a name that Amplitude keeps for itself'
        WHEN LENGTH(PROPERTIES) - LENGTH(REPLACE(REPLACE(PROPERTIES, '{{', ''), '[', '')) > 40
        THEN 'properties: deeper than 40 levels'
        WHEN LENGTH(PROPERTIES) <= 1024 THEN NULL
        WHEN REGEXP_LIKE(
            PROPERTIES,
            $$.*[{{,:\[]"([^"\\]|\\.){{255,255}}([^"\\]|\\.){{255,255}}([^"\\]|\\.){{255,255}}([^"\\]|\\.){{255,255}}([^"\\]|\\.){{5,5}}.*$$
        ) THEN 'properties: a text of more than 1,024 characters'
    END AS UNFIT
FROM (
SELECT
    e.SOURCE_ID || ':' || e.EVENT_ID AS INSERT_ID, u.PSEUDONYM AS USER_PSEUDONYM, v.PSEUDONYM AS DEVICE_PSEUDONYM,
    e.EVENT_NAME, DATE_PART(EPOCH_MILLISECOND, COALESCE(e.CORRECTED_AT, e.RECEIVED_AT)) AS EVENT_TIME_MS, e.PLATFORM,
    e.APP_VERSION, e.OS_NAME, e.OS_VERSION, e.DEVICE_MODEL, e.LOCALE AS LANGUAGE, e.COUNTRY,
    OBJECT_PICK(e.EVENT_PROPERTIES, %(event_properties)s) AS EVENT_PROPERTIES,
    OBJECT_PICK(e.USER_PROPERTIES, %(user_properties)s) AS USER_PROPERTIES,
    COALESCE(TO_JSON(OBJECT_PICK(e.EVENT_PROPERTIES, %(event_properties)s)), '')
        || COALESCE(TO_JSON(OBJECT_PICK(e.USER_PROPERTIES, %(user_properties)s)), '') AS PROPERTIES,
    e.SOURCE_ID, e.EVENT_ID, e.OCCURRED_ON
FROM PUBLISH.OUTBOX o
JOIN CORE.EVENTS e ON e.OCCURRED_ON = o.OCCURRED_ON AND e.SOURCE_ID = o.SOURCE_ID AND e.EVENT_ID = o.EVENT_ID
LEFT JOIN PUBLISH.PSEUDONYMS u
ON u.VENDOR = %(vendor)s AND u.KIND = 'user' AND u.IDENTIFIER = e.USER_ID AND u.KEY_VERSION = %(key_version)s
LEFT JOIN PUBLISH.PSEUDONYMS v
ON v.VENDOR = %(vendor)s AND v.KIND = 'device' AND v.IDENTIFIER = e.DEVICE_ID AND v.KEY_VERSION = %(key_version)s
LEFT JOIN PUBLISH.SUPPRESSIONS su ON su.KIND = 'user' AND su.IDENTIFIER = e.USER_ID
LEFT JOIN PUBLISH.SUPPRESSIONS sd ON sd.KIND = 'device' AND sd.IDENTIFIER = e.DEVICE_ID
LEFT JOIN PUBLISH.DELIVERIES d
ON d.VENDOR = %(vendor)s AND d.OCCURRED_ON IN ({dates})
AND d.OCCURRED_ON = e.OCCURRED_ON AND d.SOURCE_ID = e.SOURCE_ID AND d.EVENT_ID = e.EVENT_ID
WHERE o.LOAD_ID IN (%(load_ids)s)
AND e.OCCURRED_ON IN ({dates})
AND e.CONSENT:{purpose}::VARCHAR = 'true' AND TYPEOF(e.CONSENT:{purpose}) = 'BOOLEAN'
AND su.IDENTIFIER IS NULL AND sd.IDENTIFIER IS NULL AND d.EVENT_ID IS NULL
) due
) judged
QUALIFY ROW_NUMBER() OVER (PARTITION BY SOURCE_ID, EVENT_ID ORDER BY IFF(UNFIT IS NULL, 0, 1), OCCURRED_ON) = 1;

-- name: to_push
SELECT
    v."user_id", v."device_id", v."event_type", v."time", v."event_properties", v."user_properties", v."insert_id",
    v."platform", v."app_version", v."os_name", v."os_version", v."device_model", v."language", v."country"
FROM PUBLISH.AMPLITUDE_EVENTS v
JOIN PUBLISH.DELIVERIES d ON d.VENDOR = 'amplitude' AND d.INSERT_ID = v."insert_id"
WHERE d.TAKEN_AT IS NULL AND d.REFUSED_AT IS NULL
ORDER BY v."update_time_column", v."insert_id"
LIMIT %(limit)s;
