//! What an action answers when it does not do what it was asked. How it looks over HTTP or QUIC is `web`'s and
//! `control`'s business.

/// Why an action was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
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
    /// The device left or was revoked.
    #[error("this device was revoked")]
    DeviceRevoked,
    /// No such device.
    #[error("there is no such device")]
    DeviceUnknown,
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
    /// Not a device name.
    #[error("a device name has 1 to 63 letters a-z, digits and inner hyphens")]
    NameInvalid,
    /// Another one has the name.
    #[error("another one has that name")]
    NameTaken,
    /// Both ends are away, or the same was asked of them just now.
    #[error("the pair cannot be asked at this moment")]
    PairUnready(warren_coordinator::Ungranted),
    /// The password breaks the rule.
    #[error("{0}")]
    PasswordRefused(&'static str),
    /// The setup link was used, has expired or never was one.
    #[error("this setup link does not work (any more); make a new one with `warren-rendezvous setup-link`")]
    SetupTokenInvalid,
    /// Not words for groups.
    #[error("a tag is a word of letters, digits and any of - _ . : /, at most 63 bytes; a device has at most 32")]
    TagsInvalid,
    /// No such thing, or not for them.
    #[error("there is no such thing")]
    Unknown,
    /// Not an address to tell something.
    #[error("{0}")]
    WebhookUrlInvalid(&'static str),
    /// The database does not answer.
    #[error("the database does not answer; try again later")]
    Store(#[from] sqlx::Error),
}
