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
    id            BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    -- eight letters that a person types
    code          TEXT    NOT NULL UNIQUE,
    identity_key  BLOB    NOT NULL UNIQUE CHECK (length(identity_key) = 32),
    static_key    BLOB    NOT NULL CHECK (length(static_key) = 32),
    hostname      TEXT    NOT NULL,
    os            TEXT    NOT NULL,
    agent_version TEXT    NOT NULL,
    address       TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    -- 'waiting', 'approved' or 'denied'
    state         TEXT    NOT NULL,
    -- what it became
    device_id     BLOB    REFERENCES device (id)
) STRICT;
CREATE INDEX enrolment_end ON enrolment (expires_at);
CREATE INDEX enrolment_address ON enrolment (address);
