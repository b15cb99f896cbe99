//! Two services and a saga over both: `foo` has a foobar created by `foobar`, and links it to a foo. If either fails, neither has happened.
//!
//! `cargo run --example foobar` runs both in one process, and then:
//!
//! ```sh
//! curl -X POST 127.0.0.1:8080/foos -d '{"bar":"x"}'
//! curl -X POST 127.0.0.1:8080/foo/add-foobar -d '{"uuid":"…","something":"a text"}'
//! ```
//!
//! `cargo run --example foobar --features postgres,kafka -- foo`, and the same with `foobar` in another terminal, runs them as two processes. Each needs a
//! `MINOS_STORE_URL` of its own then, and both the same `MINOS_BROKER_URL=kafka://…`.

#![allow(unreachable_pub)]

mod foo;
mod foobar;

use minos::prelude::*;

#[minos::main]
async fn main() -> Result<()> {
    let foo = || Ok::<_, Error>(Service::from_config("examples/foobar/foo.toml")?.module(concat!(module_path!(), "::foo")));
    let foobar = || Ok::<_, Error>(Service::from_config("examples/foobar/foobar.toml")?.module(concat!(module_path!(), "::foobar")));
    match std::env::args().nth(1).as_deref() {
        None => Service::run_all([foo()?, foobar()?]).await,
        Some("foo") => foo()?.run().await,
        Some("foobar") => foobar()?.run().await,
        Some(other) => bail!("there is no service `{other}`: say `foo` or `foobar`, or nothing for both"),
    }
}
