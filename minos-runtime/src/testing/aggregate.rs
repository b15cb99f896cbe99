//! Tests that read like the domain: given what happened, when this is done, then that happens.

use super::service::{TestService, block_on, collected};
use crate::{
    aggregate::{Aggregate, DomainEvent, Root},
    context::Context,
    error::{Error, ErrorKind, Result},
    message::{Envelope, Message},
    store::{NewEvent, OutboxRow, Unit},
};
use serde_json::Value;
use std::{fmt, marker::PhantomData, time::Duration};
use uuid::Uuid;

/// Begins a test of one aggregate, of which nothing has happened yet.
///
/// ```
/// # use minos_runtime as minos;
/// # use minos::{Aggregate, Context, Error, Result, Uuid};
/// # #[derive(serde::Serialize, serde::Deserialize, Debug, PartialEq)] pub struct Account { balance: i64 }
/// # impl Aggregate for Account { const NAME: &'static str = "Account"; const FIELDS: &'static [&'static str] = &["balance"]; }
/// # async fn withdraw(cx: &mut Context, uuid: Uuid, amount: i64) -> Result<()> {
/// #     let mut account = Account::get(cx, uuid).await?;
/// #     if account.balance < amount { return Err(Error::rejected("insufficient funds")); }
/// #     account.balance -= amount;
/// #     account.save(cx).await
/// # }
/// use minos::testing::{Changed, given};
/// use serde_json::json;
///
/// given::<Account>()
///     .created(Account { balance: 10 })
///     .when(async |cx, account| withdraw(cx, account, 3).await)
///     .then(Changed(json!({ "balance": 7 })));
///
/// given::<Account>()
///     .created(Account { balance: 10 })
///     .when(async |cx, account| withdraw(cx, account, 30).await)
///     .rejected("insufficient funds");
/// ```
pub fn given<A: Aggregate>() -> Given<A> {
    Given { service: TestService::new(), uuid: Uuid::from_u128(UUID), of: PhantomData }
}

/// The uuid of the aggregate that a test is about.
const UUID: u128 = 0x0000_0000_0000_7000_8000_0000_0000_00aa;

/// What is the case before something is done. Each step is an hour after the one before.
pub struct Given<A> {
    service: TestService,
    uuid: Uuid,
    of: PhantomData<fn() -> A>,
}

impl<A> fmt::Debug for Given<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("uuid", &self.uuid).finish_non_exhaustive()
    }
}

impl<A: Aggregate> Given<A> {
    /// The service has this value for [`Context::resource`].
    #[must_use]
    #[track_caller]
    pub fn with<T: Send + Sync + 'static>(self, value: T) -> Self {
        Given { service: self.service.with(value), ..self }
    }

    /// It was created with this state.
    #[must_use]
    #[track_caller]
    pub fn created(self, state: A) -> Self {
        let uuid = self.uuid;
        self.happened_by(async move |cx| A::create_as(cx, uuid, state).await.map(|_| ()))
    }

    /// This happened to it.
    #[must_use]
    #[track_caller]
    pub fn happened<E: DomainEvent<Aggregate = A>>(self, event: E) -> Self {
        self.changed_by(move |root| root.record(event))
    }

    /// Its fields were changed so.
    #[must_use]
    #[track_caller]
    pub fn changed(self, change: impl FnOnce(&mut A) + Send) -> Self {
        self.changed_by(move |root| change(&mut *root))
    }

    /// It was deleted.
    #[must_use]
    #[track_caller]
    pub fn deleted(self) -> Self {
        let uuid = self.uuid;
        self.happened_by(async move |cx| A::get(cx, uuid).await?.delete(cx).await)
    }

    #[track_caller]
    fn changed_by(self, change: impl FnOnce(&mut Root<A>) + Send) -> Self {
        let uuid = self.uuid;
        self.happened_by(async move |cx| {
            let mut root = A::get(cx, uuid).await?;
            change(&mut root);
            root.save(cx).await
        })
    }

    /// Anything else happened in the service, such as to another aggregate.
    #[must_use]
    #[track_caller]
    pub fn happened_by(self, work: impl AsyncFnOnce(&mut Context) -> Result<()> + Send) -> Self {
        if let Err(error) = self.service.run(work) {
            panic!("what is given cannot have happened: {}", error.chain());
        }
        self.service.wait(Duration::from_secs(3600));
        self
    }

    /// The clock shows so much more by then.
    #[must_use]
    pub fn after(self, time: Duration) -> Self {
        self.service.wait(time);
        self
    }

    /// The service in which all this is.
    pub fn service(&self) -> &TestService {
        &self.service
    }

    /// The uuid of the aggregate.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Does something: most often, it calls the function of a handler. It gets the uuid of the aggregate.
    #[must_use = "say what is to come of it: `then`, `rejected`, `answered`"]
    pub fn when<T: Send>(self, work: impl AsyncFnOnce(&mut Context, Uuid) -> Result<T> + Send) -> Then<A, T> {
        let (service, uuid) = (self.service, self.uuid);
        let mut unit = None;
        let done = block_on(async || {
            let mut cx = service.context(service.new_uuid());
            let value = work(&mut cx, uuid).await?;
            let done = collected(cx)?;
            service.commit(done.clone()).await?;
            unit = Some(done);
            Ok(value)
        });
        Then {
            service,
            uuid,
            done,
            unit: unit.unwrap_or_else(|| Unit::new(jiff::Timestamp::UNIX_EPOCH, crate::store::Cause::nobody())),
            of: PhantomData,
        }
    }
}

