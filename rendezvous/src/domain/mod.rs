//! Pure types and rules: what a device name is, which address is free, whether an invite still works. No async, no SQL.

mod actor;
mod address_pool;
mod attempts;
mod device;
mod enrolment_code;
pub mod history;
mod invite;
mod moment;
mod role;
mod tag;
mod user_name;
mod version;

pub use actor::Actor;
pub use address_pool::{AddressPool, ula_prefix, v6_address};
pub use attempts::{Attempts, TooMany, account_subject, begin_subject, client_subject, code_subject};
pub use device::{Device, DeviceName, DeviceState};
pub use enrolment_code::EnrolmentCode;
pub use invite::{InviteProblem, check_invite};
pub use moment::rfc3339;
pub use role::{Right, Role, Scope, may_on_device};
pub use tag::{check_tags, parse_tags};
pub use user_name::{derive_user_name, parse_user_name};
pub use version::{Expected, Version};
