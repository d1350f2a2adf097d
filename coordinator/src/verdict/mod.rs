//! Why two devices are not directly connected, from what both of them saw: a decision table.
//!
//! The first row that matches decides. A row names the side it blames, so that the remedy can say where to do what. Codes
//! are part of the public interface: they are added to, never renamed. The rows are `table`'s; what one end looks like, and what
//! two have in common, `side`'s.

mod side;
mod table;
#[cfg(test)]
mod tests;

pub(super) use side::Side;

use table::{NO_ANSWER, TABLE};

/// What both ends' reports say together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Stable, for programs.
    pub code: &'static str,
    /// Why, in one sentence.
    pub text: String,
    /// What would help, and on which side; empty if nothing needs to.
    pub remedy: String,
}

/// Who is to blame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blame {
    Both,
    First,
    Second,
}

/// A row of the table. In its words `{a}` is the side to blame, `{b}` the other one, `{port}` and `{port_b}` are the UDP
/// ports of their agents.
struct Row {
    code: &'static str,
    when: fn(&[Side<'_>; 2]) -> Option<Blame>,
    text: &'static str,
    /// In place of `text`, when both are to blame.
    text_both: &'static str,
    remedy: &'static str,
    remedy_both: &'static str,
}

/// Every code that a verdict may state.
pub fn verdict_codes() -> impl Iterator<Item = &'static str> {
    TABLE.iter().chain([&NO_ANSWER]).map(|row| row.code)
}

/// Puts the two sides together.
pub(super) fn judge(sides: &[Side<'_>; 2]) -> Verdict {
    let found = TABLE.iter().find_map(|row| (row.when)(sides).map(|blame| (row, blame)));
    let (row, blame) = found.unwrap_or((&NO_ANSWER, Blame::Both));
    let [a, b] = if blame == Blame::Second { [&sides[1], &sides[0]] } else { [&sides[0], &sides[1]] };
    let (text, remedy) = if blame == Blame::Both { (row.text_both, row.remedy_both) } else { (row.text, row.remedy) };
    let fill = |words: &str| {
        let words = words.replace("{a}", &format!("`{}`", a.name)).replace("{b}", &format!("`{}`", b.name));
        words.replace("{port}", &a.port_words()).replace("{port_b}", &b.port_words())
    };
    Verdict { code: row.code, text: fill(text), remedy: fill(remedy) }
}
