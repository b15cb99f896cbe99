/// The event `MoneyDeposited`.
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::minos::__private::serde::Serialize,
    ::minos::__private::serde::Deserialize
)]
#[serde(crate = "::minos::__private::serde")]
#[allow(missing_docs, dead_code)]
pub struct MoneyDeposited {
    pub amount: u64,
}
const _: () = {
    #[automatically_derived]
    impl ::minos::__private::DomainEvent for MoneyDeposited {
        type Aggregate = Account;
        const NAME: &'static str = "MoneyDeposited";
        fn apply(self, state: &mut Account) {
            let MoneyDeposited { amount } = self;
            <Account>::__minos_apply_deposited(state, amount)
        }
    }
    #[allow(unused_imports)]
    use ::minos::__private::NotTraced as _;
    ::minos::__private::inventory::submit! {
        ::minos::__private::EventDef::of:: < MoneyDeposited >
        (::minos::__private::Look::Fields("MoneyDeposited", & [("amount",
        ::minos::__private::Of:: < u64 > ::SEEN)]), ::core::module_path!(),
        ::core::file!(), ::core::line!())
    }
    #[cfg(test)]
    ::minos::__private::persisted! {
        event MoneyDeposited
    }
};
/// The event `MoneyWithdrawn`.
#[derive(
    ::core::fmt::Debug,
    ::core::clone::Clone,
    ::minos::__private::serde::Serialize,
    ::minos::__private::serde::Deserialize
)]
#[serde(crate = "::minos::__private::serde")]
#[allow(missing_docs, dead_code)]
pub struct MoneyWithdrawn {
    pub amount: u64,
}
const _: () = {
    #[automatically_derived]
    impl ::minos::__private::DomainEvent for MoneyWithdrawn {
        type Aggregate = Account;
        const NAME: &'static str = "MoneyWithdrawn";
        fn apply(self, state: &mut Account) {
            let MoneyWithdrawn { amount } = self;
            <Account>::__minos_apply_withdrawn(state, amount)
        }
    }
    #[allow(unused_imports)]
    use ::minos::__private::NotTraced as _;
    ::minos::__private::inventory::submit! {
        ::minos::__private::EventDef::of:: < MoneyWithdrawn >
        (::minos::__private::Look::Fields("MoneyWithdrawn", & [("amount",
        ::minos::__private::Of:: < u64 > ::SEEN)]), ::core::module_path!(),
        ::core::file!(), ::core::line!())
    }
    #[cfg(test)]
    ::minos::__private::persisted! {
        event MoneyWithdrawn
    }
};
impl Account {
    #[doc(hidden)]
    #[allow(unused, clippy::all)]
    fn deposited(&mut self, amount: u64)
    where
        for<'minos> Self: ::minos::__private::Recorded,
    {
        ::core::unreachable!()
    }
    #[doc(hidden)]
    #[allow(unused_variables)]
    fn __minos_apply_deposited(&mut self, amount: u64) {
        self.balance += amount;
    }
    #[doc(hidden)]
    #[allow(unused, clippy::all)]
    fn withdrawn(&mut self, amount: u64)
    where
        for<'minos> Self: ::minos::__private::Recorded,
    {
        ::core::unreachable!()
    }
    #[doc(hidden)]
    #[allow(unused_variables)]
    fn __minos_apply_withdrawn(&mut self, amount: u64) {
        self.balance -= amount;
    }
    #[doc(hidden)]
    #[allow(unused, clippy::all)]
    pub fn withdraw(&mut self, amount: u64) -> Result<()>
    where
        for<'minos> Self: ::minos::__private::Recorded,
    {
        ::core::unreachable!()
    }
}
/// What can happen to [`Account`]: methods of what `create` and `get` return, each of which records its event.
#[allow(missing_docs)]
trait AccountPrivateEvents {
    fn deposited(&mut self, amount: u64);
    fn withdrawn(&mut self, amount: u64);
}
impl AccountPrivateEvents for ::minos::__private::Root<Account> {
    fn deposited(&mut self, amount: u64) {
        ::minos::__private::Root::record(self, MoneyDeposited { amount })
    }
    fn withdrawn(&mut self, amount: u64) {
        ::minos::__private::Root::record(self, MoneyWithdrawn { amount })
    }
}
/// What can happen to [`Account`]: methods of what `create` and `get` return, each of which records its event.
#[allow(missing_docs)]
pub trait AccountEvents {
    /// Rules live in a plain method, which runs once, when the command does.
    fn withdraw(&mut self, amount: u64) -> Result<()>;
}
impl AccountEvents for ::minos::__private::Root<Account> {
    fn withdraw(&mut self, amount: u64) -> Result<()> {
        ensure!(self.balance >= amount, "insufficient funds");
        self.withdrawn(amount);
        Ok(())
    }
}
