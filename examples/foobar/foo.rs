//! The service of foos, which coordinates the saga.

use minos::prelude::*;

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

/// A command of another service, and what it answers.
#[message("CreateFooBar", reply = Uuid)]
pub struct CreateFooBar {
    pub number: i32,
    pub text: String,
}

/// What undoes it.
#[message("DeleteFooBar")]
pub struct DeleteFooBar {
    pub uuid: Uuid,
}

saga! {
    /// Creates a foobar in its own service, then links it to the foo.
    pub AddFoobar { uuid: Uuid, something: String }

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

#[derive(Serialize)]
pub struct Added {
    foobar: Uuid,
}

#[command(POST "/foo/add-foobar")]
async fn add_foobar(cx: &mut Context, input: AddFoobar) -> Result<Added> {
    let done = cx.run(input).await?;
    Ok(Added { foobar: done.foobar })
}

#[derive(Deserialize)]
pub struct CreateFoo {
    bar: String,
}

#[derive(Serialize)]
pub struct Created {
    uuid: Uuid,
}

#[command("CreateFoo", POST "/foos")]
async fn create_foo(cx: &mut Context, input: CreateFoo) -> Result<Created> {
    let foo = Foo::create(cx, Foo { bar: input.bar, foobar: None }).await?;
    Ok(Created { uuid: foo.uuid() })
}

#[query("GetFoo", GET "/foos/{uuid}")]
async fn get_foo(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Foo>> {
    Foo::get(cx, uuid).await
}
