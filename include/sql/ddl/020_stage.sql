-- The lake as an external stage; on a real account access comes from a storage integration.
CREATE FILE FORMAT IF NOT EXISTS {database}.LANDING.PARQUET_FILES TYPE = PARQUET USE_LOGICAL_TYPE = TRUE;
CREATE STAGE IF NOT EXISTS {database}.LANDING.LAKE URL = '{lake_url}' {stage_access} COMMENT = 'The lake, read by manifest';
