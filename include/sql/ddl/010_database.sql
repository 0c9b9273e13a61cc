-- Database, schemas and the warehouse that the pipeline runs on.
CREATE DATABASE IF NOT EXISTS {database} COMMENT = 'Product analytics: one central copy of every event';
CREATE SCHEMA IF NOT EXISTS {database}.CORE COMMENT = 'Events and failed events, for analysts';
CREATE SCHEMA IF NOT EXISTS {database}.LANDING COMMENT = 'External stage and short-lived landing tables of loads';
CREATE SCHEMA IF NOT EXISTS {database}.CONTROL COMMENT = 'Ledger, locks and reconciliation of the pipeline';
CREATE SCHEMA IF NOT EXISTS {database}.PUBLISH COMMENT = 'What vendors may see, and what they were given';
CREATE WAREHOUSE IF NOT EXISTS {warehouse} WAREHOUSE_SIZE = 'XSMALL' AUTO_SUSPEND = 60 AUTO_RESUME = TRUE COMMENT = 'Loads and publications';
