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

/// The saga by itself: the test plays the other service, and the local step works on a store in memory.
#[cfg(test)]
mod tests {
    use super::*;
    use minos::testing::TestService;

    minos::crash_matrix!(AddFoobar);

    fn a_foo(service: &TestService) -> Uuid {
        service.run(async |cx| Ok(Foo::create(cx, Foo { bar: "x".into(), foobar: None }).await?.uuid())).unwrap()
    }

    #[test]
    fn the_foobar_is_linked_to_the_foo() {
        let service = TestService::new();
        let (uuid, foobar) = (a_foo(&service), Uuid::now_v7());
        let mut saga = service.start(AddFoobar { uuid, something: "a text".into() });
        let create: CreateFooBar = saga.sent();
        assert_eq!((create.number, create.text.as_str()), (56, "a text"));
        saga.answer(foobar);
        saga.run();
        assert_eq!(saga.committed().foobar, foobar);
        let linked = service.run(async |cx| Ok(Foo::get(cx, uuid).await?.foobar.as_ref().map(Ref::uuid))).unwrap();
        assert_eq!(linked, Some(foobar));
    }

    #[test]
    fn without_a_foo_the_foobar_is_deleted() {
        let mut saga = TestService::new().start(AddFoobar { uuid: Uuid::now_v7(), something: "a text".into() });
        let foobar = Uuid::now_v7();
        saga.answer(foobar);
        saga.run();
        let delete: DeleteFooBar = saga.sent();
        assert_eq!(delete.uuid, foobar);
        saga.answer(());
        assert_eq!(saga.rolled_back().status(), 404);
    }
}
