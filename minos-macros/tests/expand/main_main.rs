fn main() -> ::minos::__private::ExitCode {
    async fn main() -> Result<()> {
        Service::from_config("minos.toml")?.run().await
    }
    ::minos::__private::main(::core::option::Option::None, main())
}
