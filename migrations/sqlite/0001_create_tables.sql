-- Times are Unix milliseconds, ids UUIDv7 made by the program, addresses canonical text, secrets only as SHA-256.

CREATE TABLE network (
    id             BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name           TEXT    NOT NULL,
    signing_public BLOB    NOT NULL CHECK (length(signing_public) = 32),
    v4             TEXT    NOT NULL,
    v6             TEXT    NOT NULL,
    -- what `run` last told the world its host is; lets `key create` work without being told
    public_host    TEXT,
    -- "host:port" of the control plane, as `public_host`
    control_addr   TEXT,
    -- base of the dashboard's links, as `public_host`
    web_url        TEXT,
    -- of the newest change_log row; the row lock also puts the writers in one order on PostgreSQL
    revision       INTEGER NOT NULL DEFAULT 0,
    -- there is one network: this column can have one value, once
    only_one       INTEGER NOT NULL DEFAULT 1 UNIQUE CHECK (only_one = 1),
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE admin_user (
    id            BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name          TEXT    NOT NULL UNIQUE,
    password_hash TEXT    NOT NULL,
    role          TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    signed_in_at  INTEGER
) STRICT;

CREATE TABLE session (
    token_hash   BLOB    PRIMARY KEY NOT NULL CHECK (length(token_hash) = 32),
    user_id      BLOB    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    csrf         BLOB    NOT NULL CHECK (length(csrf) = 32),
    created_at   INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL,
    address      TEXT    NOT NULL DEFAULT '',
    user_agent   TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX session_of_user ON session (user_id);

CREATE TABLE setup_token (
    hash       BLOB    PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER
) STRICT;

CREATE TABLE invite (
    id           BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hash         BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    reusable     INTEGER NOT NULL,
    tags         TEXT    NOT NULL,
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    used_count   INTEGER NOT NULL DEFAULT 0,
    last_used_at INTEGER,
    revoked_at   INTEGER
) STRICT;

CREATE TABLE device (
    id            BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name          TEXT    NOT NULL,
    hostname      TEXT    NOT NULL,
    identity_key  BLOB    NOT NULL CHECK (length(identity_key) = 32),
    static_key    BLOB    NOT NULL CHECK (length(static_key) = 32),
    v4            TEXT    NOT NULL,
    v6            TEXT    NOT NULL,
    certificate   BLOB    NOT NULL,
    epoch         INTEGER NOT NULL,
    not_after     INTEGER NOT NULL,
    tags          TEXT    NOT NULL,
    os            TEXT    NOT NULL,
    agent_version TEXT    NOT NULL,
    -- 'active', 'logged-out' or 'revoked'
    state         TEXT    NOT NULL,
    invite_id     BLOB    REFERENCES invite (id),
    created_at    INTEGER NOT NULL,
    last_seen_at  INTEGER,
    ended_at      INTEGER
) STRICT;
CREATE UNIQUE INDEX device_name ON device (name) WHERE state = 'active';
CREATE UNIQUE INDEX device_identity ON device (identity_key) WHERE state = 'active';
CREATE UNIQUE INDEX device_static ON device (static_key) WHERE state = 'active';

CREATE TABLE address (
    address      TEXT    PRIMARY KEY NOT NULL,
    device_id    BLOB    NOT NULL REFERENCES device (id),
    allocated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX address_device ON address (device_id);

CREATE TABLE change_log (
    revision INTEGER PRIMARY KEY NOT NULL,
    kind     TEXT    NOT NULL,
    subject  BLOB    NOT NULL CHECK (length(subject) = 16),
    at       INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
    id      BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    at      INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
