//! Whether an invite still permits an enrolment.

use warren_proto::keys::UnixTime;

/// Why an invite does not work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InviteProblem {
    /// Its time is over, or it was withdrawn.
    Expired,
    /// It was for one device, and that device has come.
    Used,
}

/// The rule: not withdrawn, not past its time, and unused unless reusable.
pub fn check_invite(
    reusable: bool,
    used_count: u64,
    expires_at: Option<UnixTime>,
    revoked: bool,
    now: UnixTime,
) -> Result<(), InviteProblem> {
    if !reusable && used_count > 0 {
        return Err(InviteProblem::Used);
    }
    if revoked || expires_at.is_some_and(|expires_at| expires_at <= now) {
        return Err(InviteProblem::Expired);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invite_works_once_unless_reusable_and_never_past_its_time() {
        let (now, later) = (UnixTime::from_secs(100), UnixTime::from_secs(101));

        assert_eq!(check_invite(false, 0, Some(later), false, now), Ok(()));
        assert_eq!(check_invite(false, 1, Some(later), false, now), Err(InviteProblem::Used));
        assert_eq!(check_invite(true, 9, None, false, now), Ok(()));
        assert_eq!(check_invite(true, 0, Some(now), false, now), Err(InviteProblem::Expired));
        assert_eq!(check_invite(true, 0, None, true, now), Err(InviteProblem::Expired));
    }
}
