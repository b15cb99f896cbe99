//! Reactive microservices from plain structs and functions.
//!
//! A plain struct becomes an event-sourced aggregate, a plain `async fn` becomes a handler, and the program becomes a durable service:
//!
//! ```no_run
#![doc = include_str!("../examples/foo/main.rs")]
//! ```

#![warn(missing_docs)]

/// The guide, whose examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide.md")]
struct Guide;

/// Who may do what, whose examples are compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/auth.md")]
struct AuthGuide;

/// What is said of contracts, whose example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/contracts.md")]
struct Contracts;

/// How services find each other, of which examples are compiled.
#[cfg(all(doctest, feature = "discovery"))]
#[doc = include_str!("../docs/discovery.md")]
struct Discovery;

/// The README, whose example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Makes a struct an event-sourced [aggregate](trait@Aggregate); on its `impl`, makes methods its events.
///
/// On a struct with named fields it adds serde's derives, the trait, and the names of its events: `FooCreated`, `FooUpdated` and `FooDeleted`.
///
/// | `#[aggregate(…)]` | |
/// |---|---|
/// | `queryable` | it is found by its fields: `Foo::find(cx, Foo::bar().eq("x"))`; `#[index]` on a field makes an index of it |
/// | `resolvable` | other services may ask for its state by a [`Ref`] |
/// | `unique(tenant, email)` | only one has these values; `#[unique]` on a field says it of that one alone |
/// | `snapshot(every = 100)` | its state is kept now and then, so that loading begins there; also `age = "1d"`, and `schema = 1` to keep it from build to build |
/// | `name = "Old"` | the struct had another name when it was stored; `#[minos(was = "old")]` says it of a field |
/// | `version = 2, upcast = from_v1` | its fields mean something else now: a function from the stored [`Fields`] |
///
/// `#[validate(…)]` on fields are [rules](macro@Validate) that hold of all that is stored.
///
/// On the `impl`, each `&mut self` method with `#[event("Name")]` is a change of state that is stored under that name, with its parameters as the fields
/// of a type of that name. It cannot fail, wait, read a clock or call another one, since replay repeats it. It and the methods that call it are methods
/// of [`Root`]; other modules import them with the trait `FooEvents`. `#[event("Name", version = 2, upcast = from_v1)]` reads what was stored before by a function.
///
/// ```
/// use minos::prelude::*;
///
/// #[aggregate]
/// pub struct Account {
///     pub balance: u64,
/// }
///
/// #[aggregate]
/// impl Account {
///     #[event("MoneyDeposited")]
///     fn deposited(&mut self, amount: u64) {
///         self.balance += amount;
///     }
///
///     pub fn deposit(&mut self, amount: u64) -> Result<()> {
///         ensure!(amount > 0, "nothing");
///         self.deposited(amount);
///         Ok(())
///     }
/// }
/// ```
#[doc(inline)]
pub use minos_macros::aggregate;

/// Makes a struct the part of another service's aggregate that this one knows, to be held in a [`Ref`]. It says as well that this is another service's aggregate, so that
/// its events are handled where it is not: in tests, and by a service that runs alone. It may have no fields.
///
/// ```
/// use minos::prelude::*;
///
/// #[aggregate_ref]
/// pub struct Customer {
///     pub name: String,
/// }
/// ```
#[doc(inline)]
pub use minos_macros::aggregate_ref;

/// Makes an `async fn` a handler that changes something.
///
/// Its arguments are topics (`"CreateFoo"`) and routes (`POST "/foos/{uuid}"`, with `POST`, `PUT`, `PATCH` or `DELETE`), at least one, in any order.
/// Its parameters are, in any order: `&mut Context`, one input that is `Deserialize`, [`Path`], [`Query`], [`Headers`], [`User`]. It answers anything that
/// is `Serialize`, a `Result` of it, or a [`Response`].
///
/// With `[auth]` in the configuration, it is for known callers. `public` opens it to everybody, `roles("admin", "clerk")` is for who has one of these roles, and
/// `scopes("orders:write")` for tokens that are for all of these.
///
/// ```
/// use minos::prelude::*;
///
/// #[derive(Deserialize)]
/// pub struct Rename {
///     name: String,
/// }
///
/// #[command("Rename", PUT "/names/{uuid}")]
/// async fn rename(cx: &mut Context, Path(uuid): Path<Uuid>, input: Rename) -> Result<String> {
///     Ok(format!("{uuid} is {} since {}", input.name, cx.now()))
/// }
/// ```
#[doc(inline)]
pub use minos_macros::command;

