//! The service `{{name}}` as a program: `cargo run` beside its `minos.toml`, or with the path of a configuration.

use minos::{Config, prelude::*};

#[minos::main]
async fn main() -> Result<()> {
    let config = std::env::args().nth(1).unwrap_or_else(|| "minos.toml".to_owned());
    {{crate}}::service(Config::load(config)?).run().await
}
