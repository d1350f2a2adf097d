-- Devices that ask to be let in without an invite, what a list of invites needs, and audit lines that say from where and what changed.

ALTER TABLE invite ADD COLUMN name TEXT NOT NULL DEFAULT '';
CREATE INDEX device_of_invite ON device (invite_id);

-- where the actor was; empty for the server itself and its shell
ALTER TABLE audit ADD COLUMN address TEXT NOT NULL DEFAULT '';
-- what became of what: a JSON array of [field, before, after]
ALTER TABLE audit ADD COLUMN changes TEXT NOT NULL DEFAULT '[]';
CREATE INDEX audit_actor ON audit (actor);
CREATE INDEX audit_subject ON audit (subject);

CREATE TABLE enrolment (
    id            UUID    PRIMARY KEY,
    -- eight letters that a person types
    code          TEXT    NOT NULL UNIQUE,
    identity_key  BYTEA   NOT NULL UNIQUE,
    static_key    BYTEA   NOT NULL,
    hostname      TEXT    NOT NULL,
    os            TEXT    NOT NULL,
    agent_version TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL,
    -- 'waiting', 'approved' or 'denied'
    state         TEXT    NOT NULL,
    -- what it became
    device_id     UUID    REFERENCES device (id)
);
CREATE INDEX enrolment_end ON enrolment (expires_at);
CREATE INDEX enrolment_address ON enrolment (address);
