//! Points and changes of the paths between devices. A point that is there already takes the new one in, so what is
//! written twice a slot, or for an hour all through it, stays one row.

use sqlx::types::Uuid;
use warren_proto::keys::UnixTime;

use super::value::{integer, millis, time, unsigned, uuid};
use super::{Result, Store, Tx, on_reader, on_tx, statements};
use crate::domain::history::{Kind, Kinds, PathChange, PathName, Point, Rtts, Sample, Span, Way};

statements! {
    MERGE = "INSERT INTO path_point (reporter, span, peer, at, kinds, rtt_min, rtt_max, rtt_sum, rtt_count, probes, \
             lost, rx_bytes, tx_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
             ON CONFLICT (reporter, span, peer, at) DO UPDATE SET \
             kinds = path_point.kinds | excluded.kinds, \
             rtt_min = CASE WHEN path_point.rtt_count = 0 OR (excluded.rtt_count > 0 AND excluded.rtt_min < \
             path_point.rtt_min) THEN excluded.rtt_min ELSE path_point.rtt_min END, \
             rtt_max = CASE WHEN path_point.rtt_count = 0 OR (excluded.rtt_count > 0 AND excluded.rtt_max > \
             path_point.rtt_max) THEN excluded.rtt_max ELSE path_point.rtt_max END, \
             rtt_sum = path_point.rtt_sum + excluded.rtt_sum, rtt_count = path_point.rtt_count + excluded.rtt_count, \
             probes = path_point.probes + excluded.probes, lost = path_point.lost + excluded.lost, \
             rx_bytes = path_point.rx_bytes + excluded.rx_bytes, tx_bytes = path_point.tx_bytes + excluded.tx_bytes";
    POINTS = "SELECT at, kinds, rtt_min, rtt_max, rtt_sum, rtt_count, probes, lost, rx_bytes, tx_bytes \
              FROM path_point WHERE reporter = $1 AND span = $2 AND peer = $3 AND at >= $4 ORDER BY at";
    TRIM = "DELETE FROM path_point WHERE reporter = $1 AND span = $2 AND peer = $3 AND at < $4";
    DELETE_OLD = "DELETE FROM path_point WHERE span = $1 AND at < $2";
    INSERT_CHANGE = "INSERT INTO path_change (reporter, peer, at, from_kind, from_via, to_kind, to_via, remote, reason) \
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (reporter, peer, at) DO NOTHING";
    CHANGES = "SELECT at, from_kind, from_via, to_kind, to_via, remote, reason FROM path_change \
               WHERE reporter = $1 AND peer = $2 AND at >= $3 ORDER BY at DESC LIMIT $4";
    TRIM_CHANGES = "DELETE FROM path_change WHERE reporter = $1 AND peer = $2 AND at < \
                    (SELECT at FROM path_change WHERE reporter = $1 AND peer = $2 ORDER BY at DESC LIMIT 1 OFFSET $3)";
    DELETE_OLD_CHANGES = "DELETE FROM path_change WHERE at < $1";
}

#[derive(sqlx::FromRow)]
struct PointRow {
    at: i64,
    kinds: i64,
    rtt_min: i64,
    rtt_max: i64,
    rtt_sum: i64,
    rtt_count: i64,
    probes: i64,
    lost: i64,
    rx_bytes: i64,
    tx_bytes: i64,
}

impl PointRow {
    fn read(self) -> Point {
        let rtts = Rtts {
            min: unsigned(self.rtt_min),
            max: unsigned(self.rtt_max),
            sum: unsigned(self.rtt_sum),
            count: unsigned(self.rtt_count),
        };
        let sample = Sample {
            kinds: Kinds::from_bits(u8::try_from(self.kinds).unwrap_or(0)),
            rtts: (rtts.count > 0).then_some(rtts),
            probes: unsigned(self.probes),
            lost: unsigned(self.lost),
            rx_bytes: unsigned(self.rx_bytes),
            tx_bytes: unsigned(self.tx_bytes),
        };
        Point { at: time(self.at), sample }
    }
}

#[derive(sqlx::FromRow)]
struct ChangeRow {
    at: i64,
    from_kind: String,
    from_via: String,
    to_kind: String,
    to_via: String,
    remote: String,
    reason: String,
}

