-- Servers that share this database, so that they find each other. What they say to each other never goes through here.
CREATE TABLE replica (
    -- one run of one server
    id         BLOB    PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    -- "host:port" where the others reach it
    address    TEXT    NOT NULL,
    -- SHA-256 of its public server key, which all of them share
    server_key BLOB    NOT NULL CHECK (length(server_key) = 32),
    -- grows while it runs; compared with what it was, never with a clock
    beat       INTEGER NOT NULL
) STRICT;