/// What has come of it, to be compared with what was to come.
pub struct Then<A, T> {
    service: TestService,
    uuid: Uuid,
    done: Result<T>,
    unit: Unit,
    of: PhantomData<fn() -> A>,
}

impl<A, T: fmt::Debug> fmt::Debug for Then<A, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").field("done", &self.done).finish_non_exhaustive()
    }
}

/// Events that are expected: a domain event, [`CreatedAs`], [`Changed`], [`Gone`], a tuple of them, or `()` for none.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event of `{A}`",
    label = "not an event of it",
    note = "expected are domain events of `{A}`, `CreatedAs(state)`, `Changed(json!({{ … }}))`, `Gone`, tuples of them, and `()`"
)]
pub trait Expected<A> {
    /// Their names and contents.
    #[doc(hidden)]
    fn events(self) -> Vec<(String, Value)>;
}

/// It was created with this state.
#[derive(Debug, Clone)]
pub struct CreatedAs<A>(pub A);

/// Its fields have these new values, and no others have changed.
#[derive(Debug, Clone)]
pub struct Changed(pub Value);

/// It was deleted.
#[derive(Debug, Clone, Copy)]
pub struct Gone;

#[diagnostic::do_not_recommend]
impl<A: Aggregate, E: DomainEvent<Aggregate = A>> Expected<A> for E {
    fn events(self) -> Vec<(String, Value)> {
        vec![(E::NAME.to_owned(), stored(&self))]
    }
}

impl<A: Aggregate> Expected<A> for CreatedAs<A> {
    fn events(self) -> Vec<(String, Value)> {
        vec![(format!("{}Created", A::NAME), stored(&self.0))]
    }
}

impl<A: Aggregate> Expected<A> for Changed {
    fn events(self) -> Vec<(String, Value)> {
        vec![(format!("{}Updated", A::NAME), self.0)]
    }
}

impl<A: Aggregate> Expected<A> for Gone {
    fn events(self) -> Vec<(String, Value)> {
        vec![(format!("{}Deleted", A::NAME), Value::Object(serde_json::Map::new()))]
    }
}

macro_rules! tuples {
    ($(($($name:ident)*))*) => {$(
        impl<A, $($name: Expected<A>),*> Expected<A> for ($($name,)*) {
            #[allow(non_snake_case)]
            fn events(self) -> Vec<(String, Value)> {
                let ($($name,)*) = self;
                let all: Vec<Vec<(String, Value)>> = vec![$($name.events()),*];
                all.into_iter().flatten().collect()
            }
        }
    )*};
}

tuples! { () (E1) (E1 E2) (E1 E2 E3) (E1 E2 E3 E4) (E1 E2 E3 E4 E5) (E1 E2 E3 E4 E5 E6) (E1 E2 E3 E4 E5 E6 E7) (E1 E2 E3 E4 E5 E6 E7 E8) }

impl<A: Aggregate, T> Then<A, T> {
    /// Exactly these events happened to aggregates of this type, in this order.
    ///
    /// # Panics
    /// If others did, or it failed.
    #[track_caller]
    pub fn then(self, expected: impl Expected<A>) -> Self {
        let expected = expected.events();
        self.succeeded();
        let (actual, expected) = (lines(self.events()), lines(expected));
        assert!(actual == expected, "{} had other events than expected\nexpected:\n{expected}\nactual:\n{actual}", A::NAME);
        self
    }

