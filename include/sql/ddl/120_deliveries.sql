-- What a vendor confirmed lands as a file; what a vendor never takes by its own rules is remembered without an offer.
CREATE TABLE IF NOT EXISTS {database}.LANDING.CONFIRMED_TEMPLATE (INSERT_ID VARCHAR)
    COMMENT = 'Shape of a landing table for ids that a vendor confirmed; always empty';
GRANT SELECT ON TABLE {database}.LANDING.CONFIRMED_TEMPLATE TO ROLE {database}_LOADER;
GRANT UPDATE ON TABLE {database}.PUBLISH.DELIVERIES TO ROLE {database}_LOADER;
ALTER TABLE {database}.PUBLISH.DELIVERIES ALTER COLUMN OFFERED_AT DROP NOT NULL;
COMMENT ON COLUMN {database}.PUBLISH.DELIVERIES.OFFERED_AT IS 'Became available to the vendor; empty where it never did, because the vendor takes no such event';
COMMENT ON COLUMN {database}.PUBLISH.DELIVERIES.REFUSED_AT IS 'The vendor answered that it never will (push), or its documented rules say so: then it was not offered';
COMMENT ON COLUMN {database}.PUBLISH.DELIVERIES.REFUSAL IS 'Why; of what was not offered it begins with the word unfit';
COMMENT ON COLUMN {database}.CONTROL.LOADS.KIND IS 'load, reload, restate, publish, or recovered: loaded again because its row was gone; empty means load';
