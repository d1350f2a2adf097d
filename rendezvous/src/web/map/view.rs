//! What the map shows, in places and words: the graph, the matrix, and the table that says the same.

use std::collections::BTreeMap;

use warren_proto::keys::NodeId;

use super::super::format::{Rate, Rtt};
use super::super::view::PathKind;
use super::super::view::via;
use super::layout::{self, HEIGHT, Label, Place, WIDTH};
use crate::actions::{DeviceView, Topology, TopologyLink};
use crate::domain::history::Kind;

/// How the mesh is drawn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Form {
    /// Devices on a ring and lines between them.
    Graph,
    /// A cell for every pair.
    Matrix,
}

/// What somebody wants to see.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Filter {
    pub(super) kind: Option<Kind>,
    /// In lower case; part of a name.
    pub(super) name: String,
    /// `None` for what suits the number of devices.
    pub(super) form: Option<Form>,
}

impl Filter {
    fn admits(&self, view: &DeviceView) -> bool {
        view.device.name.as_str().contains(&self.name)
    }
}

/// The map.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct MapView {
    pub(super) form: Form,
    pub(super) summary: String,
    /// Of the graph.
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) matrix: Matrix,
    /// What the table says.
    pub(super) rows: Vec<Row>,
    /// Rows there is no room for.
    pub(super) hidden: usize,
}

/// A device of the graph.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) name: String,
    /// What stands beside it: as much of the name as there is room for.
    pub(super) short: String,
    pub(super) online: bool,
    pub(super) place: Place,
    pub(super) label: Label,
}

/// A path of the graph.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Edge {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) kind: PathKind,
    pub(super) from: Place,
    pub(super) to: Place,
    /// In tenths of the map's units.
    pub(super) width: String,
    /// Where its round trip stands, when there is room for it.
    pub(super) label: Option<(i32, i32, String)>,
}

/// A cell for every pair of the first devices by name, drawn as a few shapes of many squares.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct Matrix {
    /// Along both sides, with their ids.
    pub(super) names: Vec<(String, String)>,
    /// By class, an SVG path.
    pub(super) shapes: Vec<(&'static str, String)>,
    pub(super) side: usize,
    /// Pixels across and down.
    pub(super) pixels: usize,
    /// Devices there is no room for.
    pub(super) left_out: usize,
}

/// A pair of the table.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Row {
    pub(super) href: String,
    pub(super) names: [String; 2],
    pub(super) kind: PathKind,
    pub(super) via: Option<&'static str>,
    pub(super) rtt: Option<Rtt>,
    pub(super) rate: Rate,
}

impl MapView {
    pub(super) fn new(topology: &Topology, filter: &Filter) -> Self {
        let named: Vec<&DeviceView> = topology.devices.iter().filter(|view| filter.admits(view)).collect();
        let names: BTreeMap<NodeId, &str> =
            topology.devices.iter().map(|view| (view.device.id, view.device.name.as_str())).collect();
        let wanted = |link: &&TopologyLink| {
            let kind = filter.kind.is_none_or(|kind| kind == link.kind);
            let known = link.ends.iter().all(|end| names.contains_key(end));
            kind && known && link.ends.iter().any(|end| named.iter().any(|view| view.device.id == *end))
        };
        let links: Vec<&TopologyLink> = topology.links.iter().filter(wanted).collect();
        let shown = shown(topology, &named, &links, filter);
        let usual = if shown.len() > MOST_IN_GRAPH { Form::Matrix } else { Form::Graph };
        // more than that would be a ball of wool, whoever asks for it
        let form = if shown.len() > MOST_AT_ALL { Form::Matrix } else { filter.form.unwrap_or(usual) };
        let (nodes, edges) = if form == Form::Graph { graph(&shown, &links, &names) } else { Default::default() };
        let matrix = if form == Form::Matrix { Matrix::new(&shown, &links) } else { Matrix::default() };
        let mut rows: Vec<Row> = links.iter().map(|link| Row::new(link, &names)).collect();
        rows.sort_by(|a, b| a.names.cmp(&b.names));
        let hidden = rows.len().saturating_sub(ROWS);
        rows.truncate(ROWS);
        Self { form, summary: summary(topology, &links), nodes, edges, matrix, rows, hidden }
    }
}

