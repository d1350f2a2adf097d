//! What is to be known of the provider, and which of its groups has which role here.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::domain::Role;

/// The provider, as the settings describe it.
#[derive(Clone)]
pub struct OidcConfig {
    /// Its base URL, as its tokens say it.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// What we prove that with, if it asks for it.
    pub client_secret: Option<String>,
    /// The file that says so, if one does.
    pub client_secret_file: Option<PathBuf>,
    /// What the button says.
    pub name: String,
    /// The claim that `roles` looks at.
    pub role_claim: String,
    /// Who has which role.
    pub roles: RoleMap,
    /// Certificate authority (PEM) of a provider that has one of its own.
    pub ca: Option<PathBuf>,
}

impl OidcConfig {
    /// Whether the secret was said as such, and not by a file.
    pub(crate) fn has_secret_of_its_own(&self) -> bool {
        self.client_secret.is_some() && self.client_secret_file.is_none()
    }
}

impl fmt::Debug for OidcConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OidcConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// `GROUP=ROLE,..`: the most powerful role of all that match; `*` matches everybody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RoleMap(Vec<(String, Role)>);

impl RoleMap {
    /// Everybody a member, once: what an administrator makes of them later stays.
    pub fn members() -> Self {
        Self(Vec::new())
    }

    /// Reads a map.
    pub fn parse(text: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let Some((group, role)) = pair.rsplit_once('=') else {
                bail!("--oidc-roles is GROUP=ROLE,GROUP=ROLE.., and {pair:?} has no =");
            };
            let Some(role) = Role::parse(role.trim()) else {
                bail!("--oidc-roles: a role is owner, admin, operator, viewer or member, not {role:?}");
            };
            pairs.push((group.trim().to_owned(), role));
        }
        Ok(Self(pairs))
    }

    /// Whether roles follow the provider at every sign-in.
    pub fn is_authoritative(&self) -> bool {
        !self.0.is_empty()
    }

    /// The role of somebody in these groups; `None` for who may not sign in at all.
    pub fn role(&self, groups: &[String]) -> Option<Role> {
        if self.0.is_empty() {
            return Some(Role::Member);
        }
        let found = self.0.iter().filter(|(group, _)| group == "*" || groups.contains(group));
        // in the order of power
        let roles: Vec<Role> = found.map(|(_, role)| *role).collect();
        Role::ALL.into_iter().find(|role| roles.contains(role))
    }
}

impl fmt::Display for RoleMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(group, role)| format!("{group}={role}")).collect();
        f.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_powerful_role_of_all_groups_counts() {
        let map = RoleMap::parse("net=operator, net-admins = admin").unwrap();
        let role = |groups: &[&str]| map.role(&groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>());

        assert_eq!(role(&["net"]), Some(Role::Operator));
        assert_eq!(role(&["net", "net-admins", "other"]), Some(Role::Admin));
        assert_eq!(role(&["other"]), None);
        assert_eq!(RoleMap::parse("net=operator,*=viewer").unwrap().role(&[]), Some(Role::Viewer));
        assert_eq!(RoleMap::members().role(&[]), Some(Role::Member));
        assert!(RoleMap::parse("net").is_err() && RoleMap::parse("net=root").is_err());
    }
}
