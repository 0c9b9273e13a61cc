-- name: forget
DELETE FROM CONTROL.RECONCILIATION WHERE HOUR = %(hour)s;

-- name: insert
INSERT INTO CONTROL.RECONCILIATION (HOUR, HOP, EXPECTED, ACTUAL, EXPLAINED, DETAIL, CHECKED_AT)
SELECT %(hour)s, %(hop)s, %(expected)s, %(actual)s, %(explained)s, PARSE_JSON(%(detail)s), SYSDATE();
