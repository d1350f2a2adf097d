-- until when a server is telling it something: of several servers one does, one message at a time
ALTER TABLE webhook ADD COLUMN busy_until BIGINT NOT NULL DEFAULT 0;

-- the newest attempts to tell a webhook, of messages that were delivered too
CREATE TABLE webhook_attempt (
    id          UUID    PRIMARY KEY,
    webhook_id  UUID    NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    -- the message, which may have been tried before
    delivery_id UUID    NOT NULL,
    event       TEXT    NOT NULL,
    at          BIGINT  NOT NULL,
    -- HTTP status of the answer; absent when there was none
    status      BIGINT,
    -- absent when it went well
    error       TEXT,
    took_ms     BIGINT  NOT NULL
);
CREATE INDEX webhook_attempt_of ON webhook_attempt (webhook_id, id);
