async fn foo_created(_cx: &mut Context, event: FooCreated) -> Result<()> {
    println!("{} was created with {}", event.uuid(), event.bar);
    Ok(())
}
#[doc(hidden)]
const _: () = {
    #[allow(unused_variables, deprecated)]
    fn __minos_handle<'a>(
        cx: &'a mut ::minos::__private::Context,
        request: &::minos::__private::Request,
    ) -> ::minos::__private::BoxFuture<
        'a,
        ::minos::__private::Result<::minos::__private::Response>,
    > {
        let p1 = match ::minos::__private::extract::<FooCreated>(request) {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(error) => return ::minos::__private::fail(error),
        };
        ::minos::__private::run(
            foo_created(cx, p1),
            ::minos::__private::answer_result::<(), _>,
        )
    }
    ::minos::__private::inventory::submit! {
        ::minos::__private::HandlerDef { kind : ::minos::__private::Kind::Event, function
        : "foo_created", names : & ["FooCreated"], routes : & [], access :
        ::minos::__private::Access::CLOSED, handle : __minos_handle, about :
        ::minos::__private::About::NOTHING, module : ::core::module_path!(), file :
        ::core::file!(), line : ::core::line!(), }
    }
};
