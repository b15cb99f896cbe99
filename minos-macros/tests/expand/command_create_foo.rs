/// Handles the topic `CreateFoo` and `POST /foos` alike.
async fn create_foo(cx: &mut Context, input: CreateFoo) -> Result<Uuid> {
    Ok(Foo::create(cx, Foo { bar: input.bar }).await?.uuid())
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
        let p1 = match ::minos::__private::extract::<CreateFoo>(request) {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(error) => return ::minos::__private::fail(error),
        };
        ::minos::__private::run(
            create_foo(cx, p1),
            ::minos::__private::answer_result::<Uuid, _>,
        )
    }
    #[allow(unused_imports)]
    use ::minos::__private::NotTraced as _;
    ::minos::__private::inventory::submit! {
        ::minos::__private::HandlerDef { kind : ::minos::__private::Kind::Command,
        function : "create_foo", names : & ["CreateFoo"], routes : & [("POST", "/foos")],
        access : ::minos::__private::Access::CLOSED, handle : __minos_handle, about :
        ::minos::__private::About { doc :
        "Handles the topic `CreateFoo` and `POST /foos` alike.", answer :
        ::minos::__private::Of:: < Uuid > ::SEEN, around : "", answer_type : "Uuid" },
        module : ::core::module_path!(), file : ::core::file!(), line : ::core::line!(),
        }
    }
};
