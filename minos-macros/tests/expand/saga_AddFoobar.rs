#[derive(::minos::__private::serde::Serialize, ::minos::__private::serde::Deserialize)]
#[serde(crate = "::minos::__private::serde")]
#[derive(::core::fmt::Debug, ::core::clone::Clone)]
/// Creates a foobar in its own service, then links it to the foo.
pub struct AddFoobar {
    pub uuid: Uuid,
    pub something: String,
}
/// What is known at each step of [`AddFoobar`].
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    private_interfaces,
    non_camel_case_types,
    deprecated,
    missing_debug_implementations
)]
pub mod add_foobar {
    use super::*;
    /// What step `create_foobar` sees.
    pub struct CreateFoobar {
        pub uuid: Uuid,
        pub something: String,
    }
    /// What step `create_foobar` sees when it has succeeded.
    pub struct CreateFoobarDone {
        pub uuid: Uuid,
        pub something: String,
        /// What step `create_foobar` has yielded.
        pub foobar: Uuid,
    }
    /// What step `update_foo` sees.
    pub struct UpdateFoo {
        pub uuid: Uuid,
        pub something: String,
        /// What step `create_foobar` has yielded.
        pub foobar: Uuid,
    }
    /// What is known when [`AddFoobar`] has committed.
    pub struct Done {
        pub uuid: Uuid,
        pub something: String,
        /// What step `create_foobar` has yielded.
        pub foobar: Uuid,
    }
}
#[allow(non_upper_case_globals, deprecated, unexpected_cfgs, clippy::unused_async)]
const _: () = {
    const __minos_uuid: ::minos::__private::saga::Slot<Uuid> = ::minos::__private::saga::slot::<
        Uuid,
    >("uuid");
    const __minos_something: ::minos::__private::saga::Slot<String> = ::minos::__private::saga::slot::<
        String,
    >("something");
    const __minos_foobar: ::minos::__private::saga::Slot<Uuid> = ::minos::__private::saga::slot::<
        Uuid,
    >("foobar");
    #[automatically_derived]
    impl ::minos::__private::saga::View for add_foobar::CreateFoobar {
        #[allow(unused_variables)]
        fn read(
            values: &::minos::__private::saga::Values,
        ) -> ::minos::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                uuid: __minos_uuid.read(values)?,
                something: __minos_something.read(values)?,
            })
        }
    }
    #[automatically_derived]
    impl ::minos::__private::saga::View for add_foobar::CreateFoobarDone {
        #[allow(unused_variables)]
        fn read(
            values: &::minos::__private::saga::Values,
        ) -> ::minos::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                uuid: __minos_uuid.read(values)?,
                something: __minos_something.read(values)?,
                foobar: __minos_foobar.read(values)?,
            })
        }
    }
    #[automatically_derived]
    impl ::minos::__private::saga::View for add_foobar::UpdateFoo {
        #[allow(unused_variables)]
        fn read(
            values: &::minos::__private::saga::Values,
        ) -> ::minos::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                uuid: __minos_uuid.read(values)?,
                something: __minos_something.read(values)?,
                foobar: __minos_foobar.read(values)?,
            })
        }
    }
    #[automatically_derived]
    impl ::minos::__private::saga::View for add_foobar::Done {
        #[allow(unused_variables)]
        fn read(
            values: &::minos::__private::saga::Values,
        ) -> ::minos::__private::Result<Self> {
            ::core::result::Result::Ok(Self {
                uuid: __minos_uuid.read(values)?,
                something: __minos_something.read(values)?,
                foobar: __minos_foobar.read(values)?,
            })
        }
    }
    fn on_execute_of_create_foobar(
        saga: &add_foobar::CreateFoobar,
    ) -> impl ::minos::__private::Replies<Uuid> + use<> {
        CreateFooBar {
            number: 56,
            text: saga.something.clone(),
        }
    }
    fn on_error_of_create_foobar(
        _saga: &add_foobar::CreateFoobar,
        error: ::minos::__private::Error,
    ) -> impl ::minos::__private::saga::Recovery<Uuid> + use<> {
        error.context("the foobar could not be created")
    }
    fn on_failure_of_create_foobar(
        saga: &add_foobar::CreateFoobarDone,
    ) -> impl ::minos::__private::Message + use<> {
        DeleteFooBar { uuid: saga.foobar }
    }
    async fn on_execute_of_update_foo(
        cx: &mut ::minos::__private::Context,
        saga: &add_foobar::UpdateFoo,
    ) -> ::minos::__private::Result<()> {
        let mut foo = Foo::get(cx, saga.uuid).await?;
        foo.foobar = Some(saga.foobar);
        foo.save(cx).await
    }
    const __minos_definition: ::minos::__private::saga::SagaDef = ::minos::__private::saga::SagaDef {
        name: "AddFoobar",
        input: &[
            ::minos::__private::saga::Output {
                name: "uuid",
                ty: "Uuid",
            },
            ::minos::__private::saga::Output {
                name: "something",
                ty: "String",
            },
        ],
        isolated: false,
        nodes: &[
            ::minos::__private::saga::Node::Step(::minos::__private::saga::Step {
                name: "create_foobar",
                kind: ::minos::__private::saga::StepKind::Compensable,
                output: ::core::option::Option::Some(::minos::__private::saga::Output {
                    name: "foobar",
                    ty: "Uuid",
                }),
                timeout: ::core::option::Option::Some(
                    ::minos::__private::saga::Duration::from_millis(30000u64),
                ),
                retry: ::core::option::Option::None,
                sample: __minos_foobar.sample(),
                work: ::minos::__private::saga::Work::Remote {
                    execute: |values| {
                        ::minos::__private::saga::request::<
                            add_foobar::CreateFoobar,
                            _,
                            Uuid,
                        >(values, on_execute_of_create_foobar)
                    },
                    read: |answer| __minos_foobar.answer(answer),
                    on_success: ::core::option::Option::None,
                    on_error: ::core::option::Option::Some(|values, error| {
                        ::minos::__private::saga::recover::<
                            add_foobar::CreateFoobar,
                            Uuid,
                            _,
                        >(values, error, &__minos_foobar, on_error_of_create_foobar)
                    }),
                    undo: ::core::option::Option::Some(|values| {
                        ::minos::__private::saga::message::<
                            add_foobar::CreateFoobarDone,
                            _,
                        >(values, on_failure_of_create_foobar)
                    }),
                },
            }),
            ::minos::__private::saga::Node::Step(::minos::__private::saga::Step {
                name: "update_foo",
                kind: ::minos::__private::saga::StepKind::Compensable,
                output: ::core::option::Option::None,
                timeout: ::core::option::Option::None,
                retry: ::core::option::Option::None,
                sample: ::minos::__private::saga::NOTHING.sample(),
                work: ::minos::__private::saga::Work::Local {
                    execute: |cx, values| ::minos::__private::saga::local::<
                        add_foobar::UpdateFoo,
                        (),
                    >(
                        cx,
                        values,
                        &::minos::__private::saga::NOTHING,
                        |cx, saga| ::minos::__private::saga::future(
                            on_execute_of_update_foo(cx, saga),
                        ),
                    ),
                    undo: ::core::option::Option::None,
                },
            }),
        ],
        module: ::core::module_path!(),
        file: ::core::file!(),
        line: ::core::line!(),
    };
    ::minos::__private::inventory::submit! {
        __minos_definition
    }
    #[automatically_derived]
    impl ::minos::__private::saga::Saga for AddFoobar
    where
        for<'minos> Self: ::minos::__private::serde::Serialize
            + ::minos::__private::serde::de::DeserializeOwned,
    {
        const NAME: &'static str = "AddFoobar";
        type Done = add_foobar::Done;
        fn definition() -> &'static ::minos::__private::saga::SagaDef {
            &__minos_definition
        }
    }
};
