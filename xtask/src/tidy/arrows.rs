//! Who may see whom, between the crates and inside them: ARCHITECTURE.md's picture, enforced.

use crate::cargo::Workspace;
use crate::tidy::show;
use crate::tidy::sources::Source;

/// The only arrows between our crates. The lab starts the programs and links none; it speaks the control protocol by itself.
const CRATES: &[(&str, &[&str])] = &[
    ("warren-agent", &["warren-proto"]),
    ("warren-coordinator", &["warren-proto"]),
    ("warren-lab", &["warren-proto"]),
    ("warren-proto", &[]),
    ("warren-rendezvous", &["warren-coordinator", "warren-proto"]),
    ("warren-sim", &["warren-coordinator", "warren-proto"]),
    ("xtask", &[]),
];

/// The core's rows: a module sees only rows above its own, never a neighbour.
const PROTO_ROWS: &[&[&str]] = &[
    &["candidate", "io", "keys", "timer"],
    &["crypto", "inner", "wire"],
    &["config", "stats"],
    &["certificate", "control", "handshake", "path", "session"],
    &["peer"],
    &["node"],
];

/// What the rendezvous and its coordinator may use of the core: they have no data plane.
const RENDEZVOUS_SEES: &[&str] = &["candidate", "certificate", "control", "keys"];

/// Modules of the rendezvous that know nothing of who is online.
const WITHOUT_COORDINATOR: &[&str] = &["domain", "store"];

/// Arrows inside the programs that must not exist: (crate, module, modules it never names).
const NEVER: &[(&str, &str, &[&str])] = &[
    ("agent", "commands", &["data_plane", "slow_path", "tun", "udp"]),
    ("agent", "data_plane", &["commands", "control", "daemon", "ipc", "netcfg", "slow_path"]),
    ("agent", "netcfg", &["commands", "control", "daemon", "data_plane", "slow_path"]),
    ("agent", "tun", &["commands", "control", "daemon", "data_plane", "slow_path", "udp"]),
    ("agent", "udp", &["commands", "control", "daemon", "data_plane", "slow_path", "tun"]),
    ("rendezvous", "actions", &["api", "web"]),
    ("rendezvous", "api", &["web"]),
    ("rendezvous", "domain", &["actions", "api", "app", "control", "store", "web"]),
    ("rendezvous", "store", &["actions", "api", "control", "web"]),
    ("rendezvous", "web", &["api"]),
];

pub(crate) fn between_crates(workspace: &Workspace) -> Vec<String> {
    let mut findings = Vec::new();
    for package in workspace.members() {
        let allowed = CRATES.iter().find(|(name, _)| *name == package.name).map(|(_, allowed)| *allowed);
        let Some(allowed) = allowed else {
            findings.push(format!("{}: a new crate needs its place in tidy/arrows.rs", package.name));
            continue;
        };
        let ours =
            package.dependencies.iter().filter(|dependency| CRATES.iter().any(|(name, _)| *name == dependency.name));
        for dependency in ours.filter(|dependency| !allowed.contains(&dependency.name.as_str())) {
            findings.push(format!("{} must not depend on {}", package.name, dependency.name));
        }
    }
    findings
}

pub(crate) fn between_modules(sources: &[Source]) -> Vec<String> {
    let mut findings = Vec::new();
    for source in sources {
        for (line, text) in source.shipped() {
            let allowed: Box<dyn Fn(&str) -> bool> = match (source.crate_name(), source.module()) {
                ("proto", Some(module)) => Box::new(move |seen| proto_allows(module, seen)),
                (name, Some(module)) => Box::new(move |seen| !never(name, module).contains(&seen)),
                (_, None) => Box::new(|_| true),
            };
            for seen in names_after(text, "crate::").filter(|seen| !allowed(seen)) {
                findings.push(format!("{}:{line}: this module must not see {seen}", show(source)));
            }
            let is_offline = source.module().is_some_and(|module| WITHOUT_COORDINATOR.contains(&module));
            if source.crate_name() == "rendezvous" && is_offline && text.contains("warren_coordinator::") {
                findings.push(format!("{}:{line}: this module must not see the coordinator", show(source)));
            }
            if ["coordinator", "rendezvous"].contains(&source.crate_name()) {
                for seen in names_after(text, "warren_proto::").filter(|seen| !RENDEZVOUS_SEES.contains(seen)) {
                    findings.push(format!("{}:{line}: the rendezvous must not see the core's {seen}", show(source)));
                }
            }
        }
    }
    findings
}

fn proto_allows(module: &str, seen: &str) -> bool {
    match (row(module), row(seen)) {
        (Some(own), Some(other)) => other < own || module == seen,
        // Not a module: an item that lib.rs re-exports, or a module without a place yet.
        (Some(_), None) => !seen.chars().all(|letter| letter.is_lowercase() || letter == '_'),
        (None, _) => false,
    }
}

fn row(module: &str) -> Option<usize> {
    PROTO_ROWS.iter().position(|row| row.contains(&module))
}

fn never(name: &str, module: &str) -> &'static [&'static str] {
    NEVER.iter().find(|(a_crate, a_module, _)| *a_crate == name && *a_module == module).map_or(&[], |(.., never)| never)
}

/// The first path segment behind each occurrence of the prefix; both of `crate::{a::B, c}`.
fn names_after<'a>(text: &'a str, prefix: &str) -> impl Iterator<Item = &'a str> {
    let mut names = Vec::new();
    for (start, _) in text.match_indices(prefix) {
        // `warren_proto::` must not be found inside a longer name; `$crate::` is a macro's own business.
        if text[..start].ends_with(|before: char| before.is_alphanumeric() || "_$:".contains(before)) {
            continue;
        }
        let rest = &text[start + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(list) => names.extend(list.split([',', '}']).map(first_name)),
            None => names.push(first_name(rest)),
        }
    }
    names.into_iter().filter(|name| !name.is_empty())
}

fn first_name(path: &str) -> &str {
    let path = path.trim_start();
    path.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).map_or(path, |end| &path[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_sees_the_rows_above_and_never_a_neighbour() {
        assert!(proto_allows("path", "candidate"));
        assert!(proto_allows("path", "path"));
        assert!(proto_allows("peer", "session"));
        assert!(!proto_allows("path", "session"), "neighbours");
        assert!(!proto_allows("wire", "path"), "upwards");
        assert!(!proto_allows("path", "new_module"), "a module without a place");
    }

    #[test]
    fn names_are_found_in_every_spelling() {
        let names = |text| names_after(text, "crate::").collect::<Vec<_>>();

        assert_eq!(names("use crate::keys::NodeId;"), ["keys"]);
        assert_eq!(names("use crate::{io::Remote, keys};"), ["io", "keys"]);
        assert_eq!(names("fn a(b: crate::io::Ecn) -> crate::keys::NodeId"), ["io", "keys"]);
        assert_eq!(names("use other_crate::x; $crate::y!()"), Vec::<&str>::new());
    }
}
