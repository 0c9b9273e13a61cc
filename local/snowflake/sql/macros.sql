-- Functions of Snowflake on VARIANT, as DuckDB macros over JSON. Called by local/snowflake/transforms/variant.py.

-- Text of a value: a string in a VARIANT without JSON's quotes, anything else as DuckDB casts it.
CREATE OR REPLACE MACRO _fs_global.main.fs_text(v) AS
  CASE WHEN typeof(v) = 'JSON' THEN TRY_CAST(v AS JSON) ->> '$' ELSE CAST(v AS VARCHAR) END;

CREATE OR REPLACE MACRO _fs_global.main.fs_texts(v) AS CAST(v AS VARCHAR[]);

CREATE OR REPLACE MACRO _fs_global.main.fs_typeof(v) AS
  CASE json_type(v)
    WHEN 'NULL' THEN 'NULL_VALUE' WHEN 'UBIGINT' THEN 'INTEGER' WHEN 'BIGINT' THEN 'INTEGER'
    WHEN 'HUGEINT' THEN 'INTEGER' WHEN 'DOUBLE' THEN 'DECIMAL' ELSE json_type(v) END;

CREATE OR REPLACE MACRO _fs_global.main.fs_path(k) AS '$."' || k || '"';

CREATE OR REPLACE MACRO _fs_global.main.fs_object(ks, vs) AS
  CAST(to_json(map_from_entries(list_filter(list_zip(ks, vs), lambda e: e[1] IS NOT NULL AND e[2] IS NOT NULL))) AS JSON);

CREATE OR REPLACE MACRO _fs_global.main.fs_object_keep_null(ks, vs) AS
  CAST(to_json(map_from_entries(list_filter(list_zip(ks, vs), lambda e: e[1] IS NOT NULL))) AS JSON);

CREATE OR REPLACE MACRO _fs_global.main.fs_object_pick(v, ks) AS
  CASE WHEN json_type(v) = 'OBJECT' THEN
    _fs_global.main.fs_object(ks, list_transform(ks, lambda k: json_extract(v, _fs_global.main.fs_path(k)))) END;

CREATE OR REPLACE MACRO _fs_global.main.fs_object_delete(v, ks) AS
  CASE WHEN json_type(v) = 'OBJECT' THEN
    _fs_global.main.fs_object(
      list_filter(json_keys(v), lambda k: NOT list_contains(ks, k)),
      list_transform(list_filter(json_keys(v), lambda k: NOT list_contains(ks, k)), lambda k: json_extract(v, _fs_global.main.fs_path(k)))
    ) END;

CREATE OR REPLACE MACRO _fs_global.main.fs_object_insert(v, k, x, overwrite) AS
  CASE
    WHEN json_type(v) <> 'OBJECT' THEN NULL
    WHEN NOT overwrite AND json_exists(v, _fs_global.main.fs_path(k)) THEN error('Duplicate field key ''' || k || '''')
    WHEN x IS NULL THEN v
    ELSE _fs_global.main.fs_object(
      list_append(list_filter(json_keys(v), lambda e: e <> k), k),
      list_append(
        list_transform(list_filter(json_keys(v), lambda e: e <> k), lambda e: json_extract(v, _fs_global.main.fs_path(e))), x))
  END;

CREATE OR REPLACE MACRO _fs_global.main.fs_object_keys(v) AS
  CASE WHEN json_type(v) = 'OBJECT' THEN to_json(list_sort(json_keys(v))) END;

CREATE OR REPLACE MACRO _fs_global.main.fs_array_contains(x, v) AS
  CASE WHEN json_type(v) = 'ARRAY' THEN list_contains(CAST(v AS JSON[]), x) END;

CREATE OR REPLACE MACRO _fs_global.main.fs_divisor(n) AS CASE WHEN n = 0 THEN error('Division by zero') ELSE n END;

CREATE OR REPLACE MACRO _fs_global.main.fs_try_timestamp(v) AS TRY_CAST(v AS TIMESTAMP);
