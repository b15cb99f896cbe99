#[derive(::minos::__private::serde::Serialize, ::minos::__private::serde::Deserialize)]
#[serde(crate = "::minos::__private::serde")]
pub struct Reserve {
    pub order: Uuid,
    pub seats: u32,
}
const _: () = {
    #[automatically_derived]
    impl ::minos::__private::Message for Reserve
    where
        for<'minos> Self: ::minos::__private::serde::Serialize,
    {
        const NAME: &'static str = "Reserve";
        type Reply = Uuid;
        fn key(&self) -> ::core::option::Option<::minos::__private::String> {
            ::core::option::Option::Some(
                ::minos::__private::ToString::to_string(&self.order),
            )
        }
    }
    #[allow(unused_imports)]
    use ::minos::__private::NotTraced as _;
    ::minos::__private::inventory::submit! {
        ::minos::__private::MessageDef { name : "Reserve", content :
        ::minos::__private::Look::Fields("Reserve", & [("order", ::minos::__private::Of::
        < Uuid > ::SEEN), ("seats", ::minos::__private::Of:: < u32 > ::SEEN)]), reply :
        ::minos::__private::Of:: < Uuid > ::SEEN, module : ::core::module_path!(), file :
        ::core::file!(), line : ::core::line!(), }
    }
    #[automatically_derived]
    impl ::minos::__private::Replies<Uuid> for Reserve
    where
        for<'minos> Self: ::minos::__private::serde::Serialize,
    {}
};