    /// A rule of the domain said no, in these words; nothing was written.
    ///
    /// # Panics
    /// If it succeeded, or failed otherwise.
    #[track_caller]
    pub fn rejected(self, message: &str) -> Self {
        self.failed(ErrorKind::Rejected, message)
    }

    /// It failed with such an error, whose message this is.
    ///
    /// # Panics
    /// If it succeeded, or failed otherwise.
    #[track_caller]
    pub fn failed(self, kind: ErrorKind, message: &str) -> Self {
        let Err(error) = &self.done else { panic!("it succeeded, and was to fail: {message}\nactual:\n{}", lines(self.events())) };
        assert!(
            error.kind() == kind && error.to_string() == message,
            "it failed otherwise than expected\nexpected: {kind:?}: {message}\nactual: {:?}: {error}",
            error.kind()
        );
        self
    }

    /// The error.
    ///
    /// # Panics
    /// If it succeeded.
    #[track_caller]
    pub fn error(self) -> Error {
        match self.done {
            Err(error) => error,
            Ok(_) => panic!("it succeeded, and was to fail"),
        }
    }

    /// This holds of the aggregate as it is now.
    ///
    /// # Panics
    /// If it is not there, or the closure says so.
    #[track_caller]
    pub fn state(self, holds: impl FnOnce(&Root<A>)) -> Self {
        let uuid = self.uuid;
        match self.service.run(async move |cx| A::get(cx, uuid).await) {
            Ok(root) => holds(&root),
            Err(error) => panic!("{}", error.chain()),
        }
        self
    }

    /// Exactly these messages of this type were sent, in this order.
    ///
    /// # Panics
    /// If others were.
    #[track_caller]
    pub fn sent<M: Message>(self, expected: impl IntoIterator<Item = M>) -> Self {
        let expected: Vec<Value> = expected.into_iter().map(|message| json(&message)).collect();
        let rows = self.unit.messages.iter().map(|message| OutboxRow { id: 0, message: message.clone() });
        let messages = rows.filter_map(|row| Envelope::of_row(row).ok()).filter(|message| message.name == M::NAME);
        let actual: Vec<Value> = messages.map(|message| serde_json::from_slice(&message.content).unwrap_or(Value::Null)).collect();
        assert!(actual == expected, "other `{}` were sent than expected\nexpected: {expected:?}\nactual: {actual:?}", M::NAME);
        self
    }

    /// This was the answer.
    ///
    /// # Panics
    /// If it was another one, or it failed.
    #[track_caller]
    pub fn answered(self, expected: &T) -> Self
    where
        T: PartialEq + fmt::Debug,
    {
        self.succeeded();
        if let Ok(actual) = &self.done {
            assert_eq!(actual, expected, "it answered otherwise than expected");
        }
        self
    }

    /// What it answered.
    ///
    /// # Panics
    /// If it failed.
    #[track_caller]
    pub fn answer(self) -> T {
        match self.done {
            Ok(answer) => answer,
            Err(error) => panic!("it failed: {}", error.chain()),
        }
    }

    /// The service in which all this is, to look further.
    pub fn service(&self) -> &TestService {
        &self.service
    }

    #[track_caller]
    fn succeeded(&self) {
        if let Err(error) = &self.done {
            panic!("it failed: {}", error.chain());
        }
    }

    fn events(&self) -> Vec<(String, Value)> {
        let appends = self.unit.appends.iter().filter(|append| append.stream.aggregate == A::NAME);
        let read = |event: &NewEvent| (event.name.to_string(), compared(&event.data));
        appends.flat_map(|append| &append.events).filter(|event| !event.name.starts_with('$')).map(read).collect()
    }
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_else(|error| panic!("an expected value cannot be written as JSON: {error}"))
}

/// What is expected to be stored, as it is compared.
fn stored(value: &impl serde::Serialize) -> Value {
    #[cfg(feature = "sensitive")]
    let _storing = crate::sensitive::storing(None);
    compared(&json(value).to_string())
}

/// A content as it is compared: what is sensitive is as any other value.
fn compared(content: &str) -> Value {
    #[cfg(feature = "sensitive")]
    let content = &crate::sensitive::bare(content);
    serde_json::from_str(content).unwrap_or(Value::Null)
}

/// One line each, for who compares them by eye.
fn lines(events: Vec<(String, Value)>) -> String {
    if events.is_empty() {
        return "  nothing".to_owned();
    }
    events.into_iter().map(|(name, content)| format!("  {name} {content}\n")).collect()
}
