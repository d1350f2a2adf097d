-- What a device measured of its path to a peer, merged over spans of 15 s, a minute and an hour. Of a device's paths all
-- together where `peer` is itself.
CREATE TABLE path_point (
    reporter  UUID    NOT NULL,
    -- in seconds
    span      BIGINT  NOT NULL,
    peer      UUID    NOT NULL,
    -- when the span begins
    at        BIGINT  NOT NULL,
    -- of the paths there were: 1 direct, 2 relay, 4 none, or a sum of them
    kinds     BIGINT  NOT NULL,
    -- round-trip times in microseconds; without meaning where none was measured
    rtt_min   BIGINT  NOT NULL,
    rtt_max   BIGINT  NOT NULL,
    rtt_sum   BIGINT  NOT NULL,
    rtt_count BIGINT  NOT NULL,
    probes    BIGINT  NOT NULL,
    lost      BIGINT  NOT NULL,
    rx_bytes  BIGINT  NOT NULL,
    tx_bytes  BIGINT  NOT NULL,
    PRIMARY KEY (reporter, span, peer, at)
);

-- When the path that a device sends on to a peer became another.
CREATE TABLE path_change (
    reporter  UUID    NOT NULL,
    peer      UUID    NOT NULL,
    at        BIGINT  NOT NULL,
    from_kind TEXT    NOT NULL,
    from_via  TEXT    NOT NULL,
    to_kind   TEXT    NOT NULL,
    to_via    TEXT    NOT NULL,
    remote    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    PRIMARY KEY (reporter, peer, at)
);
