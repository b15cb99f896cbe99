//! Sagas that must compile, and what their registered functions make of stored values. No manager runs here.

#![deny(missing_docs, warnings)]
#![forbid(unsafe_code)]
#![allow(unreachable_pub)]

use minos::{
    __private::saga::{Node, Output, Retry, SagaDef, Step, StepKind, Values, Work},
    prelude::*,
    saga::{Plan, Policy},
};
use serde_json::json;
use std::time::Duration;

/// The saga of the README.
pub mod readme {
    use super::*;

    /// A command of another service, and what it answers.
    #[message("CreateFooBar", reply = Uuid)]
    pub struct CreateFooBar {
        /// A number.
        pub number: i32,
        /// A text.
        pub text: String,
    }

    /// Its opposite.
    #[message("DeleteFooBar")]
    pub struct DeleteFooBar {
        /// Which.
        pub uuid: Uuid,
    }

    /// The part of another service's aggregate that this one cares about.
    #[aggregate_ref]
    pub struct FooBar {
        /// A text.
        pub something: String,
    }

    /// A foo.
    #[aggregate]
    pub struct Foo {
        /// A foobar.
        pub foobar: Option<Ref<FooBar>>,
    }

    saga! {
        /// Creates a foobar in its own service, then links it to the foo.
        pub AddFoobar {
            /// Which foo.
            uuid: Uuid,
            /// A text.
            something: String,
        }

        /// A remote step.
        remote create_foobar -> foobar: Uuid {
            on_execute: |saga| CreateFooBar { number: 56, text: saga.something.clone() },
            on_error:   |_saga, error| error.context("the foobar could not be created"),
            on_failure: |saga| DeleteFooBar { uuid: saga.foobar },
            timeout: "30s",
        }

        local update_foo {
            on_execute: async |cx, saga| {
                let mut foo = Foo::get(cx, saga.uuid).await?;
                foo.foobar = Some(Ref::new(saga.foobar));
                foo.save(cx).await
            },
        }
    }
}

/// All that the language has.
pub mod language {
    use super::*;

    /// Reserves seats.
    #[message("Reserve", reply = u32, key = order)]
    pub struct Reserve {
        /// For whom.
        pub order: Uuid,
        /// How many.
        pub seats: u32,
    }

    /// Releases them.
    #[message("Release")]
    pub struct Release {
        /// For whom.
        pub order: Uuid,
        /// Which, if that is known.
        pub ticket: Option<u32>,
    }

    /// An invoice: a type, a step and a value of one name.
    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub struct Invoice {
        /// Its number.
        pub number: u64,
    }

    fn is_large(saga: &book_trip::AskBoss) -> bool {
        saga.seats > 10
    }

    fn reserve(saga: &book_trip::ReserveCar) -> Reserve {
        Reserve { order: saga.order, seats: saga.seats }
    }

    fn release(saga: &book_trip::ReserveCarDone) -> Release {
        Release { order: saga.order, ticket: Some(saga.car) }
    }

    fn not_zero(saga: &book_trip::ReserveCarDone) -> Result<()> {
        ensure!(saga.car != 0, "there is no car 0");
        Ok(())
    }

    fn full(_saga: &book_trip::ReserveCar, error: Error) -> Result<u32> {
        if error.kind() == ErrorKind::NotFound { Ok(7) } else { Err(error) }
    }

    async fn write_invoice(cx: &mut Context, saga: &book_trip::Invoice) -> Result<Invoice> {
        let _ = cx.now();
        Ok(Invoice { number: u64::from(saga.seats) })
    }

    async fn cancel_invoice(_cx: &mut Context, saga: &book_trip::InvoiceDone) -> Result<()> {
        ensure!(saga.invoice.number > 0, "there is no invoice 0");
        Ok(())
    }