/// Those whose name is asked for, and whoever they have a path to.
fn shown<'a>(
    topology: &'a Topology,
    named: &[&'a DeviceView],
    links: &[&TopologyLink],
    filter: &Filter,
) -> Vec<&'a DeviceView> {
    if filter.name.is_empty() {
        return named.to_vec();
    }
    let linked = |view: &&DeviceView| {
        let own = named.iter().any(|one| one.device.id == view.device.id);
        own || links.iter().any(|link| link.ends.contains(&view.device.id))
    };
    topology.devices.iter().filter(linked).collect()
}

fn summary(topology: &Topology, links: &[&TopologyLink]) -> String {
    let online = topology.devices.iter().filter(|view| view.presence.is_some()).count();
    let direct = links.iter().filter(|link| link.kind == Kind::Direct).count();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    format!(
        "{online} of {} device{} online, {} path{}: {direct} direct, {} through the relay",
        topology.devices.len(),
        plural(topology.devices.len()),
        links.len(),
        plural(links.len()),
        links.len() - direct
    )
}

fn graph(shown: &[&DeviceView], links: &[&TopologyLink], names: &BTreeMap<NodeId, &str>) -> (Vec<Node>, Vec<Edge>) {
    let ids: Vec<NodeId> = shown.iter().map(|view| view.device.id).collect();
    let places: BTreeMap<NodeId, Place> = ids.iter().copied().zip(layout::ring(&ids)).collect();
    let nodes = shown.iter().filter_map(|view| {
        let place = *places.get(&view.device.id)?;
        let (id, name) = (view.device.id.to_string(), view.device.name.to_string());
        Some(Node { id, short: short(&name), name, online: view.presence.is_some(), place, label: place.label })
    });
    let labelled = links.len() <= LABELS;
    let edges = links.iter().filter_map(|link| {
        let [from, to] = [*places.get(&link.ends[0])?, *places.get(&link.ends[1])?];
        let (x, y) = layout::between(&from, &to);
        let rtt = link.rtt.map(Rtt);
        let row = Row::new(link, names);
        Some(Edge {
            title: row.sentence(),
            href: row.href,
            kind: row.kind,
            from,
            to,
            width: width(link.bytes_per_second),
            label: rtt.filter(|_| labelled).map(|rtt| (x, y, rtt.to_string())),
        })
    });
    (nodes.collect(), edges.collect())
}

/// From 1.5 at rest by 1 for every tenfold from 10 kb/s on, to 7.5.
fn width(bytes_per_second: u64) -> String {
    let steps = (bytes_per_second.saturating_mul(8) / 1_000).checked_ilog10().unwrap_or(0).min(6);
    format!("{}.5", steps + 1)
}

impl Row {
    fn new(link: &TopologyLink, names: &BTreeMap<NodeId, &str>) -> Self {
        let mut ends = link.ends.map(|end| (names.get(&end).copied().unwrap_or_default().to_owned(), end));
        ends.sort();
        let [(first, a), (second, b)] = ends;
        Self {
            href: format!("/pairs/{a}/{b}"),
            names: [first, second],
            kind: link.kind.into(),
            via: via(&link.via),
            rtt: link.rtt.map(Rtt),
            rate: Rate(link.bytes_per_second.saturating_mul(8)),
        }
    }

    fn sentence(&self) -> String {
        let [a, b] = &self.names;
        let rtt = self.rtt.map(|rtt| format!(", {rtt}")).unwrap_or_default();
        format!("{a} and {b}: {}{rtt}, {}", self.kind.word(), self.rate)
    }
}

