#[derive(::minos::__private::serde::Serialize, ::minos::__private::serde::Deserialize)]
#[serde(crate = "::minos::__private::serde")]
/// An event-sourced aggregate. Every change to it is stored as an event.
pub struct Foo {
    pub bar: String,
}
const _: () = {
    #[automatically_derived]
    impl ::minos::__private::Aggregate for Foo
    where
        for<'minos> Self: ::minos::__private::serde::Serialize
            + ::minos::__private::serde::de::DeserializeOwned,
    {
        const NAME: &'static str = "Foo";
        const FIELDS: &'static [&'static str] = &["bar"];
        #[allow(deprecated)]
        fn set_field(
            &mut self,
            name: &str,
            value: &mut ::minos::__private::NewValue<'_>,
        ) -> ::minos::__private::WasSet {
            match name {
                "bar" => value.set(&mut self.bar),
                _ => ::core::result::Result::Ok(false),
            }
        }
    }
    #[allow(unused_imports)]
    use ::minos::__private::NotTraced as _;
    ::minos::__private::inventory::submit! {
        ::minos::__private::AggregateDef { name : "Foo", fields : & ["bar"], look :
        ::minos::__private::Look::Fields("Foo", & [("bar", ::minos::__private::Of:: <
        String > ::SEEN)]), module : ::core::module_path!(), file : ::core::file!(), line
        : ::core::line!(), }
    }
    #[cfg(test)]
    ::minos::__private::persisted! {
        aggregate Foo
    }
};
/// A [`Foo`] was created: its first state, which reads as the aggregate itself.
#[allow(dead_code)]
pub type FooCreated = ::minos::__private::Created<Foo>;
/// A [`Foo`] was changed: the fields with their new values.
#[allow(dead_code)]
pub type FooUpdated = ::minos::__private::Updated<Foo>;
/// A [`Foo`] was deleted.
#[allow(dead_code)]
pub type FooDeleted = ::minos::__private::Deleted<Foo>;
