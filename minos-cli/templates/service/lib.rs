//! The service `{{name}}`.

mod {{module}};

use minos::{Config, prelude::*};

/// The service with this configuration: as the program runs it, and `minos dev`.
pub fn service(config: Config) -> Service {
    Service::new(config).module(module_path!())
}
