//! What a person may do: a role is a set of rights, and whoever lacks one still has what they own.

use std::fmt;

use sqlx::types::Uuid;

use super::Device;

/// What a person is to this server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Everything but what concerns owners.
    Admin,
    /// Their own devices, and no others.
    Member,
    /// The devices and their invites, but neither people nor the server.
    Operator,
    /// Everything. There is always at least one.
    Owner,
    /// Sees the mesh and what happened in it, and changes nothing.
    Viewer,
}

/// What a role permits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Right {
    /// Rename, hold to the relay, revoke: any device.
    ManageDevices,
    /// Make and withdraw invites of any kind.
    ManageInvites,
    /// Settings, backups, the System page.
    ManageServer,
    /// Accounts below one's own.
    ManageUsers,
    /// Who did what.
    ReadActivity,
    /// Every device and every path.
    ReadMesh,
}

impl Role {
    /// Every role, the most powerful first.
    pub const ALL: [Self; 5] = [Self::Owner, Self::Admin, Self::Operator, Self::Viewer, Self::Member];

    /// Whether the role permits this, for every object there is.
    pub const fn has(self, right: Right) -> bool {
        match self {
            Self::Admin | Self::Owner => true,
            Self::Member => false,
            Self::Operator => match right {
                Right::ManageDevices | Right::ManageInvites | Right::ReadActivity | Right::ReadMesh => true,
                Right::ManageServer | Right::ManageUsers => false,
            },
            Self::Viewer => match right {
                Right::ReadActivity | Right::ReadMesh => true,
                Right::ManageDevices | Right::ManageInvites | Right::ManageServer | Right::ManageUsers => false,
            },
        }
    }

    /// Whether the person may bring devices of their own.
    pub const fn may_add_devices(self) -> bool {
        matches!(self, Self::Member) || self.has(Right::ManageDevices)
    }

    /// Whether accounts of the role `other` are this one's to make, change and remove: owners are for owners only.
    pub const fn may_manage(self, other: Self) -> bool {
        self.has(Right::ManageUsers) && (matches!(self, Self::Owner) || !matches!(other, Self::Owner))
    }

    /// The word in the database, in forms and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Member => "member",
            Self::Operator => "operator",
            Self::Owner => "owner",
            Self::Viewer => "viewer",
        }
    }

    /// The role of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Right {
    /// Every right.
    pub const ALL: [Self; 6] = [
        Self::ManageDevices,
        Self::ManageInvites,
        Self::ManageServer,
        Self::ManageUsers,
        Self::ReadActivity,
        Self::ReadMesh,
    ];

    /// The word in forms and in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ManageDevices => "manage-devices",
            Self::ManageInvites => "manage-invites",
            Self::ManageServer => "manage-server",
            Self::ManageUsers => "manage-users",
            Self::ReadActivity => "read-activity",
            Self::ReadMesh => "read-mesh",
        }
    }

    /// The right of this word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.name() == word)
    }
}

/// Which devices somebody sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// All of the mesh.
    Mesh,
    /// Those of this person.
    Own(Uuid),
}

impl Scope {
    /// What a person of this role sees.
    pub const fn of(role: Role, user: Uuid) -> Self {
        if role.has(Right::ReadMesh) { Self::Mesh } else { Self::Own(user) }
    }

    /// Whether the device is among them.
    pub fn holds(self, device: &Device) -> bool {
        match self {
            Self::Mesh => true,
            Self::Own(user) => device.owner_id == Some(user),
        }
    }
}

/// Whether a person may do what `right` permits to this device: by role, or because it is theirs.
pub fn may_on_device(role: Role, user: Uuid, right: Right, device: &Device) -> bool {
    let own = role.may_add_devices() && device.owner_id == Some(user);
    role.has(right) || (own && matches!(right, Right::ManageDevices | Right::ReadMesh))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_has_the_rights_of_the_table() {
        let table = [
            (Role::Owner, "manage-devices manage-invites manage-server manage-users read-activity read-mesh"),
            (Role::Admin, "manage-devices manage-invites manage-server manage-users read-activity read-mesh"),
            (Role::Operator, "manage-devices manage-invites read-activity read-mesh"),
            (Role::Viewer, "read-activity read-mesh"),
            (Role::Member, ""),
        ];

        for (role, rights) in table {
            let has: Vec<_> = Right::ALL.into_iter().filter(|right| role.has(*right)).map(Right::name).collect();
            assert_eq!(has.join(" "), rights, "{role}");
        }
    }

    #[test]
    fn only_an_owner_manages_owners_and_only_owners_and_admins_manage_anybody() {
        assert!(Role::Owner.may_manage(Role::Owner) && Role::Owner.may_manage(Role::Admin));
        assert!(Role::Admin.may_manage(Role::Admin) && !Role::Admin.may_manage(Role::Owner));
        for role in [Role::Operator, Role::Viewer, Role::Member] {
            assert!(Role::ALL.into_iter().all(|other| !role.may_manage(other)), "{role}");
        }
    }

    #[test]
    fn roles_and_rights_read_back_from_their_words() {
        assert!(Role::ALL.into_iter().all(|role| Role::parse(role.name()) == Some(role)));
        assert!(Right::ALL.into_iter().all(|right| Right::parse(right.name()) == Some(right)));
        assert_eq!((Role::parse("root"), Right::parse("")), (None, None));
    }
}
