//! The query of the list's URL: every filter, the order, the page. What is there is what the page shows, so that a link
//! shows the same to everybody.

use serde::Deserialize;
use sqlx::types::Uuid;

use super::super::view::NATS;
use crate::actions::{DeviceQuery, DeviceSort, PathFilter};

/// As in the URL; what makes no sense is as if it were not there.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::web) struct ListQuery {
    /// What is searched for.
    pub(in crate::web) q: String,
    /// "online" or "offline".
    pub(in crate::web) state: String,
    /// "direct", "relay" or "none".
    pub(in crate::web) path: String,
    /// A system.
    pub(in crate::web) os: String,
    /// A tag.
    pub(in crate::web) tag: String,
    /// A kind of NAT.
    pub(in crate::web) nat: String,
    /// An invite.
    pub(in crate::web) key: String,
    /// A column, after a hyphen if from the last to the first.
    pub(in crate::web) sort: String,
    /// Counted from 1.
    pub(in crate::web) page: String,
}

/// A column that the list can be sorted by, as its head shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::web) struct Column {
    pub(in crate::web) words: &'static str,
    /// Where a click leads.
    pub(in crate::web) link: String,
    /// As `aria-sort` says it; empty when the list is sorted by another.
    pub(in crate::web) order: &'static str,
}

impl ListQuery {
    /// What is asked of the devices.
    pub(in crate::web) fn wanted(&self) -> DeviceQuery {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (column, descending) = self.column();
        DeviceQuery {
            search: self.q.clone(),
            online: match self.state.as_str() {
                "online" => Some(true),
                "offline" => Some(false),
                _ => None,
            },
            path: match self.path.as_str() {
                "direct" => Some(PathFilter::Direct),
                "none" => Some(PathFilter::None),
                "relay" => Some(PathFilter::Relay),
                _ => None,
            },
            os: some(&self.os),
            tag: some(&self.tag),
            nat: NATS.into_iter().find(|(_, word, _)| *word == self.nat).map(|(mapping, ..)| mapping),
            invite: Uuid::parse_str(&self.key).ok(),
            sort: SORTS.into_iter().find(|(_, word)| *word == column).map(|(sort, _)| sort).unwrap_or_default(),
            descending,
        }
    }

    /// The page that is asked for.
    pub(in crate::web) fn page(&self) -> usize {
        self.page.parse().unwrap_or(1)
    }

    /// Whether some devices are left out.
    pub(in crate::web) fn is_filtered(&self) -> bool {
        [&self.q, &self.state, &self.path, &self.os, &self.tag, &self.nat, &self.key]
            .into_iter()
            .any(|text| !text.is_empty())
    }

    /// Another page of the same list.
    pub(in crate::web) fn at_page(&self, page: usize) -> String {
        Self { page: if page == 1 { String::new() } else { page.to_string() }, ..self.clone() }.suffix()
    }

    /// This list from its first page, with one tag only.
    pub(in crate::web) fn with_tag(&self, tag: &str) -> String {
        Self { tag: tag.to_owned(), page: String::new(), ..self.clone() }.suffix()
    }

    /// The query, with its question mark; nothing when it asks for nothing.
    pub(in crate::web) fn suffix(&self) -> String {
        let fields = [
            ("q", &self.q),
            ("state", &self.state),
            ("path", &self.path),
            ("os", &self.os),
            ("tag", &self.tag),
            ("nat", &self.nat),
            ("key", &self.key),
            ("sort", &self.sort),
            ("page", &self.page),
        ];
        let said: Vec<_> = fields.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        match serde_urlencoded::to_string(said) {
            Ok(query) if !query.is_empty() => format!("?{query}"),
            Ok(_) | Err(_) => String::new(),
        }
    }

    /// The heads of the columns before NAT, which has no order.
    pub(in crate::web) fn first_heads(&self) -> [Column; 5] {
        let columns =
            [("Device", "name"), ("Address", "address"), ("State", "seen"), ("Paths", "paths"), ("Round trip", "rtt")];
        columns.map(|(words, word)| self.head(words, word))
    }

    /// The heads of the columns after it.
    pub(in crate::web) fn last_heads(&self) -> [Column; 3] {
        [("System", "system"), ("Received", "received"), ("Sent", "sent")].map(|(words, word)| self.head(words, word))
    }

    /// The head of a column: a click sorts by it, another turns the order round.
    fn head(&self, words: &'static str, word: &'static str) -> Column {
        let (column, descending) = self.column();
        let is_current = column == word || (column.is_empty() && word == "name");
        let sort = if is_current && !descending { format!("-{word}") } else { word.to_owned() };
        let link = Self { sort, page: String::new(), ..self.clone() }.suffix();
        let order = match (is_current, descending) {
            (false, _) => "",
            (true, false) => "ascending",
            (true, true) => "descending",
        };
        Column { words, link, order }
    }

    fn column(&self) -> (&str, bool) {
        self.sort.strip_prefix('-').map_or((self.sort.as_str(), false), |column| (column, true))
    }
}

/// The words of the columns.
const SORTS: [(DeviceSort, &str); 8] = [
    (DeviceSort::Address, "address"),
    (DeviceSort::Name, "name"),
    (DeviceSort::Paths, "paths"),
    (DeviceSort::Received, "received"),
    (DeviceSort::Rtt, "rtt"),
    (DeviceSort::Seen, "seen"),
    (DeviceSort::Sent, "sent"),
    (DeviceSort::System, "system"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> ListQuery {
        serde_urlencoded::from_str(text).unwrap()
    }

    #[test]
    fn a_query_survives_its_url() {
        let text = "?q=a%26b&state=online&path=relay&tag=lab&nat=none&sort=-rtt&page=3";

        let read = query(&text[1..]);

        assert_eq!(read.suffix(), text);
        assert_eq!((read.wanted().sort, read.wanted().descending, read.page()), (DeviceSort::Rtt, true, 3));
        assert_eq!(read.at_page(1), "?q=a%26b&state=online&path=relay&tag=lab&nat=none&sort=-rtt");
    }

    #[test]
    fn what_makes_no_sense_is_as_if_it_were_not_there() {
        let read = query("state=maybe&path=up&nat=x&sort=colour&page=-7&key=1");

        assert_eq!(read.wanted(), DeviceQuery::default());
        assert_eq!(read.page(), 1);
        assert_eq!(query("").suffix(), "");
    }

    #[test]
    fn the_head_of_the_sorted_column_turns_the_order_round() {
        assert_eq!(query("").head("Device", "name").link, "?sort=-name");
        assert_eq!(query("sort=-rtt&page=2").head("Round trip", "rtt").link, "?sort=rtt");
        assert_eq!(query("sort=-rtt").head("Round trip", "rtt").order, "descending");
        assert_eq!(query("sort=-rtt").head("Device", "name").order, "");
    }
}
