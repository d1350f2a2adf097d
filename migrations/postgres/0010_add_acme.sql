-- The dashboard's certificates from an ACME authority, shared by all servers on this database.

CREATE TABLE acme_account (
    -- URL of the authority
    directory   TEXT    PRIMARY KEY NOT NULL,
    -- account and key, sealed
    credentials BYTEA   NOT NULL,
    created_at  BIGINT  NOT NULL
);

CREATE TABLE acme_certificate (
    directory   TEXT    NOT NULL,
    -- the host that it is for
    name        TEXT    NOT NULL,
    -- PEM, the host's own certificate first
    chain       TEXT    NOT NULL,
    -- PEM, sealed
    private_key BYTEA   NOT NULL,
    obtained_at BIGINT  NOT NULL,
    PRIMARY KEY (directory, name)
);

-- what answers an authority that asks who serves this host; whichever server is asked
CREATE TABLE acme_challenge (
    name        TEXT    PRIMARY KEY NOT NULL,
    digest      BYTEA   NOT NULL
);

-- attempts in vain since the last certificate
CREATE TABLE acme_failure (
    directory   TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    failures    BIGINT  NOT NULL,
    reason      TEXT    NOT NULL,
    retry_at    BIGINT  NOT NULL,
    PRIMARY KEY (directory, name)
);