    saga! {
        /// Books a trip.
        #[derive(PartialEq)]
        pub BookTrip {
            /// For whom.
            order: Uuid,
            /// How many seats.
            #[serde(default = "two", rename = "places")]
            seats: u32,
        }

        /// Asks nobody, since there is nothing to undo.
        local invoice -> invoice: Invoice {
            on_execute: write_invoice,
            on_failure: cancel_invoice,
        }

        when is_large {
            local ask_boss -> approval: Option<String> {
                on_execute: async move |_, saga| -> Result<Option<String>> { Ok(Some(format!("{} seats", saga.seats))) },
                on_failure: (),
            }
        } otherwise {
            local approve -> approval: Option<String> { on_execute: async |_cx, _| Ok(None), on_failure: () }
        }

        when |saga| if saga.approval.is_some() { saga.seats > 20 } else { false } {
            remote hold -> hold: u32 {
                on_execute: |saga| Reserve { order: saga.order, seats: 1 },
                on_failure: |saga| Release { order: saga.order, ticket: None },
            }
        }

        parallel {
            remote reserve_car -> car: u32 {
                on_execute: reserve,
                on_success: not_zero,
                on_error: full,
                on_failure: release,
                retry: { attempts: 3, longest_pause: "500ms" },
            }
            {
                remote reserve_room -> room: u32 {
                    on_execute: |saga| {
                        let seats = saga.seats / 2;
                        Reserve { order: saga.order, seats }
                    },
                    on_success: |saga: &book_trip::ReserveRoomDone| { ensure!(saga.room != 13, "not room 13"); Ok(()) },
                    on_error: |_saga, error| error.context("no room"),
                    on_failure: |saga| Release { order: saga.order, ticket: Some(saga.room) },
                    timeout: "2m",
                }
                remote breakfast {
                    on_execute: |saga| Reserve { order: saga.order, seats: saga.room },
                    on_failure: |saga| Release { order: saga.order, ticket: None },
                }
            }
        }

        pivot remote pay {
            on_execute: |saga| Release { order: saga.order, ticket: Some(saga.car + saga.room) },
            timeout: "1h",
        }

        retriable local thank -> thanks: (u32, String) {
            on_execute: async |cx, saga| {
                let _ = cx.now();
                std::future::ready(()).await;
                Ok((saga.car, saga.invoice.number.to_string()))
            },
        }
    }

    fn two() -> u32 {
        2
    }
}

/// A user's own names for what expansions need, and types by paths that begin where the saga stands.
#[allow(dead_code, missing_docs)]
mod shadowed {
    pub struct Result;
    pub struct Option;
    pub struct Vec;
    pub struct Box;
    #[allow(non_snake_case)]
    pub fn Ok() {}
    pub mod core {}
    pub mod std {}
    pub mod serde {}
    pub mod minos {}

    #[::minos::message("OddMessage", reply = u32)]
    pub struct OddMessage {
        pub r#type: u32,
    }

    pub mod inner {
        pub type Number = u16;
        pub mod sagas {
            type Local = u8;

            ::minos::saga! {
                /// Odd.
                pub(in crate::shadowed) Match {
                    r#type: u32,
                    string: String,
                    path: super::Number,
                    own: self::Local,
                    r#in: [Local; super::super::SIZE],
                    pub(crate) crate_path: crate::shadowed::inner::Number,
                }

                remote r#move -> r#fn: u32 {
                    on_execute: |saga| super::super::OddMessage { r#type: saga.r#type },
                    on_failure: |saga| super::super::OddMessage { r#type: saga.r#fn },
                }
                local string -> text: String {
                    on_execute: async |cx, saga| ::core::result::Result::Ok(::std::format!("{} {}", cx.now(), saga.string)),
                    on_failure: (),
                }
                local option -> maybe: Option<String> {
                    on_execute: async |_cx, saga| ::core::result::Result::Ok(Some(saga.text.clone())),
                }
            }
        }
    }

    pub const SIZE: usize = 2;

    pub fn as_the_module_is_seen(done: &inner::sagas::r#match::Done) -> (u32, &::core::option::Option<String>) {
        (done.r#fn, &done.maybe)
    }
}

/// What macros of the user make.
mod made {
    use minos::prelude::*;

    macro_rules! count {
        ($name:ident $ty:ty, $value:expr, $closure:expr) => {
            saga! {
                $name { start: $ty }
                local count -> counted: $ty { on_execute: async |_cx, saga| Ok(saga.start + $value), on_failure: () }
                local again -> twice: $ty { on_execute: $closure }
            }
        };
    }

