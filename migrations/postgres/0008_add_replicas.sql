-- Servers that share this database, so that they find each other. What they say to each other never goes through here.
CREATE TABLE replica (
    -- one run of one server
    id         UUID    PRIMARY KEY,
    -- "host:port" where the others reach it
    address    TEXT    NOT NULL,
    -- SHA-256 of its public server key, which all of them share
    server_key BYTEA   NOT NULL,
    -- grows while it runs; compared with what it was, never with a clock
    beat       BIGINT  NOT NULL
);