/// Makes an `async fn` a handler that changes nothing: as [`command`](macro@command), but with `&Context` and with `GET` or `POST`. For `GET`, the input
/// is the query string.
///
/// ```
/// use minos::prelude::*;
///
/// #[query(GET "/greetings/{name}")]
/// async fn greet(Path(name): Path<String>) -> String {
///     format!("hello, {name}")
/// }
/// ```
#[doc(inline)]
pub use minos_macros::query;

/// Makes an `async fn` a handler of events; in an [`#[aggregate] impl`](macro@aggregate), makes a method an event.
///
/// Its arguments are names of events: `"FooCreated"`, `"FooUpdated"`, `"FooUpdated.field"`, `"FooUpdated.set.create"` (or `update`, `delete`) of an [`EntitySet`] or [`ValueSet`], `"FooDeleted"`, or `"Foo.SomethingHappened"` for an event of
/// the domain. Its input is `FooCreated`, `FooUpdated`, `FooDeleted`, or [`Event`] of the event's type. Each handler gets the events of one aggregate in
/// order, and what it does in the database happens once.
///
/// ```
/// use minos::prelude::*;
///
/// #[aggregate]
/// pub struct Foo {
///     pub bar: String,
/// }
///
/// #[event("FooUpdated.bar")]
/// async fn bar_changed(_cx: &mut Context, event: FooUpdated) -> Result<()> {
///     println!("{}: {:?}", event.uuid(), event.get::<String>("bar")?);
///     Ok(())
/// }
/// ```
#[doc(inline)]
pub use minos_macros::event;

/// Makes a struct a [`Document`]: plain data of which a [`projection`](macro@projection) keeps one under each key, and which is found by its fields.
///
/// It adds serde's derives, the trait, and a function for each field, by which queries name it.
///
/// ```
/// use minos::prelude::*;
///
/// #[document]
/// pub struct Balance {
///     pub owner: String,
///     pub cents: i64,
/// }
///
/// #[query(GET "/rich/{cents}")]
/// async fn rich(cx: &Context, Path(cents): Path<i64>) -> Result<Vec<Balance>> {
///     Balance::find(cx, Balance::cents().ge(cents)).order_by(Balance::cents().descending()).limit(10).list().await
/// }
/// ```
#[doc(inline)]
pub use minos_macros::document;

/// Makes the functions of an `impl` keep a read model: each takes the events that its `#[event("…")]` names, in their order, exactly once.
///
/// On a [`document`](macro@document), they keep a document under each key. On any other struct, they keep tables of their own: `const TABLES` says how these
/// are made, and names them in braces there and in all statements, so that a rebuild makes new ones beside them.
///
/// They run behind the commit of the event, or with `#[projection(inline)]` as a part of it. `version = 2` says that they do something else than before:
/// then the read model is built anew, beside the one that is read.
///
/// ```
/// use minos::prelude::*;
///
/// #[aggregate]
/// pub struct Account {
///     pub owner: String,
///     pub cents: i64,
/// }
///
/// #[document]
/// pub struct Balance {
///     pub owner: String,
///     pub cents: i64,
/// }
///
/// #[projection]
/// impl Balance {
///     #[event("AccountCreated")]
///     async fn opened(view: &mut View<Self>, event: AccountCreated) -> Result<()> {
///         view.put(event.uuid(), Balance { owner: event.owner.clone(), cents: event.cents });
///         Ok(())
///     }
///
///     #[event("AccountUpdated.cents")]
///     async fn changed(view: &mut View<Self>, event: AccountUpdated) -> Result<()> {
///         let cents = event.get("cents")?.unwrap_or_default();
///         view.update(event.uuid(), |balance| balance.cents = cents).await
///     }
/// }
/// ```
#[doc(inline)]
pub use minos_macros::projection;

/// Makes an `async fn` a handler that the clock calls: minute, hour, day, month, weekday, in UTC. It takes `&mut Context`, or nothing.
///
/// ```
/// use minos::prelude::*;
///
/// #[periodic("*/10 6-18 * * MON-FRI")]
/// async fn every_ten_minutes(cx: &mut Context) -> Result<()> {
///     println!("{}", cx.now());
///     Ok(())
/// }
/// ```
#[doc(inline)]
pub use minos_macros::periodic;

/// Makes a struct a command or a query of another service: its topic, `reply = Type` for what it answers, and `key = field` for messages that are to be
/// handled in order.
///
/// ```
/// use minos::prelude::*;
///
/// #[message("Reserve", reply = Uuid, key = order)]
/// pub struct Reserve {
///     pub order: Uuid,
///     pub seats: u32,
/// }
///
/// async fn reserve(cx: &mut Context, order: Uuid) -> Result<()> {
///     cx.send(Reserve { order, seats: 2 })
/// }
/// ```
#[doc(inline)]
pub use minos_macros::message;

