//! The macros in surroundings that are not kind to them: names that shadow the prelude, lints that deny, items that other macros make.

#![deny(missing_docs, warnings)]
#![forbid(unsafe_code)]
#![allow(unreachable_pub)]

/// A user's own names for what expansions need.
#[allow(dead_code, missing_docs)]
mod shadowed {
    pub struct Result;
    pub struct Option;
    pub struct String;
    pub struct Vec;
    pub struct Box;
    #[allow(non_snake_case)]
    pub fn Ok() {}
    #[allow(non_snake_case)]
    pub fn Err() {}
    pub mod core {}
    pub mod std {}
    pub mod serde {}
    pub mod minos {}

    #[::minos::aggregate]
    pub struct Odd {
        pub r#type: u32,
        pub n: i64,
    }

    #[::minos::aggregate]
    impl Odd {
        #[event("TypeSet")]
        pub fn type_set(&mut self, r#type: u32) {
            self.r#type = r#type;
        }
    }

    #[::minos::message("OddMessage", reply = u32, key = r#type)]
    pub struct OddMessage {
        pub r#type: u32,
    }

    #[::minos::command("Shadowed", POST "/shadowed/{n}")]
    async fn r#match(cx: &mut ::minos::Context, ::minos::Path(n): ::minos::Path<u32>, input: u64) -> ::minos::Result<u64> {
        let _ = (cx, n);
        ::core::result::Result::Ok(input)
    }
}

/// Methods of every visibility, with all that Rust lets stand on them.
pub mod bank {
    use minos::prelude::*;

    /// An account.
    #[aggregate]
    #[derive(Default)]
    pub struct Account {
        /// What is on it.
        pub balance: u64,
        /// What it was called.
        pub names: Vec<String>,
    }

    #[aggregate]
    impl Account {
        /// Money came.
        #[event("MoneyCame")]
        fn came(
            &mut self,
            /// How much.
            mut amount: u64,
            #[cfg(any())] from: ThisTypeDoesNotExist,
        ) {
            amount *= 2;
            self.balance += amount / 2;
        }

        /// It got a name.
        #[event("AccountNamed")]
        pub(crate) fn named(&mut self, name: String) {
            self.names.push(name);
        }

        /// It got two names.
        #[event("AccountNamedTwice")]
        pub(in crate::bank) fn named_twice(&mut self, r#type: String) {
            self.names.extend([r#type.clone(), r#type]);
        }

        /// Not in this build.
        #[cfg(any())]
        #[event("NeverHappened")]
        pub fn never(&mut self, what: ThisTypeDoesNotExist) {
            self.balance = what;
        }

        /// Not in this build, either.
        #[cfg(any())]
        pub fn never_calls(&mut self, what: ThisTypeDoesNotExist) {
            self.never(what);
        }

        /// Deposits.
        pub fn deposit(&mut self, amount: u64) -> Result<()> {
            ensure!(amount > 0, "nothing");
            self.came(amount);
            Ok(())
        }

        /// Deposits what will be known later.
        pub async fn deposit_later(&mut self, amount: impl Future<Output = u64> + Send) -> Result<()> {
            self.deposit(amount.await)
        }

        /// An account that has nothing.
        pub const EMPTY: u64 = 0;
    }

    /// What may be done in this module.
    pub fn everything(account: &mut Root<Account>) -> Result<()> {
        account.came(1);
        account.named("a".to_owned());
        account.named_twice("b".to_owned());
        account.deposit(1)
    }
}

/// What macros of the user make.
mod made {
    use minos::prelude::*;

    macro_rules! handlers {
        ($($name:ident $topic:literal $input:ty;)*) => {
            $(#[command($topic)]
            async fn $name(cx: &mut Context, input: $input) -> Result<$input> {
                let _ = cx.now();
                Ok(input)
            })*
        };
    }

    handlers! {
        one "One" u32;
        two "Two" String;
        handle "Handle" u32;
        request "Request" u32;
        cx "Cx" u32;
    }

