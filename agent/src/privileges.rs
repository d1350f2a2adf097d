//! The one privilege the daemon needs, and how it gives up all others.
//!
//! CAP_NET_ADMIN makes the TUN device, its addresses and its routes. Who starts as root keeps nothing else; who starts
//! with that capability alone is as well served. Capabilities belong to threads: call this before there is a second one.

use capctl::caps::{Cap, CapSet, CapState, ambient, bounding};
use capctl::prctl;

/// Why the daemon cannot run with the privileges it was given.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// Neither root nor granted the capability.
    #[error(
        "CAP_NET_ADMIN is missing: run as root, or grant it with `setcap cap_net_admin+ep` or AmbientCapabilities="
    )]
    Missing,
    /// The kernel refused to take a privilege away.
    #[error("cannot give up privileges: {0}")]
    Refused(capctl::Error),
}

/// Keeps CAP_NET_ADMIN and gives up everything else, for good: no program run from here on can regain it.
pub fn reduce() -> Result<(), PrivilegeError> {
    let held = CapState::get_current().map_err(PrivilegeError::Refused)?;
    if !held.permitted.has(Cap::NET_ADMIN) {
        return Err(PrivilegeError::Missing);
    }
    // only CAP_SETPCAP may lower the bounding set; without it, no_new_privs closes the same door
    if held.effective.has(Cap::SETPCAP) {
        let surplus = Cap::probe_supported().iter().filter(|cap| *cap != Cap::NET_ADMIN);
        surplus.into_iter().try_for_each(bounding::ensure_dropped).map_err(PrivilegeError::Refused)?;
    }
    prctl::set_no_new_privs().map_err(PrivilegeError::Refused)?;
    if ambient::is_supported() {
        ambient::clear().map_err(PrivilegeError::Refused)?;
    }
    let mut only = CapSet::empty();
    only.add(Cap::NET_ADMIN);
    // nothing inheritable: the daemon starts no program
    let kept = CapState { effective: only, permitted: only, inheritable: CapSet::empty() };
    kept.set_current().map_err(PrivilegeError::Refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_process_keeps_only_net_admin_and_may_do_it_twice() {
        if !CapState::get_current().unwrap().permitted.has(Cap::NET_ADMIN) {
            println!("skipped: needs CAP_NET_ADMIN");
            return;
        }

        // capabilities belong to the thread, so the test runner keeps its own
        let (first, second) = std::thread::spawn(|| {
            reduce().unwrap();
            reduce().unwrap();
            (CapState::get_current().unwrap(), bounding::probe())
        })
        .join()
        .unwrap();

        assert_eq!(first.permitted.iter().collect::<Vec<_>>(), [Cap::NET_ADMIN]);
        assert_eq!(first.effective, first.permitted);
        assert!(first.inheritable.is_empty());
        assert!(!second.has(Cap::SYS_ADMIN));
    }

    #[test]
    fn without_the_capability_it_says_what_to_do() {
        let error = std::thread::spawn(|| {
            CapState::empty().set_current().unwrap();
            reduce()
        })
        .join()
        .unwrap()
        .unwrap_err();

        assert!(matches!(error, PrivilegeError::Missing));
        assert!(error.to_string().contains("run as root"));
    }
}
