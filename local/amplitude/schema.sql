CREATE TABLE IF NOT EXISTS events (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    insert_id TEXT,
    device_id TEXT NOT NULL,
    server_upload_time_ms INTEGER NOT NULL,
    via TEXT NOT NULL,
    event TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_insert_id ON events (insert_id);
CREATE INDEX IF NOT EXISTS events_by_upload_time ON events (server_upload_time_ms);
CREATE TABLE IF NOT EXISTS seen (
    device_id TEXT NOT NULL,
    insert_id TEXT NOT NULL,
    server_upload_time_ms INTEGER NOT NULL,
    PRIMARY KEY (device_id, insert_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS import_cursor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    update_time TEXT NOT NULL
);