/// Makes types of what another service promises: its messages, its events, and what it tells of its aggregates. They stand in a module that has the name of the
/// service. `contract.json` is what `minos contract export` writes for the other service; its path begins at the package.
///
/// ```ignore
/// minos::import_contract!("contracts/shipping.json");
///
/// #[event("Parcel.ParcelShipped")]
/// async fn shipped(cx: &mut Context, event: shipping::ParcelShipped) -> Result<()> {
///     cx.send(shipping::Notify { text: format!("on its way since {}", event.at) })
/// }
/// ```
///
/// With names behind the path, only these are imported: `import_contract!("contracts/shipping.json", Notify, ParcelShipped)`. Another name for the module
/// stands before it: `import_contract!(pub mod carrier = "contracts/shipping.json")`.
#[doc(inline)]
pub use minos_macros::import_contract;

/// Makes `async fn main() -> Result<()>` the program. `worker_threads = 4` says how many threads there are; without it, as many as there are processors.
/// An error is one line on standard error, and the status 1.
///
/// ```no_run
/// use minos::prelude::*;
///
/// #[minos::main(worker_threads = 4)]
/// async fn main() -> Result<()> {
///     Service::from_config("minos.toml")?.run().await
/// }
/// ```
#[doc(inline)]
pub use minos_macros::main;

/// Makes a struct an [aggregate](trait@Aggregate) whose serde derives are its own. [`#[aggregate]`](macro@aggregate) adds them, too.
///
/// ```
/// use minos::prelude::*;
///
/// #[derive(Serialize, Deserialize, Aggregate)]
/// pub struct Foo {
///     pub bar: String,
/// }
/// ```
#[doc(inline)]
pub use minos_macros::Aggregate;

/// Gives an error type its HTTP [status](trait@Problem): `#[problem(status = 409)]` on each variant, or on the type.
///
/// ```
/// #[derive(Debug, minos::Problem)]
/// #[problem(status = 409)]
/// pub struct Full;
///
/// impl std::fmt::Display for Full {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("the stock is full")
///     }
/// }
/// impl std::error::Error for Full {}
/// # fn main() {}
/// ```
#[doc(inline)]
pub use minos_macros::Problem;

/// Lets a struct be [looked at](trait@Validate): `#[validate(…)]` on its fields. [`#[aggregate]`](macro@aggregate) reads them, too, and what it stores is
/// looked at by itself.
///
/// Rules are `not_empty`, `length(1..=9)`, `range(1..)`, `email`, `url`, `one_of("a", "b")`, `nested` for what has rules of its own, and `with = path`
/// for a `fn(&Type) -> Result<(), impl Display>`, which may also stand on the struct. What is `None` is not looked at.
///
/// ```
/// use minos::prelude::*;
///
/// #[derive(minos::Validate)]
/// pub struct SignUp {
///     #[validate(length(1..=100))]
///     name: String,
///     #[validate(email)]
///     email: String,
/// }
///
/// assert!(SignUp { name: "Ada".into(), email: "ada".into() }.check().is_err());
/// ```
#[doc(inline)]
pub use minos_macros::Validate;

