//! What an action answers when it does not do what it was asked. How it looks over HTTP or QUIC is `web`'s and
//! `control`'s business.

use crate::domain::TooMany;

/// Why an action was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The account is kept out.
    #[error("this account is disabled; an administrator can enable it")]
    AccountDisabled,
    /// The link was used, withdrawn, has expired or never was one.
    #[error("this link does not work (any more); ask for a new one")]
    AccountLinkInvalid,
    /// No such account.
    #[error("there is no such account")]
    AccountUnknown,
    /// As many accounts or open invites as there may be.
    #[error("there are too many accounts or open invites; remove some first")]
    AccountsFull,
    /// Not an account name.
    #[error("an account name has letters, digits and any of - . _ @ +, at most 128 bytes")]
    AdminNameInvalid,
    /// An account of that name exists.
    #[error("there is an account of that name already")]
    AdminNameTaken,
    /// The overlay prefix is full.
    #[error("every overlay address is in use; configure a larger --overlay-v4")]
    AddressPoolExhausted,
    /// The server is in a container, and nobody has said how the world reaches it.
    #[error(
        "the server does not know the address that devices reach it by: open its dashboard by that address and not as \
         localhost, or set --public-addr (WARREN_PUBLIC_ADDR)"
    )]
    AddressUnknown,
    /// It is not what the caller has seen.
    #[error("it has been changed meanwhile")]
    ChangedMeanwhile,
    /// What was begun has taken too long, or was finished before.
    #[error("this took too long; begin again")]
    CeremonyOver,
    /// Neither a code of the app at this time, nor a recovery code.
    #[error("this code is wrong or has been used; wait for the app's next one")]
    CodeWrong,
    /// No such name, or another password; which of the two is not said.
    #[error("name or password is wrong")]
    CredentialsWrong,
    /// The device left or was revoked.
    #[error("this device was revoked")]
    DeviceRevoked,
    /// No such device.
    #[error("there is no such device")]
    DeviceUnknown,
    /// Somebody said no to a device that asked to be let in.
    #[error("somebody who runs this network did not let the device in")]
    EnrolmentDenied,
    /// Nobody let the device in in time.
    #[error("nobody let the device in within 15 minutes; ask again when somebody is there")]
    EnrolmentExpired,
    /// No device asks with this code.
    #[error("no device waits with this code; it is good for 15 minutes, so ask for a new one on the device")]
    EnrolmentUnknown,
    /// Not a pattern for words like "device.revoke".
    #[error("an event is a word as `device.revoke`, or a pattern as `device.*`")]
    EventInvalid,
    /// Our fault or the host's; shown to nobody but the log.
    #[error("internal error")]
    Internal(#[from] anyhow::Error),
    /// The invite's time is over or it was withdrawn.
    #[error("this invite has expired; ask for a new one")]
    InviteExpired,
    /// No such invite.
    #[error("this server does not know this invite")]
    InviteUnknown,
    /// The one-time invite has been used.
    #[error("this invite was for one device and has been used; ask for a new one")]
    InviteUsed,
    /// The device asks with a key that another one holds.
    #[error("another device of the network holds this key; is this a copy of its state directory?")]
    KeyTaken,
    /// Not what a person would call something.
    #[error("a name has 1 to 100 characters")]
    LabelInvalid,
    /// Too short to be useful, or too long to be safe.
    #[error("a token works for a minute at least and for 366 days at most")]
    LifetimeInvalid,
    /// More of these than anybody needs.
    #[error("{0}")]
    LimitReached(&'static str),
    /// Nobody would be left who can do everything.
    #[error("this is the only owner; make somebody else an owner first")]
    LastOwner,
    /// Not a device name.
    #[error("a device name has 1 to 63 letters a-z, digits and inner hyphens")]
    NameInvalid,
    /// Another one has the name.
    #[error("another one has that name")]
    NameTaken,
    /// Both ends are away, or the same was asked of them just now.
    #[error("the pair cannot be asked at this moment")]
    PairUnready(warren_coordinator::Ungranted),
    /// Whoever asks may not do that to this account.
    #[error("only an owner may do that")]
    NotAllowed,
    /// Not a passkey's name.
    #[error("a passkey's name has 1 to 60 characters")]
    PasskeyNameInvalid,
    /// What the authenticator said does not hold, or the passkey is there already.
    #[error("this passkey could not be accepted; try again or use another")]
    PasskeyRefused,
    /// The passkey is of no account here.
    #[error("this passkey belongs to no account here; it may have been removed")]
    PasskeyUnknown,
    /// The provider's person signs in to another account already.
    #[error("this sign-in belongs to another account here")]
    OidcTaken,
    /// Nobody owns the server yet.
    #[error("this server is not set up yet; use its setup link first")]
    OidcBeforeSetup,
    /// None of the groups that the settings map to a role.
    #[error("your account at the provider has no role here; ask an administrator")]
    OidcNoRole,
    /// The provider said no, or its answer does not hold.
    #[error("the provider did not sign you in; try again")]
    OidcRefused,
    /// There is no provider, or it does not answer.
    #[error("the provider cannot be reached at the moment; try again later")]
    OidcUnavailable,
    /// The person would have no way in any more.
    #[error("this is your only way to sign in; set a password or add a passkey first")]
    OnlyWayIn,
    /// The password breaks the rule.
    #[error("{0}")]
    PasswordRefused(&'static str),
    /// The setup link was used, has expired or never was one.
    #[error("this setup link does not work (any more); make a new one with `warren-rendezvous setup-link`")]
    SetupTokenInvalid,
    /// Not words for groups.
    #[error("a tag is a word of letters, digits and any of - _ . : /, at most 63 bytes; a device has at most 32")]
    TagsInvalid,
    /// More devices ask to be let in than anybody looks through.
    #[error("too many devices wait to be let in; try again in a quarter of an hour, or use an invite")]
    TooManyAsk,
    /// No such thing, or not for them.
    #[error("there is no such thing")]
    Unknown,
    /// Not an address to tell something.
    #[error("{0}")]
    WebhookUrlInvalid(&'static str),
    /// The database does not answer.
    #[error("the database does not answer; try again later")]
    Store(#[from] sqlx::Error),
    /// After too many attempts.
    #[error("too many attempts. Try again in {} s", .0.wait.as_secs().max(1))]
    TooManyAttempts(TooMany),
}

impl From<TooMany> for Error {
    fn from(refused: TooMany) -> Self {
        Self::TooManyAttempts(refused)
    }
}
