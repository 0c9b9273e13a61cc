-- What an account needs around `python -m include.migrate`; run by a person with ACCOUNTADMIN, parts in <> filled in.
-- Not run on a real account yet.

-- 1. Before the migration: how Snowflake may read the lake. DESC shows AZURE_CONSENT_URL (open it once) and
-- AZURE_MULTI_TENANT_APP_NAME (give that application the role "Storage Blob Data Reader" on the container).
-- The migration gets the name as MIGRATE_STORAGE_INTEGRATION.
CREATE STORAGE INTEGRATION IF NOT EXISTS EVENTS_LAKE
    TYPE = EXTERNAL_STAGE
    STORAGE_PROVIDER = 'AZURE'
    ENABLED = TRUE
    AZURE_TENANT_ID = '<tenant id>'
    STORAGE_ALLOWED_LOCATIONS = ('azure://<account>.blob.core.windows.net/lake/');
DESC STORAGE INTEGRATION EVENTS_LAKE;

-- 2. After the migration: the pipeline's user. One connection loads and publishes, so its role has both.
CREATE ROLE IF NOT EXISTS ANALYTICS_PIPELINE COMMENT = 'Airflow: loads, settles and publishes';
GRANT ROLE ANALYTICS_LOADER TO ROLE ANALYTICS_PIPELINE;
GRANT ROLE ANALYTICS_PUBLISHER TO ROLE ANALYTICS_PIPELINE;
CREATE USER IF NOT EXISTS PIPELINE
    TYPE = SERVICE
    DEFAULT_ROLE = ANALYTICS_PIPELINE
    DEFAULT_WAREHOUSE = PIPELINE_WH
    RSA_PUBLIC_KEY = '<public key without its first and last line>';
GRANT ROLE ANALYTICS_PIPELINE TO USER PIPELINE;

-- 3. Amplitude's importer sees one view. Only where PIPELINE_AMPLITUDE_MODE=gate.
CREATE USER IF NOT EXISTS AMPLITUDE_IMPORT
    TYPE = SERVICE
    DEFAULT_ROLE = ANALYTICS_AMPLITUDE
    DEFAULT_WAREHOUSE = PIPELINE_WH
    RSA_PUBLIC_KEY = '<public key that Amplitude shows>';
GRANT ROLE ANALYTICS_AMPLITUDE TO USER AMPLITUDE_IMPORT;