/// Declares a saga: work over several services that ends as a whole, or is undone.
///
/// Its input has the form of a struct. Then come its steps, in the order in which they are done:
///
/// - `remote name -> output: Type { … }` sends a [message](macro@message) to another service. Its `reply` is the type of the output, by whose name later steps
///   read it; without `->`, the answer is not kept.
/// - `local name -> output: Type { … }` works here, in one commit with the progress of the saga.
/// - `when |saga| condition { … } otherwise { … }` does the one or the other. What both yield under the same name and type is known behind it.
/// - `parallel { … }` does each step in it at once; `{ … }` in it is a branch of several steps.
///
/// | key | of | is |
/// |---|---|---|
/// | `on_execute` | all | `\|saga\| Message { … }`; of a local step, `async \|cx, saga\| …`, which gives a `Result` of the output |
/// | `on_failure` | all | the compensation: as `on_execute`, and sees the output; `()` if there is nothing to undo |
/// | `on_success` | remote | `\|saga\| …`: looks at the answer; with an error the saga fails, and this step is undone, too |
/// | `on_error` | remote | `\|saga, error\| …`: gives another `Error`, or a `Result` whose `Ok` stands in place of the answer |
/// | `timeout` | all | `"30s"` |
/// | `retry` | all | `{ attempts: 5, first_pause: "1s", longest_pause: "1m" }`, or some of the three |
///
/// Each `on_…` is a closure, or the path of a function. What it sees, `saga`, is a struct with exactly the fields that are known by then, in a module named
/// after the saga: step `update_foo` of `AddFoobar` sees an `add_foobar::UpdateFoo`, and when it has succeeded, `add_foobar::UpdateFooDone`; at the end there
/// is `add_foobar::Done`. A condition sees what the first step behind it sees.
///
/// With `#[isolated]` before it, nobody else sees what the steps do before all of them are done; then there is nothing to undo.
///
/// A step is *compensable*, unless `pivot` or `retriable` stands before it. The pivot is the point of no return: it may fail, but when it has succeeded the saga
/// only goes forward. Steps behind it are `retriable`: they are tried again until they succeed. A step that cannot be undone before one that can fail does
/// not compile.
///
/// ```
/// use minos::prelude::*;
///
/// #[message("CreateFooBar", reply = Uuid)]
/// pub struct CreateFooBar {
///     pub text: String,
/// }
///
/// #[message("DeleteFooBar")]
/// pub struct DeleteFooBar {
///     pub uuid: Uuid,
/// }
///
/// #[aggregate]
/// pub struct Foo {
///     pub foobar: Option<Uuid>,
/// }
///
/// saga! {
///     /// Creates a foobar in its own service, then links it to the foo.
///     pub AddFoobar { uuid: Uuid, something: String }
///
///     remote create_foobar -> foobar: Uuid {
///         on_execute: |saga| CreateFooBar { text: saga.something.clone() },
///         on_error:   |_saga, error| error.context("the foobar could not be created"),
///         on_failure: |saga| DeleteFooBar { uuid: saga.foobar },
///         timeout: "30s",
///     }
///
///     local update_foo {
///         on_execute: async |cx, saga| {
///             let mut foo = Foo::get(cx, saga.uuid).await?;
///             foo.foobar = Some(saga.foobar);
///             foo.save(cx).await
///         },
///     }
/// }
/// # fn main() {}
/// ```
#[doc(inline)]
pub use minos_macros::saga;

/// A test that lets a saga live through whatever can happen to it: each step in both directions fails, is late, is doubled, is lost, and crashes before and
/// after each commit, one thing after the other and two at once. It fails if any life does not end well; see [`testing::CrashMatrix`]. With the feature
/// `testing`.
///
/// ```
/// # use minos::prelude::*;
/// # #[message("Book", reply = u32)]
/// # pub struct Book { pub seats: u32 }
/// # #[message("Cancel")]
/// # pub struct Cancel { pub booking: u32 }
/// # saga! {
/// #     pub BookSeats { seats: u32 }
/// #     remote book -> booking: u32 {
/// #         on_execute: |saga| Book { seats: saga.seats },
/// #         on_success: |saga| { ensure!(saga.booking > 0, "no booking"); Ok(()) },
/// #         on_failure: |saga| Cancel { booking: saga.booking },
/// #     }
/// # }
/// # mod one {
/// # use super::BookSeats;
/// minos::crash_matrix!(BookSeats);
/// # }
///
/// # mod two {
/// # use super::BookSeats;
/// // Where samples of the types do not do:
/// minos::crash_matrix!(BookSeats {
///     input: BookSeats { seats: 2 },
///     answers: { book: 7 },
/// });
/// # }
/// # fn main() {}
/// ```
///
/// With an `input`, or several, conditions decide as they do in a service; without, each `when` is decided both ways. `answers` are what steps yield, by their
/// names. `lives: 1_000_000` looks at more of them.
#[cfg(feature = "testing")]
#[doc(inline)]
pub use minos_macros::crash_matrix;

pub use minos_runtime::*;

/// What a service needs, in one line: `use minos::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Aggregate, Context, Document, EntitySet, Error, ErrorKind, Event, Headers, HoldError, Message, Path, Query, Ref, Resolved,
        Response, Result, ResultExt, Root, Saga, SagaStep, Seen, Service, Timestamp, User, Uuid, Validate, ValueSet, View, aggregate,
        aggregate_ref, bail, command, document, ensure, event, message, periodic, projection, query,
    };
    #[cfg(feature = "sensitive")]
    pub use crate::{Sensitive, SubjectForgotten};
    #[doc(no_inline)]
    pub use minos_macros::saga;
    pub use minos_runtime::__private::serde::{self, Deserialize, Serialize};
}
