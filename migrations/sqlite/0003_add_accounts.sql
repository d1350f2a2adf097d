-- Roles, ways to sign in, and whose a device is. A password hash of '' belongs to somebody who signs in without one.

ALTER TABLE admin_user ADD COLUMN disabled_at INTEGER;
-- Sealed under a key that is not in the database; NULL while no authenticator app is set up.
ALTER TABLE admin_user ADD COLUMN totp_secret BLOB;
-- The newest time step of which a code was taken, so that none works twice.
ALTER TABLE admin_user ADD COLUMN totp_step INTEGER NOT NULL DEFAULT 0;

-- The person whose invite or approval enrolled it; nobody's where that was done at the server's shell.
ALTER TABLE invite ADD COLUMN owner_id BLOB REFERENCES admin_user (id) ON DELETE SET NULL;
ALTER TABLE device ADD COLUMN owner_id BLOB REFERENCES admin_user (id) ON DELETE SET NULL;
CREATE INDEX device_of_owner ON device (owner_id);

-- Links that make an account of a role, or that give an account another password.
CREATE TABLE account_link (
    id            BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    hash          BLOB    NOT NULL UNIQUE CHECK (length(hash) = 32),
    -- of the account to be made; NULL in a reset link
    role          TEXT,
    -- whose password is reset; NULL in an invite link
    user_id       BLOB    REFERENCES admin_user (id) ON DELETE CASCADE,
    -- whether using it removes passkeys and the authenticator app
    drops_factors INTEGER NOT NULL DEFAULT 0,
    note          TEXT    NOT NULL DEFAULT '',
    created_by    TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_code (
    user_id BLOB    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    hash    BLOB    NOT NULL CHECK (length(hash) = 32),
    used_at INTEGER,
    PRIMARY KEY (user_id, hash)
) STRICT;

CREATE TABLE passkey (
    -- as the authenticator made it, up to 1,023 bytes
    id           BLOB    PRIMARY KEY NOT NULL,
    user_id      BLOB    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    -- SubjectPublicKeyInfo (DER)
    public_key   BLOB    NOT NULL,
    -- COSE's number of the algorithm
    algorithm    INTEGER NOT NULL,
    -- of the authenticator's own counter; 0 where it has none
    sign_count   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX passkey_of_user ON passkey (user_id);

-- Who a person is at an OpenID provider.
CREATE TABLE oidc_identity (
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    user_id    BLOB    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, subject)
) STRICT;
CREATE INDEX oidc_identity_of_user ON oidc_identity (user_id);

-- A sign-in or registration under way: begun in one request, taken once by another.
CREATE TABLE ceremony (
    hash       BLOB    PRIMARY KEY NOT NULL CHECK (length(hash) = 32),
    kind       TEXT    NOT NULL,
    user_id    BLOB    REFERENCES admin_user (id) ON DELETE CASCADE,
    state      TEXT    NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX ceremony_end ON ceremony (expires_at);

-- Attempts to sign in, by the SHA-256 of what they are counted for.
CREATE TABLE attempt (
    subject    BLOB    PRIMARY KEY NOT NULL CHECK (length(subject) = 32),
    failures   INTEGER NOT NULL,
    -- nothing more is let through before
    wait_until INTEGER NOT NULL,
    forget_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX attempt_end ON attempt (forget_at);