impl ChangeRow {
    fn read(self) -> PathChange {
        PathChange {
            at: time(self.at),
            from: PathName { kind: Kind::parse(&self.from_kind), via: self.from_via },
            to: PathName { kind: Kind::parse(&self.to_kind), via: self.to_via },
            remote: self.remote,
            reason: self.reason,
        }
    }
}

impl Store {
    /// The points of a way since a moment, oldest first.
    pub async fn path_points(&self, way: Way, span: Span, since: UnixTime) -> Result<Vec<Point>> {
        let rows: Vec<PointRow> = on_reader!(self, db => sqlx::query_as(POINTS)
            .bind(uuid(way.from)).bind(seconds(span)).bind(uuid(way.to)).bind(millis(since)).fetch_all(db).await?);
        Ok(rows.into_iter().map(PointRow::read).collect())
    }

    /// The newest changes of a way since a moment, at most as many as are kept, newest first.
    pub async fn path_changes(&self, way: Way, since: UnixTime) -> Result<Vec<PathChange>> {
        let rows: Vec<ChangeRow> = on_reader!(self, db => sqlx::query_as(CHANGES)
            .bind(uuid(way.from)).bind(uuid(way.to)).bind(millis(since)).bind(CHANGES_KEPT).fetch_all(db).await?);
        Ok(rows.into_iter().map(ChangeRow::read).collect())
    }
}

impl Tx {
    /// Takes a point into the one of its slot.
    pub async fn merge_path_point(&mut self, way: Way, span: Span, point: &Point) -> Result<()> {
        let Sample { kinds, rtts, probes, lost, rx_bytes, tx_bytes } = point.sample;
        let rtts = rtts.unwrap_or(Rtts { min: 0, max: 0, sum: 0, count: 0 });
        on_tx!(self, db => sqlx::query(MERGE)
            .bind(uuid(way.from))
            .bind(seconds(span))
            .bind(uuid(way.to))
            .bind(millis(point.at))
            .bind(i64::from(kinds.bits()))
            .bind(integer(rtts.min))
            .bind(integer(rtts.max))
            .bind(integer(rtts.sum))
            .bind(integer(rtts.count))
            .bind(integer(probes))
            .bind(integer(lost))
            .bind(integer(rx_bytes))
            .bind(integer(tx_bytes))
            .execute(db).await.map(drop))
    }

    /// Notes that a path became another.
    pub async fn insert_path_change(&mut self, way: Way, change: &PathChange) -> Result<()> {
        on_tx!(self, db => sqlx::query(INSERT_CHANGE)
            .bind(uuid(way.from))
            .bind(uuid(way.to))
            .bind(millis(change.at))
            .bind(change.from.kind.name())
            .bind(&change.from.via)
            .bind(change.to.kind.name())
            .bind(&change.to.via)
            .bind(&change.remote)
            .bind(&change.reason)
            .execute(db).await.map(drop))
    }

    /// Forgets the points of a way and a span from before a moment.
    pub async fn trim_path_points(&mut self, way: Way, span: Span, before: UnixTime) -> Result<()> {
        let (from, to): (Uuid, Uuid) = (uuid(way.from), uuid(way.to));
        on_tx!(self, db => sqlx::query(TRIM)
            .bind(from).bind(seconds(span)).bind(to).bind(millis(before)).execute(db).await.map(drop))
    }

    /// Forgets all but the newest changes of a way.
    pub async fn trim_path_changes(&mut self, way: Way) -> Result<()> {
        on_tx!(self, db => sqlx::query(TRIM_CHANGES)
            .bind(uuid(way.from)).bind(uuid(way.to)).bind(CHANGES_KEPT - 1).execute(db).await.map(drop))
    }

    /// Forgets the points of a span from before a moment, of every way. Looks at every row.
    pub async fn delete_old_path_points(&mut self, span: Span, before: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD).bind(seconds(span)).bind(millis(before)).execute(db).await.map(drop))
    }

    /// Forgets the changes from before a moment, of every way.
    pub async fn delete_old_path_changes(&mut self, before: UnixTime) -> Result<()> {
        on_tx!(self, db => sqlx::query(DELETE_OLD_CHANGES).bind(millis(before)).execute(db).await.map(drop))
    }
}

fn seconds(span: Span) -> i64 {
    integer(span.length().as_secs())
}

/// Of one way: a path that changes more often is told by its last changes.
const CHANGES_KEPT: i64 = 200;
