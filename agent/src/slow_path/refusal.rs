//! What it means to a person that the rendezvous refused, or that a certificate cannot be used.

use warren_proto::certificate::CertificateError;
use warren_proto::control::{Refused, RefusedCode};
use warren_proto::keys::UnixTime;

use crate::clock::rfc3339;
use crate::control::Unreached;
use crate::exit::{Exit, Failure};

/// Why a certificate cannot be used, at what this device takes for the time.
pub(super) fn unusable(error: CertificateError, now: UnixTime) -> Failure {
    let failure = Failure::new(Exit::Failure, format!("this device's certificate cannot be used: {error}"));
    match error {
        CertificateError::Expired | CertificateError::NotYetValid => {
            let clock = rfc3339(now);
            failure.remedy(format!("This device's clock says {clock}: set it if that is wrong, then try again."))
        }
        CertificateError::Encoding
        | CertificateError::Name
        | CertificateError::Network
        | CertificateError::Route
        | CertificateError::Signature => {
            failure.remedy("Update warren on both sides; if that does not help, `warren logout` and enrol again.")
        }
    }
}

/// Somebody answers who is not the server that the invite means.
pub(super) fn wrong_key(unreached: &Unreached) -> Failure {
    Failure::new(Exit::Failure, unreached.to_string())
        .remedy("The invite is for another server, or somebody is in between: make a new invite and try again.")
}

/// Whether a refusal is over in a moment, so that it is worth waiting for another answer.
pub(super) fn is_passing(code: RefusedCode) -> bool {
    match code {
        RefusedCode::RateLimited | RefusedCode::Unavailable => true,
        RefusedCode::DeviceRevoked
        | RefusedCode::DeviceUnknown
        | RefusedCode::EnrolmentDenied
        | RefusedCode::EnrolmentExpired
        | RefusedCode::InviteExpired
        | RefusedCode::InviteUnknown
        | RefusedCode::InviteUsed
        | RefusedCode::NameTaken
        | RefusedCode::PoolExhausted
        | RefusedCode::Proof
        | RefusedCode::Protocol
        | RefusedCode::Replaced
        | RefusedCode::Unspecified => false,
    }
}

/// What a refusal means to the person at the keyboard.
pub(super) fn refusal(refused: &Refused) -> Failure {
    let (text, remedy) = match refused.code {
        // the server's own words, which the dashboard shows too
        RefusedCode::EnrolmentDenied | RefusedCode::EnrolmentExpired => {
            (refused.text.as_str(), "Ask whoever runs it, or use an invite: `warren up INVITE`.")
        }
        RefusedCode::InviteUnknown => (
            "the server does not know this invite",
            "Check that it was pasted whole, or make another in the dashboard.",
        ),
        RefusedCode::InviteExpired => ("this invite has expired", "Make another in the dashboard (\"Add device\")."),
        RefusedCode::InviteUsed => (
            "this invite was used already",
            "Each device needs its own: make another in the dashboard (\"Add device\").",
        ),
        RefusedCode::DeviceUnknown => (
            "the server does not know this device",
            "If the server was set up anew, run `warren logout` and enrol again with a new invite.",
        ),
        RefusedCode::DeviceRevoked => (
            "this device was revoked in the dashboard",
            "To let it in again, make an invite and run `warren up INVITE`.",
        ),
        RefusedCode::Protocol => {
            ("this version of warren is too old or too new for the server", "Update both to the same version.")
        }
        RefusedCode::Proof => {
            ("the server does not believe this device's keys", "Run `warren logout` and enrol again.")
        }
        RefusedCode::RateLimited => ("the server asks to try again later", "Wait a minute and try again."),
        RefusedCode::Unavailable => ("the server is busy or being restarted", "Wait a moment and try again."),
        RefusedCode::NameTaken => {
            ("another device of the mesh has this name", "Choose another with `warren up INVITE --hostname NAME`.")
        }
        RefusedCode::PoolExhausted => {
            ("the mesh has no address left", "Revoke devices that are gone, or give the mesh a larger address pool.")
        }
        RefusedCode::Replaced => (
            "the same device connected from somewhere else",
            "If its state directory was copied, run `warren logout` on the copy and enrol it by itself.",
        ),
        RefusedCode::Unspecified => ("the server refused", "The server's log says more."),
    };
    Failure::new(Exit::Refused, text).remedy(remedy)
}

/// The stable word of `Problem::code`.
pub(super) fn problem_code(code: RefusedCode) -> &'static str {
    match code {
        RefusedCode::DeviceRevoked => "device-revoked",
        RefusedCode::DeviceUnknown => "device-unknown",
        RefusedCode::Replaced => "replaced",
        RefusedCode::EnrolmentDenied
        | RefusedCode::EnrolmentExpired
        | RefusedCode::InviteExpired
        | RefusedCode::InviteUnknown
        | RefusedCode::InviteUsed
        | RefusedCode::NameTaken
        | RefusedCode::PoolExhausted
        | RefusedCode::Proof
        | RefusedCode::Protocol
        | RefusedCode::RateLimited
        | RefusedCode::Unavailable
        | RefusedCode::Unspecified => "refused",
    }
}
