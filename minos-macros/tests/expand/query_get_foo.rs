async fn get_foo(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Foo>> {
    Foo::get(cx, uuid).await
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
        let p1 = match ::minos::__private::extract_for_query::<Path<Uuid>>(request) {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(error) => return ::minos::__private::fail(error),
        };
        ::minos::__private::run(
            get_foo(cx, p1),
            ::minos::__private::answer_result::<Root<Foo>, _>,
        )
    }
    #[allow(unused_imports)]
    use ::minos::__private::NotTraced as _;
    ::minos::__private::inventory::submit! {
        ::minos::__private::HandlerDef { kind : ::minos::__private::Kind::Query, function
        : "get_foo", names : & ["GetFoo"], routes : & [("GET", "/foos/{uuid}")], access :
        ::minos::__private::Access::CLOSED, handle : __minos_handle, about :
        ::minos::__private::About { doc : "", answer : ::minos::__private::Of:: < Root <
        Foo > > ::SEEN, around : "", answer_type : "Root<Foo>" }, module :
        ::core::module_path!(), file : ::core::file!(), line : ::core::line!(), }
    }
};
