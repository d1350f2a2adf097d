-- What a program signs in with, by the SHA-256 of its secret. It dies with its owner's account.
CREATE TABLE api_token (
    id             UUID    PRIMARY KEY,
    hash           BYTEA   NOT NULL UNIQUE,
    user_id        UUID    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    name           TEXT    NOT NULL,
    -- a JSON array of rights; what its owner's role lacks counts for nothing
    scopes         TEXT    NOT NULL,
    created_at     BIGINT  NOT NULL,
    expires_at     BIGINT  NOT NULL,
    last_used_at   BIGINT,
    last_used_from TEXT
);
CREATE INDEX api_token_of_user ON api_token (user_id);

-- Answers to requests that may be sent again, until a day has passed.
CREATE TABLE idempotency (
    -- SHA-256 of the caller's credential and its key
    key_hash     BYTEA   PRIMARY KEY,
    -- names the credential, so that one caller cannot fill the table
    caller       BYTEA   NOT NULL,
    request_hash BYTEA   NOT NULL,
    -- sealed under a key made from the credential, for it may hold a secret; absent while the request runs
    response     BYTEA,
    created_at   BIGINT  NOT NULL
);
CREATE INDEX idempotency_of_caller ON idempotency (caller, created_at);
CREATE INDEX idempotency_by_age ON idempotency (created_at);

CREATE TABLE webhook (
    id          UUID    PRIMARY KEY,
    name        TEXT    NOT NULL,
    url         TEXT    NOT NULL,
    -- a JSON array of patterns ("device.*"); empty for everything
    events      TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    -- of its signing secret, which is made from the server's key and stored nowhere
    generation  BIGINT  NOT NULL,
    created_by  TEXT    NOT NULL,
    created_at  BIGINT  NOT NULL,
    -- deliveries given up because too many waited or because a day had passed
    dropped     BIGINT  NOT NULL DEFAULT 0,
    last_at     BIGINT,
    -- HTTP status of the last answer; absent when there was none
    last_status BIGINT,
    last_error  TEXT
);

-- Written in the transaction of the change it tells of; a row goes when it was delivered or given up.
CREATE TABLE webhook_delivery (
    id         UUID    PRIMARY KEY,
    webhook_id UUID    NOT NULL REFERENCES webhook (id) ON DELETE CASCADE,
    event      TEXT    NOT NULL,
    body       TEXT    NOT NULL,
    created_at BIGINT  NOT NULL,
    attempts   BIGINT  NOT NULL,
    due_at     BIGINT  NOT NULL
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (due_at);
CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id);
