//! What a handler demands of who calls it.

use super::User;
use std::fmt;

/// Who may call a handler, as its macro says it: `public`, `roles("admin", "clerk")`, `scopes("orders:read")`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Whether anybody may.
    pub public: bool,
    /// Of these roles, the caller has one at least; none are demanded if there are none.
    pub roles: &'static [&'static str],
    /// The caller's token is for all of these.
    pub scopes: &'static [&'static str],
}

impl Access {
    /// Whoever is known.
    pub const CLOSED: Access = Access { public: false, roles: &[], scopes: &[] };

    /// Anybody.
    pub const PUBLIC: Access = Access { public: true, ..Access::CLOSED };

    /// Who has one of these roles, and all of these scopes.
    pub const fn of(roles: &'static [&'static str], scopes: &'static [&'static str]) -> Self {
        Access { public: false, roles, scopes }
    }

    /// Whether more is demanded than to be known.
    pub const fn is_limited(&self) -> bool {
        !self.roles.is_empty() || !self.scopes.is_empty()
    }

    /// Whether this caller may call the handler.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self, user: &User) -> Result<(), Denied> {
        if self.public {
            return Ok(());
        }
        if user.is_anonymous() {
            return Err(Denied::Unknown);
        }
        if !self.roles.is_empty() && !self.roles.iter().any(|role| user.has_role(role)) {
            return Err(Denied::Role(self.roles));
        }
        match self.scopes.iter().all(|scope| user.has_scope(scope)) {
            true => Ok(()),
            false => Err(Denied::Scope(self.scopes)),
        }
    }
}

/// Why a caller may not call a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nobody knows who it is.
    #[error("only known callers may do this, and nobody vouches for who asks")]
    Unknown,
    /// The caller has none of these roles.
    #[error("this takes {}", Any(.0))]
    Role(&'static [&'static str]),
    /// The caller's token is not for all of this.
    #[error("this takes {}", All(.0))]
    Scope(&'static [&'static str]),
}

/// `the role `admin` or `clerk``.
struct Any<'a>(&'a [&'static str]);

/// `a token with the scopes `a` and `b``.
struct All<'a>(&'a [&'static str]);

impl fmt::Display for Any<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the role ")?;
        listed(f, self.0, " or ")
    }
}

impl fmt::Display for All<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() > 1 { "a token with the scopes " } else { "a token with the scope " })?;
        listed(f, self.0, " and ")
    }
}

fn listed(f: &mut fmt::Formatter<'_>, words: &[&str], between: &str) -> fmt::Result {
    for (n, word) in words.iter().enumerate() {
        write!(f, "{}`{word}`", if n > 0 { between } else { "" })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_the_roles_and_all_of_the_scopes() {
        let nobody = User::anonymous();
        let (user, service) = (User::new("ada"), User::service("order"));
        assert_eq!((Access::PUBLIC.admit(&nobody), Access::CLOSED.admit(&nobody)), (Ok(()), Err(Denied::Unknown)));
        assert_eq!((Access::CLOSED.admit(&user), Access::CLOSED.admit(&service)), (Ok(()), Ok(())));
        const ROLES: Access = Access::of(&["admin", "clerk"], &[]);
        for (user, admitted) in [
            (nobody.clone(), Err(Denied::Unknown)),
            (user.clone(), Err(Denied::Role(&["admin", "clerk"]))),
            (service, Err(Denied::Role(&["admin", "clerk"]))),
            (user.clone().with_role("other"), Err(Denied::Role(&["admin", "clerk"]))),
            (user.clone().with_scope("admin"), Err(Denied::Role(&["admin", "clerk"]))),
            (user.clone().with_role("clerk"), Ok(())),
        ] {
            assert_eq!(ROLES.admit(&user), admitted, "{user:?}");
        }
        const BOTH: Access = Access::of(&["clerk"], &["a", "b"]);
        let clerk = user.with_role("clerk").with_scope("a");
        let denied = BOTH.admit(&clerk).unwrap_err();
        assert_eq!(denied.to_string(), "this takes a token with the scopes `a` and `b`");
        assert_eq!(BOTH.admit(&clerk.with_scope("b")), Ok(()));
        assert_eq!(ROLES.admit(&User::new("x")).unwrap_err().to_string(), "this takes the role `admin` or `clerk`");
    }
}