    #[command("Documented")]
    #[deprecated = "for another"]
    #[allow(clippy::unused_async)]
    async fn documented(
        /// What it takes.
        input: u32,
    ) -> u32 {
        input
    }

    #[command("InSomeBuilds")]
    async fn in_some_builds(
        #[cfg(any())] cx: &mut Context,
        #[cfg(not(any()))] cx: &mut Context,
        #[cfg(any())] input: ThisTypeDoesNotExist,
        #[cfg(not(any()))] input: u32,
    ) -> u32 {
        let _ = cx;
        input
    }

    #[cfg(any())]
    #[command("NotThere")]
    async fn not_there(input: ThisTypeDoesNotExist) {}

    #[command("NotThereEither")]
    #[cfg(any())]
    async fn not_there_either(input: ThisTypeDoesNotExist) {}

    #[cfg(any())]
    #[aggregate]
    struct NotThere {
        field: ThisTypeDoesNotExist,
    }

    #[aggregate]
    #[cfg(any())]
    struct NotThereEither {
        field: ThisTypeDoesNotExist,
    }

    /// With serde's own attributes.
    #[aggregate]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Renamed {
        /// Stored under another name.
        #[serde(rename = "kind")]
        pub of: u32,
        /// Not stored at all.
        #[serde(skip)]
        pub cached: u32,
        /// Not written if there is none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        pub note: Option<String>,
        /// A tree of itself.
        pub children: Vec<Renamed>,
    }

    /// With derives of the user's own.
    #[derive(Serialize, Deserialize, Aggregate)]
    pub struct Derived {
        /// A field.
        pub field: u32,
    }
}

use minos::prelude::*;

#[test]
fn what_is_stored_is_known() {
    assert_eq!(shadowed::Odd::FIELDS, ["type", "n"]);
    assert_eq!(made::Renamed::FIELDS, ["kind", "note", "children"]);
    assert_eq!((made::Derived::NAME, made::Derived::FIELDS), ("Derived", &["field"][..]));
    let message = shadowed::OddMessage { r#type: 7 };
    assert_eq!((shadowed::OddMessage::NAME, message.key()), ("OddMessage", Some("7".to_owned())));
    assert_eq!(shadowed::TypeSet { r#type: 1 }.clone().r#type, 1);
}

/// What another module may do: `deposit` is in `AccountEvents`, `named` in `AccountCrateEvents`; the others are in traits that are not visible here.
mod elsewhere {
    use super::bank::{Account, AccountCrateEvents as _, AccountEvents as _, MoneyCame, everything};
    use minos::prelude::*;

    #[command("UseAccount")]
    async fn use_account(cx: &mut Context) -> Result<(u64, Vec<String>)> {
        let mut account = Account::create(cx, Account::default()).await?;
        everything(&mut account)?;
        account.deposit(1)?;
        account.deposit_later(std::future::ready(1)).await?;
        account.named("c".to_owned());
        account.save(cx).await?;
        let account = Account::get(cx, account.uuid()).await?;
        Ok((account.balance + Account::EMPTY + MoneyCame { amount: 0 }.amount, account.names.clone()))
    }
}

#[tokio::test]
async fn event_methods_have_the_visibility_that_they_are_given() {
    let text = "[service]\nname = \"visibility\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"";
    let running = Service::from_toml(text).unwrap().module("macros::elsewhere").start().await.unwrap();
    let answer = running.call("UseAccount", &()).await.unwrap();
    assert_eq!(answer.body(), br#"[4,["a","b","b","c"]]"#.as_slice());
    running.stop().await;
}

#[tokio::test]
async fn handlers_are_registered_where_they_stand() {
    let text = "[service]\nname = \"macros\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"";
    let running = Service::from_toml(text).unwrap().module("macros").start().await.unwrap();
    let topics: std::vec::Vec<_> = running.topics().collect();
    assert_eq!(topics, ["Cx", "Documented", "Handle", "InSomeBuilds", "One", "Request", "Shadowed", "Two", "UseAccount"]);
    running.stop().await;
}
