-- Roles, ways to sign in, and whose a device is. A password hash of '' belongs to somebody who signs in without one.

ALTER TABLE admin_user ADD COLUMN disabled_at BIGINT;
-- Sealed under a key that is not in the database; NULL while no authenticator app is set up.
ALTER TABLE admin_user ADD COLUMN totp_secret BYTEA;
-- The newest time step of which a code was taken, so that none works twice.
ALTER TABLE admin_user ADD COLUMN totp_step BIGINT NOT NULL DEFAULT 0;

-- The person whose invite or approval enrolled it; nobody's where that was done at the server's shell.
ALTER TABLE invite ADD COLUMN owner_id UUID REFERENCES admin_user (id) ON DELETE SET NULL;
ALTER TABLE device ADD COLUMN owner_id UUID REFERENCES admin_user (id) ON DELETE SET NULL;
CREATE INDEX device_of_owner ON device (owner_id);

-- Links that make an account of a role, or that give an account another password.
CREATE TABLE account_link (
    id            UUID    PRIMARY KEY,
    hash          BYTEA   NOT NULL UNIQUE,
    -- of the account to be made; NULL in a reset link
    role          TEXT,
    -- whose password is reset; NULL in an invite link
    user_id       UUID    REFERENCES admin_user (id) ON DELETE CASCADE,
    -- whether using it removes passkeys and the authenticator app
    drops_factors BOOLEAN NOT NULL DEFAULT FALSE,
    note          TEXT    NOT NULL DEFAULT '',
    created_by    TEXT    NOT NULL,
    created_at    BIGINT  NOT NULL,
    expires_at    BIGINT  NOT NULL
);

CREATE TABLE recovery_code (
    user_id UUID    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    hash    BYTEA   NOT NULL,
    used_at BIGINT,
    PRIMARY KEY (user_id, hash)
);

CREATE TABLE passkey (
    -- as the authenticator made it, up to 1,023 bytes
    id           BYTEA   PRIMARY KEY,
    user_id      UUID    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    -- SubjectPublicKeyInfo (DER)
    public_key   BYTEA   NOT NULL,
    -- COSE's number of the algorithm
    algorithm    BIGINT  NOT NULL,
    -- of the authenticator's own counter; 0 where it has none
    sign_count   BIGINT  NOT NULL,
    created_at   BIGINT  NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkey_of_user ON passkey (user_id);

-- Who a person is at an OpenID provider.
CREATE TABLE oidc_identity (
    issuer     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    user_id    UUID    NOT NULL REFERENCES admin_user (id) ON DELETE CASCADE,
    created_at BIGINT  NOT NULL,
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX oidc_identity_of_user ON oidc_identity (user_id);

-- A sign-in or registration under way: begun in one request, taken once by another.
CREATE TABLE ceremony (
    hash       BYTEA   PRIMARY KEY,
    kind       TEXT    NOT NULL,
    user_id    UUID    REFERENCES admin_user (id) ON DELETE CASCADE,
    state      TEXT    NOT NULL,
    expires_at BIGINT  NOT NULL
);
CREATE INDEX ceremony_end ON ceremony (expires_at);

-- Attempts to sign in, by the SHA-256 of what they are counted for.
CREATE TABLE attempt (
    subject    BYTEA   PRIMARY KEY,
    failures   BIGINT  NOT NULL,
    -- nothing more is let through before
    wait_until BIGINT  NOT NULL,
    forget_at  BIGINT  NOT NULL
);
CREATE INDEX attempt_end ON attempt (forget_at);