impl Matrix {
    fn new(shown: &[&DeviceView], links: &[&TopologyLink]) -> Self {
        let inside: Vec<&&DeviceView> = shown.iter().take(MATRIX_SIDE).collect();
        let index: BTreeMap<NodeId, usize> =
            inside.iter().enumerate().map(|(index, view)| (view.device.id, index)).collect();
        let mut shapes = BTreeMap::<&'static str, String>::new();
        for link in links {
            let [Some(a), Some(b)] = link.ends.map(|end| index.get(&end).copied()) else { continue };
            let class = cell(link);
            let shape = shapes.entry(class).or_default();
            // each pair once: both halves would say the same
            shape.push_str(&square(class, a.max(b), a.min(b)));
        }
        let name = |view: &&&DeviceView| (view.device.name.to_string(), view.device.id.to_string());
        Self {
            names: inside.iter().map(name).collect(),
            side: inside.len(),
            pixels: pixels(inside.len()),
            left_out: shown.len() - inside.len(),
            shapes: shapes.into_iter().collect(),
        }
    }
}

/// A name, or its beginning.
fn short(name: &str) -> String {
    if name.chars().count() <= LABEL {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LABEL - 1).collect();
    format!("{kept}\u{2026}")
}

/// A few cells are drawn large, many small.
fn pixels(side: usize) -> usize {
    let tenths = match side {
        0..=16 => 24,
        17..=40 => 18,
        _ => 14,
    };
    (side * 10 + 160) * tenths / 10
}

/// What a cell looks like: by kind in shape, by round trip in shade.
fn cell(link: &TopologyLink) -> &'static str {
    if link.kind == Kind::Relay {
        return "relay";
    }
    match link.rtt.map_or(0, |rtt| rtt.as_millis()) {
        0..10 => "near",
        10..50 => "fair",
        50..150 => "far",
        _ => "remote",
    }
}

/// A full square for what is direct, one with a hole for what is relayed; cells are 10 units wide.
fn square(class: &str, row: usize, column: usize) -> String {
    let (x, y) = (column * 10, row * 10);
    if class == "relay" {
        return format!("M{} {}h8v8h-8zm2 2v4h4v-4z", x + 1, y + 1);
    }
    format!("M{} {}h8v8h-8z", x + 1, y + 1)
}

pub(super) const SIZE: (i32, i32) = (WIDTH, HEIGHT);
/// More than these many are shown as a matrix, unless somebody asks.
const MOST_IN_GRAPH: usize = 60;
const MOST_AT_ALL: usize = 200;
/// Letters of a name beside its device, in the room between the ring and the edge.
const LABEL: usize = 18;
/// More round trips than these written on lines hide the lines.
const LABELS: usize = 21;
/// As much as fits a page of 20 KB: 3,160 cells.
const MATRIX_SIDE: usize = 80;
/// Of the table.
const ROWS: usize = 100;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn lines_grow_with_what_flows() {
        assert_eq!([0, 100, 12_500, 125_000_000, u64::MAX / 8].map(width), ["1.5", "1.5", "3.5", "7.5", "7.5"]);
    }

    #[test]
    fn a_relayed_cell_has_a_hole_and_a_direct_one_a_shade() {
        let link = |kind, millis| TopologyLink {
            ends: [NodeId::new([1; 16]), NodeId::new([2; 16])],
            kind,
            via: String::new(),
            rtt: Some(Duration::from_millis(millis)),
            bytes_per_second: 0,
        };

        assert_eq!(cell(&link(Kind::Relay, 1)), "relay");
        assert_eq!([3, 30, 90, 900].map(|millis| cell(&link(Kind::Direct, millis))), ["near", "fair", "far", "remote"]);
        assert_eq!(short("office-printer-third-floor"), "office-printer-th\u{2026}");
        assert_eq!(square("near", 2, 3), "M31 21h8v8h-8z");
        assert!(square("relay", 0, 0).contains("zm2 2"));
    }
}
