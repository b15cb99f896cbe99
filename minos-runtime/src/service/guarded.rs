//! Whether a service is closed, and by what.

use super::ground::Ground;
use crate::{config::Config, error::Result, handler::HandlerDef, http::Guard};

/// What a service is closed by.
pub(super) struct Lock {
    /// Of its handlers; none if it is open.
    pub(super) handlers: Option<Guard>,
    /// Of the operator's API; none if it is open to who reaches it.
    pub(super) operators: Option<Guard>,
    /// How it is closed, for the operator.
    pub(super) told: String,
}

impl Lock {
    fn open() -> Self {
        Lock { handlers: None, operators: None, told: "none (open to everyone)".to_owned() }
    }

    /// The same, with another guard of the handlers, if there is one.
    pub(super) fn guarded(self, by: Option<Guard>) -> Self {
        match by {
            Some(guard) => Lock { told: guard.describe().to_owned(), handlers: Some(guard), ..self },
            None => self,
        }
    }

    /// What the configuration says. In a test, the test says who asks: where handlers demand something of that, the service is closed without a key to verify tokens by.
    pub(super) async fn of(config: &Config, defs: &[&'static HandlerDef], ground: &dyn Ground) -> Result<Self> {
        let name = &config.service.name;
        let Some(auth) = &config.auth else {
            let is_closed = ground.is_test() && defs.iter().any(|def| def.access.is_limited());
            let is_of_this_machine = config.admin.addr.is_some_and(|addr| addr.ip().to_canonical().is_loopback());
            let instead = "give the service `[auth]`, and show a token";
            return Ok(Lock {
                handlers: is_closed.then(|| Guard::of_handlers(name)),
                operators: is_of_this_machine.then(|| Guard::of_this_machine(name, instead)),
                ..Lock::open()
            });
        };
        #[cfg(feature = "auth")]
        {
            let verifier = crate::auth::Verifier::open(auth, ground.clock()).await?;
            let told = verifier.describe();
            let guard = || Guard::of_handlers(name).verifying(verifier.clone());
            let operators = guard().of_operators(&config.admin.read_role, &config.admin.operate_role);
            Ok(Lock { handlers: Some(guard()), operators: Some(operators), told })
        }
        #[cfg(not(feature = "auth"))]
        {
            let _ = (name, auth);
            Err(crate::Error::invalid("`[auth]` needs a build with the feature `auth` of `minos`: without it, the service would be open"))
        }
    }
}

/// Handlers that would be open though they say who may call them.
pub(super) fn unprotected(config: &Config, defs: &[&'static HandlerDef]) -> Vec<String> {
    if config.auth.is_some() {
        return Vec::new();
    }
    let limited = defs.iter().filter(|def| def.access.is_limited());
    let told = |def: &&HandlerDef| {
        format!(
            "`{}` at {} is for some callers only, and without `[auth]` in the configuration everybody could call it: say there by what tokens are verified",
            def.function,
            def.place()
        )
    };
    limited.map(told).collect()
}

#[cfg(all(test, not(feature = "auth")))]
mod tests {
    #[tokio::test]
    async fn a_build_that_cannot_verify_tokens_is_not_open_instead() {
        let text = "[service]\nname = \"x\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[auth]\nsecret = \"0123456789abcdef0123456789abcdef\"";
        let started = crate::Service::from_toml(text).unwrap().module("none").start().await;
        let told = started.map(|_| ()).unwrap_err().chain();
        assert!(told.contains("needs a build with the feature `auth`"), "{told}");
    }
}
