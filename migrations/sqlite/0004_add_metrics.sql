-- What a device measured of its path to a peer, merged over spans of 15 s, a minute and an hour. Of a device's paths all
-- together where `peer` is itself.
CREATE TABLE path_point (
    reporter  BLOB    NOT NULL CHECK (length(reporter) = 16),
    -- in seconds
    span      INTEGER NOT NULL,
    peer      BLOB    NOT NULL CHECK (length(peer) = 16),
    -- when the span begins
    at        INTEGER NOT NULL,
    -- of the paths there were: 1 direct, 2 relay, 4 none, or a sum of them
    kinds     INTEGER NOT NULL,
    -- round-trip times in microseconds; without meaning where none was measured
    rtt_min   INTEGER NOT NULL,
    rtt_max   INTEGER NOT NULL,
    rtt_sum   INTEGER NOT NULL,
    rtt_count INTEGER NOT NULL,
    probes    INTEGER NOT NULL,
    lost      INTEGER NOT NULL,
    rx_bytes  INTEGER NOT NULL,
    tx_bytes  INTEGER NOT NULL,
    PRIMARY KEY (reporter, span, peer, at)
) STRICT, WITHOUT ROWID;

-- When the path that a device sends on to a peer became another.
CREATE TABLE path_change (
    reporter  BLOB    NOT NULL CHECK (length(reporter) = 16),
    peer      BLOB    NOT NULL CHECK (length(peer) = 16),
    at        INTEGER NOT NULL,
    from_kind TEXT    NOT NULL,
    from_via  TEXT    NOT NULL,
    to_kind   TEXT    NOT NULL,
    to_via    TEXT    NOT NULL,
    remote    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    PRIMARY KEY (reporter, peer, at)
) STRICT, WITHOUT ROWID;
