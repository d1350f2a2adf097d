-- What a program signs in with, by the SHA-256 of its secret. It dies with its owner's account.
CREATE TABLE api_token (
    id             BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hash           BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    user_id        BLOB    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    name           TEXT    NOT NULL,
    -- a JSON array of rights; what its owner's role lacks counts for nothing
    scopes         TEXT    NOT NULL,
    created_at     INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL,
    last_used_at   INTEGER,
    last_used_from TEXT
) STRICT;
CREATE INDEX api_token_of_user ON api_token (user_id);

-- Answers to requests that may be sent again, until a day has passed.
CREATE TABLE idempotency (
    -- SHA-256 of the caller's credential and its key
    key_hash     BLOB    PRIMARY KEY NOT NULL CHECK (length(key_hash) = 32),
    -- names the credential, so that one caller cannot fill the table
    caller       BLOB    NOT NULL CHECK (length(caller) = 32),
    request_hash BLOB    NOT NULL CHECK (length(request_hash) = 32),
    -- sealed under a key made from the credential, for it may hold a secret; absent while the request runs
    response     BLOB,
    created_at   INTEGER NOT NULL
) STRICT;
CREATE INDEX idempotency_of_caller ON idempotency (caller, created_at);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE webhook (
    id          BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name        TEXT    NOT NULL,
    url         TEXT    NOT NULL,
    -- a JSON array of patterns ("device.*"); empty for everything
    events      TEXT    NOT NULL,
    enabled     INTEGER NOT NULL,
    -- of its signing secret, which is made from the server's key and stored nowhere
    generation  INTEGER NOT NULL,
    created_by  TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    -- deliveries given up because too many waited or because a day had passed
    dropped     INTEGER NOT NULL DEFAULT 0,
    last_at     INTEGER,
    -- HTTP status of the last answer; absent when there was none
    last_status INTEGER,
    last_error  TEXT
) STRICT;

-- Written in the transaction of the change it tells of; a row goes when it was delivered or given up.
CREATE TABLE webhook_delivery (
    id         BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    webhook_id BLOB    NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    attempts   INTEGER NOT NULL,
    due_at     INTEGER NOT NULL
) STRICT;
CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at);
CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id);
