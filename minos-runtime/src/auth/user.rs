//! The caller, as handlers see it.

use super::{Identity, identity::Parts};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::sync::LazyLock;

/// The caller, as far as it is known: who asked, or whoever asked for what has led to this message.
///
/// Without `[auth]` in the configuration the service is open, and every caller from outside is anonymous. With it, callers of handlers are known unless these are
/// `public`.
///
/// ```
/// use minos_runtime::User;
///
/// fn may_close(user: &User) -> bool {
///     user.has_role("admin") || user.claim::<u32>("level").is_some_and(|level| level > 2)
/// }
/// assert!(may_close(&User::new("ada").with_role("admin")));
/// assert!(!may_close(&User::anonymous()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User(Option<Identity>);

impl User {
    /// A caller with this id, which the service has verified or another service of the system vouches for.
    pub fn new(id: impl Into<String>) -> Self {
        User(Some(Identity::from(id.into())))
    }

    /// A caller that is not known.
    pub fn anonymous() -> Self {
        User::default()
    }

    /// A service that acts by itself, with nobody who has asked it to. It has no roles, and passes where only a known caller is asked for.
    pub fn service(name: impl Into<String>) -> Self {
        User(Some(Identity::new(Parts { id: name.into(), is_service: true, ..Parts::default() }, |_| false)))
    }

    /// The same caller with this role.
    #[must_use]
    pub fn with_role(self, role: impl Into<String>) -> Self {
        self.changed(|parts| parts.roles.push(role.into()))
    }

    /// The same caller with this scope.
    #[must_use]
    pub fn with_scope(self, scope: impl Into<String>) -> Self {
        self.changed(|parts| parts.scopes.push(scope.into()))
    }

    /// The same caller with this claim, which goes with all that follows.
    #[must_use]
    pub fn with_claim(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.changed(|parts| {
            parts.claims.insert(name.into(), value.into());
        })
    }

    /// Nothing can be said of who is not known.
    fn changed(self, change: impl FnOnce(&mut Parts)) -> Self {
        User(self.0.map(|identity| {
            let mut parts = identity.parts().clone();
            change(&mut parts);
            Identity::new(parts, |_| true)
        }))
    }

    /// The caller's id, if known. Of a [service](User::service), its name.
    pub fn id(&self) -> Option<&str> {
        self.0.as_ref().map(Identity::id)
    }

    /// Whether nothing is known of the caller.
    pub fn is_anonymous(&self) -> bool {
        self.0.is_none()
    }

    /// Whether this is a service that acts by itself.
    pub fn is_service(&self) -> bool {
        self.parts().is_some_and(|parts| parts.is_service)
    }

    /// Whether the caller has this role.
    pub fn has_role(&self, role: &str) -> bool {
        self.roles().iter().any(|known| known == role)
    }

    /// Whether the caller's token is for this, as OAuth has it.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes().iter().any(|known| known == scope)
    }

    /// The caller's roles.
    pub fn roles(&self) -> &[String] {
        self.parts().map_or(&[], |parts| &parts.roles)
    }

    /// What the caller's token is for.
    pub fn scopes(&self) -> &[String] {
        self.parts().map_or(&[], |parts| &parts.scopes)
    }

    /// What else the caller's token says. A handler that the request itself calls sees all of it; what follows from the request sees what `auth.carry` names.
    pub fn claims(&self) -> &Map<String, Value> {
        static NONE: LazyLock<Map<String, Value>> = LazyLock::new(Map::new);
        self.parts().map_or(&NONE, |parts| &parts.claims)
    }

    /// This claim, if it is there and of this type.
    pub fn claim<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.claims().get(name)?).ok()
    }

    /// What goes with everything that follows from the request.
    pub fn identity(&self) -> Option<&Identity> {
        self.0.as_ref()
    }

    fn parts(&self) -> Option<&Parts> {
        self.0.as_ref().map(Identity::parts)
    }
}

impl From<Option<Identity>> for User {
    fn from(identity: Option<Identity>) -> Self {
        User(identity)
    }
}

impl From<Identity> for User {
    fn from(identity: Identity) -> Self {
        User(Some(identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_a_user() {
        let user = User::new("ada").with_role("clerk").with_scope("orders:read").with_claim("tenant", 7);
        assert!(user.has_role("clerk") && !user.has_role("Clerk") && !user.has_role("cler") && !user.has_role(""));
        assert!(user.has_scope("orders:read") && !user.has_scope("orders"));
        assert_eq!((user.id(), user.claim("tenant"), user.claim::<String>("tenant")), (Some("ada"), Some(7), None));
        let carried = User::from(user.identity().map(|identity| Identity::of_text(identity.text())));
        assert!(carried.has_role("clerk") && carried.has_scope("orders:read") && carried.claim("tenant") == Some(7));
        assert!(!user.is_service() && User::service("order").is_service());
    }

    #[test]
    fn nothing_is_known_of_the_anonymous_one() {
        let nobody = User::anonymous().with_role("admin").with_scope("x").with_claim("a", 1);
        assert!(nobody.is_anonymous() && !nobody.has_role("admin") && !nobody.has_scope("x") && nobody.claims().is_empty());
        assert_eq!(std::mem::size_of::<User>(), std::mem::size_of::<usize>(), "what no request needs takes no room");
    }
}