    count!(CountBytes u8, 1, async |_cx, saga| Ok(saga.counted * 2));

    #[cfg(any())]
    saga! {
        NotThere { field: ThisTypeDoesNotExist }
        local nothing { on_execute: async |_cx, _saga| Ok(()) }
    }

    saga! {
        #[cfg(any())]
        NotThereEither { field: ThisTypeDoesNotExist }
        local nothing { on_execute: async |_cx, _saga| Ok(()) }
    }

    saga! {
        crate = ::minos;
        /// Of nothing.
        Nothing {}
        local nothing { on_execute: async |_cx, _saga| Ok(()) }
    }
}

/// All steps, in the order in which they are written.
fn steps(nodes: &'static [Node]) -> Vec<&'static Step> {
    nodes
        .iter()
        .flat_map(|node| match node {
            Node::Step(step) => vec![step],
            Node::When { then, otherwise, .. } => [steps(then), steps(otherwise)].concat(),
            Node::Parallel(branches) => branches.iter().flat_map(|branch| steps(branch)).collect(),
        })
        .collect()
}

fn step(def: &'static SagaDef, name: &str) -> &'static Step {
    steps(def.nodes).into_iter().find(|step| step.name == name).unwrap_or_else(|| panic!("there is no step {name}"))
}

/// Values in place of an input and of what steps have yielded.
fn values(json: serde_json::Value) -> Values {
    serde_json::from_value(json).unwrap()
}

/// The name, key and content of the message that a step sends.
fn sent(step: &Step, values: &Values) -> (&'static str, Option<String>, serde_json::Value) {
    let Work::Remote { execute, .. } = step.work else { panic!("{} is local", step.name) };
    let message = execute(values).unwrap();
    (message.name, message.key, serde_json::from_slice(&message.content).unwrap())
}

fn undone(step: &Step, values: &Values) -> Result<(&'static str, serde_json::Value)> {
    let Work::Remote { undo: Some(undo), .. } = step.work else { panic!("{} has no message that undoes it", step.name) };
    let message = undo(values)?;
    Ok((message.name, serde_json::from_slice(&message.content)?))
}

const ORDER: &str = "018f0000-0000-7000-8000-000000000001";

#[test]
fn the_saga_of_the_readme_says_what_it_sends() {
    use readme::AddFoobar;
    let input = AddFoobar { uuid: Uuid::nil(), something: "new".to_owned() };
    let mut known = Values::of(&input.clone()).unwrap();
    let def = AddFoobar::definition();
    assert_eq!((AddFoobar::NAME, def.name, def.module, def.file), ("AddFoobar", "AddFoobar", "saga_macro::readme", file!()));
    assert_eq!(def.input, [Output { name: "uuid", ty: "Uuid" }, Output { name: "something", ty: "String" }]);
    assert_eq!(steps(def.nodes).iter().map(|step| step.name).collect::<Vec<_>>(), ["create_foobar", "update_foo"]);

    let create = step(def, "create_foobar");
    assert_eq!((create.kind, create.timeout, create.retry), (StepKind::Compensable, Some(Duration::from_secs(30)), None));
    assert_eq!(create.output, Some(Output { name: "foobar", ty: "Uuid" }));
    assert_eq!(sent(create, &known), ("CreateFooBar", None, json!({ "number": 56, "text": "new" })));

    // Before the answer there is nothing that could be undone with it, and trying later may succeed.
    let error = undone(create, &known).unwrap_err();
    assert!(error.is_transient() && error.to_string().contains("`foobar`"), "{error}");

    let Work::Remote { read, on_success: None, on_error: Some(on_error), .. } = create.work else { panic!("it is remote") };
    let error = on_error(&known, Error::rejected("no text")).unwrap_err();
    assert_eq!((error.to_string(), error.kind()), ("the foobar could not be created: no text".to_owned(), ErrorKind::Rejected));
    let error = read(b"\"not a uuid\"").unwrap_err();
    assert!(error.to_string().contains("`foobar`"), "{error}");
    assert!(read(b"{").is_err() && read(b"").is_err() && read(b"null").is_err());

    known.set("foobar", read(format!("\"{ORDER}\"").as_bytes()).unwrap());
    assert_eq!(undone(create, &known).unwrap(), ("DeleteFooBar", json!({ "uuid": ORDER })));
    let done: <AddFoobar as Saga>::Done = known.view().unwrap();
    assert_eq!((done.uuid, done.something.as_str(), done.foobar.to_string().as_str()), (Uuid::nil(), "new", ORDER));
    let update: readme::add_foobar::UpdateFoo = known.view().unwrap();
    assert_eq!(update.foobar, done.foobar);
    let again: AddFoobar = known.view().unwrap();
    assert_eq!(format!("{again:?}"), format!("{input:?}"));
}

#[test]
fn nodes_are_as_they_are_written() {
    let def = language::BookTrip::definition();
    assert_eq!(def.input, [Output { name: "order", ty: "Uuid" }, Output { name: "places", ty: "u32" }]);
    let kinds: Vec<_> = steps(def.nodes).iter().map(|step| (step.name, step.kind)).collect();
    use StepKind::{Compensable, Pivot, Retriable};
    assert_eq!(
        kinds,
        [
            ("invoice", Compensable),
            ("ask_boss", Compensable),
            ("approve", Compensable),
            ("hold", Compensable),
            ("reserve_car", Compensable),
            ("reserve_room", Compensable),
            ("breakfast", Compensable),
            ("pay", Pivot),
            ("thank", Retriable),
        ]
    );
    let [
        Node::Step(_),
        Node::When { condition: large, then, otherwise },
        Node::When { condition: huge, otherwise: [], .. },
        Node::Parallel(branches),
        Node::Step(_),
        Node::Step(_),
    ] = def.nodes
    else {
        panic!("other nodes")
    };
    assert_eq!((then.len(), otherwise.len(), branches.len(), branches[0].len(), branches[1].len()), (1, 1, 2, 1, 2));

    let known = |seats: u32| values(json!({ "order": ORDER, "places": seats, "invoice": { "number": 1 }, "approval": "yes" }));
    assert_eq!([large(&known(10)).unwrap(), large(&known(11)).unwrap()], [false, true]);
    assert_eq!([huge(&known(20)).unwrap(), huge(&known(21)).unwrap()], [false, true]);
    assert!(huge(&values(json!({ "order": ORDER, "invoice": { "number": 1 } }))).is_err(), "nobody has approved");

    let car = step(def, "reserve_car");
    let pauses = Retry { attempts: 3, first_pause: Duration::from_millis(500), longest_pause: Duration::from_millis(500) };
    assert_eq!((car.retry, car.timeout), (Some(pauses), None));
    assert_eq!(step(def, "approve").output, Some(Output { name: "approval", ty: "Option<String>" }));
    assert_eq!(step(def, "thank").output, Some(Output { name: "thanks", ty: "(u32,String)" }));
    assert!(step(def, "ask_boss").undo().is_none() && step(def, "pay").undo().is_none() && step(def, "hold").undo().is_some());
}

#[test]
fn functions_and_closures_see_what_is_known() {
    let def = language::BookTrip::definition();
    let mut known = values(json!({ "order": ORDER, "invoice": { "number": 1 }, "approval": null }));

    // The field that is not there has its default, and the message has its key.
    let car = step(def, "reserve_car");
    assert_eq!(sent(car, &known), ("Reserve", Some(ORDER.to_owned()), json!({ "order": ORDER, "seats": 2 })));

    let Work::Remote { on_success: Some(on_success), on_error: Some(on_error), read, .. } = car.work else { panic!("it is remote") };
    assert_eq!(on_error(&known, Error::not_found("none")).unwrap(), json!(7));
    assert_eq!(on_error(&known, Error::rejected("no")).unwrap_err().to_string(), "no");
    known.set("car", read(b"0").unwrap());
    assert_eq!(on_success(&known).unwrap_err().to_string(), "there is no car 0");
    known.set("car", read(b"5").unwrap());
    on_success(&known).unwrap();
    assert_eq!(undone(car, &known).unwrap(), ("Release", json!({ "order": ORDER, "ticket": 5 })));

    // One branch does not know what the other one yields, and needs not to.
    let room = step(def, "reserve_room");
    known = values(json!({ "order": ORDER, "places": 4, "invoice": { "number": 1 }, "approval": null, "room": 13 }));
    assert_eq!(sent(room, &known).2, json!({ "order": ORDER, "seats": 2 }));
    let Work::Remote { on_success: Some(on_success), .. } = room.work else { panic!("it is remote") };
    assert_eq!(on_success(&known).unwrap_err().to_string(), "not room 13");
    assert_eq!(sent(step(def, "breakfast"), &known).2, json!({ "order": ORDER, "seats": 13 }));

    // An answer that is not kept is not looked at.
    let Work::Remote { read, .. } = step(def, "breakfast").work else { panic!("it is remote") };
    assert_eq!(read(b"no JSON").unwrap(), serde_json::Value::Null);

    // What undoes a step sees its answer, so there has to be one.
    assert!(undone(step(def, "hold"), &known).is_err() && undone(car, &known).is_err());
    known.set("hold", json!(3));
    assert_eq!(undone(step(def, "hold"), &known).unwrap(), ("Release", json!({ "order": ORDER, "ticket": null })));
}

#[test]
fn what_is_stored_otherwise_is_told_by_its_name() {
    let def = language::BookTrip::definition();
    let known = values(json!({ "order": ORDER, "places": 2, "invoice": { "number": "one" }, "approval": null }));
    let Work::Remote { execute, on_error: Some(on_error), .. } = step(def, "reserve_car").work else { panic!("it is remote") };
    let error = execute(&known).unwrap_err();
    assert!(error.to_string().starts_with("what the saga has stored as `invoice` is of another type"), "{error}");
    assert_eq!(on_error(&known, Error::rejected("first")).unwrap_err().to_string(), "first", "the error that there was says more");
}

/// Local work, run as a handler, since that has a context.
mod worked {
    use super::{language::BookTrip, *};

    /// What is kept of it is `null`, which is no number.
    mod lossy {
        use super::*;

        saga! {
            Lossy { of: u32 }
            local divide -> ratio: f64 { on_execute: async |_cx, saga| Ok(f64::from(saga.of) / 0.0) }
        }

        #[command("Divide")]
        async fn divide(cx: &mut Context, input: Lossy) -> Result<serde_json::Value> {
            let Work::Local { execute, .. } = step(Lossy::definition(), "divide").work else { bail!("it is remote") };
            execute(cx, &Values::of(&input)?).await.map_err(|error| Error::rejected(error.chain()))
        }
    }

    /// The input of a saga is the input of a handler.
    #[command("Echo")]
    async fn echo(input: readme::AddFoobar) -> readme::AddFoobar {
        input
    }

    #[command("Work")]
    async fn work(cx: &mut Context, input: (String, bool, serde_json::Value)) -> Result<serde_json::Value> {
        let (name, is_undone, known) = input;
        let Work::Local { execute, undo } = step(BookTrip::definition(), &name).work else { bail!("{name} is remote") };
        let known = values(known);
        if is_undone { undo.expect("it can be undone")(cx, &known).await } else { execute(cx, &known).await }
    }
}

#[tokio::test]
async fn local_steps_give_what_they_yield() {
    let text = "[service]\nname = \"sagas\"\n[http]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"";
    let running = Service::from_toml(text).unwrap().module("saga_macro::worked").start().await.unwrap();
    let work = async |name: &str, is_undone: bool, known: serde_json::Value| {
        let answer = running.call("Work", &(name, is_undone, known)).await;
        answer.map(|answer| serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap())
    };
    let known =
        |number: u64| json!({ "order": ORDER, "places": 3, "invoice": { "number": number }, "approval": null, "car": 5, "room": 6 });
    assert_eq!(work("invoice", false, known(0)).await.unwrap(), json!({ "number": 3 }));
    assert_eq!(work("invoice", true, known(1)).await.unwrap(), json!(null));
    let error = work("invoice", true, known(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no invoice 0");
    assert_eq!(work("ask_boss", false, known(1)).await.unwrap(), json!("3 seats"));
    assert_eq!(work("approve", false, known(1)).await.unwrap(), json!(null));
    assert_eq!(work("thank", false, known(8)).await.unwrap(), json!([5, "8"]));

    let error = running.call("Divide", &json!({ "of": 1 })).await.unwrap_err();
    assert!(error.to_string().contains("what serde writes of `f64` it cannot read again"), "{error}");
    let input = json!({ "uuid": ORDER, "something": "s" });
    let answer = running.call("Echo", &input).await.unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(answer.body()).unwrap(), input);
    running.stop().await;
}

#[test]
fn sagas_stand_in_surroundings_that_are_not_kind_to_them() {
    let known =
        values(json!({ "type": 1, "string": "s", "path": 2, "own": 3, "in": [4, 5], "crate_path": 6, "fn": 7, "text": "t", "maybe": "m" }));
    let done = known.view().unwrap();
    assert_eq!(shadowed::as_the_module_is_seen(&done), (7, &Some("m".to_owned())));
    let names = |name: &str| {
        let def = minos::__private::inventory::iter::<SagaDef>.into_iter().find(|def| def.name == name);
        def.map(|def| steps(def.nodes).iter().map(|step| step.name).collect::<Vec<_>>())
    };
    assert_eq!(names("Match"), Some(vec!["move", "string", "option"]));
    assert_eq!(names("CountBytes"), Some(vec!["count", "again"]));
    assert_eq!(names("Nothing"), Some(vec!["nothing"]));
    assert_eq!((names("NotThere"), names("NotThereEither")), (None, None));
    let of_move = minos::__private::inventory::iter::<SagaDef>.into_iter().find(|def| def.name == "Match").unwrap();
    assert_eq!(sent(step(of_move, "move"), &known), ("OddMessage", None, json!({ "type": 1 })));
    assert_eq!(undone(step(of_move, "move"), &known).unwrap(), ("OddMessage", json!({ "type": 7 })));
}

/// What compiles can be executed.
#[test]
fn the_runtime_takes_what_the_macro_lets_pass() {
    let defs: Vec<_> = minos::__private::inventory::iter::<SagaDef>.into_iter().collect();
    assert!(defs.len() >= 6, "{}", defs.len());
    for def in defs {
        let plan = Plan::of(def, Policy::default()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(plan.steps().len(), steps(def.nodes).len(), "{}", def.name);
    }
}

#[test]
fn a_saga_that_is_not_as_it_was_is_told_with_the_difference() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = minos::saga::lock_text().unwrap();
    let check = |text: &str| {
        std::fs::write(file.path(), text).unwrap();
        minos::saga::check_lock(file.path()).map_err(|error| error.to_string())
    };
    assert_eq!(check(&text), Ok(()));
    let step = "compensable remote create_foobar -> foobar: Uuid, undone";
    assert!(text.contains(step) && text.contains("saga AddFoobar"), "{text}");
    let changed = check(&text.replace(step, "compensable remote create_foobar -> foobar: u32, undone")).unwrap_err();
    assert!(changed.contains("  saga AddFoobar\n-   compensable remote create_foobar -> foobar: u32, undone\n"), "{changed}");
    assert!(changed.contains(&format!("+   {step}\n")), "{changed}");
    let gone = check(&format!("{text}\nsaga Gone\n  hash 1\n")).unwrap_err();
    assert!(gone.contains("- saga Gone\n") && !gone.contains("AddFoobar"), "{gone}");
    let new = check(&text.replace("saga AddFoobar", "saga AddFoobars")).unwrap_err();
    assert!(new.contains("+ saga AddFoobar\n") && new.contains("- saga AddFoobars\n"), "{new}");
    std::fs::remove_file(file.path()).unwrap();
    assert!(minos::saga::check_lock(file.path()).is_err(), "that the file is missing is told");
    assert!(minos::saga::check_lock("/").unwrap_err().to_string().starts_with("/ cannot be read: "));
}
