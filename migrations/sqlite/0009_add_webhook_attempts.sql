-- until when a server is telling it something: of several servers one does, one message at a time
ALTER TABLE webhook ADD COLUMN busy_until INTEGER NOT NULL DEFAULT 0;

-- the newest attempts to tell a webhook, of messages that were delivered too
CREATE TABLE webhook_attempt (
    id          BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    webhook_id  BLOB    NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    -- the message, which may have been tried before
    delivery_id BLOB    NOT NULL CHECK (length(delivery_id) = 16),
    event       TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    -- HTTP status of the answer; absent when there was none
    status      INTEGER,
    -- absent when it went well
    error       TEXT,
    took_ms     INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_attempt_of ON webhook_attempt (webhook_id, id);
