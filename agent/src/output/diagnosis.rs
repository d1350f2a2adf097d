//! `warren doctor` for people: a line for each finding, a remedy under what is not well.

use std::fmt::Write;

use super::{Colour, Style};
use crate::doctor::{Diagnosis, Verdict};

/// `warren doctor`.
pub fn diagnosis(diagnosis: &Diagnosis, colour: Colour) -> String {
    let width = diagnosis.findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let verdict = match finding.verdict {
            Verdict::Fail => colour.paint(Style::Red, "fail"),
            Verdict::Ok => colour.paint(Style::Green, "ok  "),
            Verdict::Warn => colour.paint(Style::Yellow, "warn"),
        };
        let _ = writeln!(text, "{verdict}  {:width$}  {}", finding.check, finding.text);
        if let Some(remedy) = &finding.remedy {
            let _ = writeln!(text, "      {:width$}  {remedy}", "");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Finding;

    #[test]
    fn what_is_not_well_has_its_remedy_under_it() {
        let finding = |check, verdict, remedy: Option<&str>| Finding {
            check,
            verdict,
            text: "so it is".to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let findings = vec![finding("tun", Verdict::Ok, None), finding("privileges", Verdict::Fail, Some("Do this."))];

        let text = diagnosis(&Diagnosis { schema: 1, verdict: Verdict::Fail, findings }, Colour::None);

        assert_eq!(text, "ok    tun         so it is\nfail  privileges  so it is\n                  Do this.\n");
    }
}
