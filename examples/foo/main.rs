//! The service of the README: an aggregate with commands, queries and event handlers.
//!
//! `cargo run --example foo`, and then:
//!
//! ```sh
//! curl -X POST localhost:8080/foos -d '{"bar":"x"}'
//! ```

use minos::prelude::*;

/// An event-sourced aggregate. Every change to it is stored as an event.
#[aggregate]
pub struct Foo {
    pub bar: String,
    pub foobar: Option<Ref<FooBar>>,
}

/// The part of another service's aggregate that this one cares about.
#[aggregate_ref]
pub struct FooBar {
    pub something: String,
}

#[derive(Deserialize)]
pub struct CreateFoo {
    bar: String,
}

#[derive(Serialize)]
pub struct Created {
    uuid: Uuid,
}

#[derive(Deserialize)]
pub struct RenameFoo {
    bar: String,
}

/// Handles the broker topic `CreateFoo` and `POST /foos` alike.
#[command("CreateFoo", POST "/foos")]
async fn create_foo(cx: &mut Context, input: CreateFoo) -> Result<Created> {
    let foo = Foo::create(cx, Foo { bar: input.bar, foobar: None }).await?;
    Ok(Created { uuid: foo.uuid() })
}

/// Fields are changed in place; `save` stores the difference as a `FooUpdated` event.
#[command("RenameFoo", PUT "/foos/{uuid}/bar")]
async fn rename_foo(cx: &mut Context, Path(uuid): Path<Uuid>, input: RenameFoo) -> Result<()> {
    let mut foo = Foo::get(cx, uuid).await?;
    foo.bar = input.bar;
    foo.save(cx).await
}

#[query("GetFoo", GET "/foos/{uuid}")]
async fn get_foo(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Foo>> {
    Foo::get(cx, uuid).await
}

#[command("DeleteFoo", DELETE "/foos/{uuid}")]
async fn delete_foo(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
    Foo::get(cx, uuid).await?.delete(cx).await
}

#[event("FooCreated")]
async fn foo_created(_cx: &mut Context, event: FooCreated) -> Result<()> {
    println!("FooCreated: {} with bar = {:?}", event.uuid(), event.bar);
    Ok(())
}

#[event("FooUpdated.bar")]
async fn foo_renamed(_cx: &mut Context, event: FooUpdated) -> Result<()> {
    println!("FooUpdated: {} to version {}: {}", event.uuid(), event.version(), event.as_json());
    Ok(())
}

#[query(GET "/foos/example")]
async fn example() -> &'static str {
    "This is an example response!"
}

#[periodic("0 * * * *")]
async fn every_hour(_cx: &mut Context) -> Result<()> {
    println!("an hour has passed");
    Ok(())
}

// What is stored stays readable: a change that breaks it is told here.
#[cfg(test)]
minos::events_lock!("examples/foo/events.lock");

#[minos::main]
async fn main() -> Result<()> {
    Service::from_config("minos.toml")?.run().await
}
