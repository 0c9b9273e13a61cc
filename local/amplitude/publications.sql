SELECT "update_time_column" AS "update_time", COUNT(*) AS "rows"
FROM ANALYTICS.PUBLISH.AMPLITUDE_EVENTS
WHERE "update_time_column" {operator} %(cursor)s::TIMESTAMP_NTZ
GROUP BY "update_time_column"
ORDER BY "update_time_column"
