-- Times are Unix milliseconds, ids UUIDv7 made by the program, addresses canonical text, secrets only as SHA-256.

CREATE TABLE network (
    id             UUID    PRIMARY KEY,
    name           TEXT    NOT NULL,
    signing_public BYTEA   NOT NULL,
    v4             TEXT    NOT NULL,
    v6             TEXT    NOT NULL,
    -- what `run` last told the world its host is; lets `key create` work without being told
    public_host    TEXT,
    -- "host:port" of the control plane, as `public_host`
    control_addr   TEXT,
    -- base of the dashboard's links, as `public_host`
    web_url        TEXT,
    -- of the newest change_log row; the row lock also puts the writers in one order on PostgreSQL
    revision       BIGINT  NOT NULL DEFAULT 0,
    -- there is one network: this column can have one value, once
    only_one       BIGINT  NOT NULL DEFAULT 1 UNIQUE CHECK (only_one = 1),
    created_at     BIGINT  NOT NULL
);

CREATE TABLE admin_user (
    id            UUID    PRIMARY KEY,
    name          TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    signed_in_at  BIGINT
);

CREATE TABLE session (
    token_hash   BYTEA   PRIMARY KEY,
    user_id      UUID    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    csrf         BYTEA   NOT NULL,
    created_at   BIGINT  NOT NULL,
    last_seen_at BIGINT  NOT NULL,
    address      TEXT    NOT NULL DEFAULT '',
    user_agent   TEXT    NOT NULL DEFAULT ''
);
CREATE INDEX session_of_user ON session (user_id);

CREATE TABLE setup_token (
    hash       BYTEA   PRIMARY KEY,
    created_at BIGINT  NOT NULL,
    expires_at BIGINT  NOT NULL,
    used_at    BIGINT
);

CREATE TABLE invite (
    id           UUID    PRIMARY KEY,
    hash         BYTEA   NOT NULL UNIQUE,
    reusable     BOOLEAN NOT NULL,
    tags         TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   BIGINT  NOT NULL,
    expires_at   BIGINT,
    used_count   BIGINT  NOT NULL DEFAULT 0,
    last_used_at BIGINT,
    revoked_at   BIGINT
);

CREATE TABLE device (
    id            UUID    PRIMARY KEY,
    name          TEXT    NOT NULL,
    hostname      TEXT    NOT NULL,
    identity_key  BYTEA   NOT NULL,
    static_key    BYTEA   NOT NULL,
    v4            TEXT    NOT NULL,
    v6            TEXT    NOT NULL,
    certificate   BYTEA   NOT NULL,
    epoch         BIGINT  NOT NULL,
    not_after     BIGINT  NOT NULL,
    tags          TEXT    NOT NULL,
    os            TEXT    NOT NULL,
    agent_version TEXT    NOT NULL,
    -- 'active', 'logged-out' or 'revoked'
    state         TEXT    NOT NULL,
    invite_id     UUID    REFERENCES invite (id),
    created_at    BIGINT  NOT NULL,
    last_seen_at  BIGINT,
    ended_at      BIGINT
);
CREATE UNIQUE INDEX device_name ON device (name) WHERE state = 'active';
CREATE UNIQUE INDEX device_identity ON device (identity_key) WHERE state = 'active';
CREATE UNIQUE INDEX device_static ON device (static_key) WHERE state = 'active';

CREATE TABLE address (
    address      TEXT    PRIMARY KEY,
    device_id    UUID    NOT NULL REFERENCES device (id),
    allocated_at BIGINT  NOT NULL
);
CREATE INDEX address_device ON address (device_id);

CREATE TABLE change_log (
    revision BIGINT  PRIMARY KEY,
    kind     TEXT    NOT NULL,
    subject  UUID    NOT NULL,
    at       BIGINT  NOT NULL
);

CREATE TABLE audit (
    id      UUID    PRIMARY KEY,
    at      BIGINT  NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
CREATE INDEX audit_at ON audit (at);
