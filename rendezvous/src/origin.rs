//! From where the request under way comes, for the audit log.
//!
//! Every change is made by some task that serves one request or one connection; that task knows the address once, here,
//! instead of each action taking it as one more argument that only the log reads. What is not within one comes from the
//! server itself.

use std::net::IpAddr;

tokio::task_local! {
    static ADDRESS: IpAddr;
}

/// Does `work` as something that was asked for from `address`.
pub(crate) async fn within<F: Future>(address: IpAddr, work: F) -> F::Output {
    ADDRESS.scope(address, work).await
}

/// The address, if somebody asked.
pub(crate) fn address() -> Option<IpAddr> {
    ADDRESS.try_with(|address| *address).ok()
}
