//! What the macros register, collected at link time.

use super::{About, Access, Request, Response};
use crate::{context::Context, error::Result};
use futures_util::future::BoxFuture;

/// What a handler is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Changes state.
    Command,
    /// Answers, and changes nothing.
    Query,
    /// Reacts to an event.
    Event,
    /// Runs on a schedule.
    Periodic,
}

impl Kind {
    /// The name of the macro.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Command => "command",
            Kind::Query => "query",
            Kind::Event => "event",
            Kind::Periodic => "periodic",
        }
    }
}

/// A handler behind the types of its parameters and its answer.
pub type Handle = for<'a> fn(&'a mut Context, &'a Request) -> BoxFuture<'a, Result<Response>>;

/// A handler, as its macro registers it.
pub struct HandlerDef {
    /// What it is for.
    pub kind: Kind,
    /// The name of the function.
    pub function: &'static str,
    /// Topics of commands and queries, names of events, or schedules.
    pub names: &'static [&'static str],
    /// HTTP methods and paths.
    pub routes: &'static [(&'static str, &'static str)],
    /// Who may call it.
    pub access: Access,
    /// The function.
    pub handle: Handle,
    /// What is told of it to those who call it.
    pub about: About,
    /// The module that it stands in.
    pub module: &'static str,
    /// The file that it stands in.
    pub file: &'static str,
    /// The line.
    pub line: u32,
}

impl HandlerDef {
    /// The handler's stable name, under which it marks what it has handled: its path without the crate.
    pub fn subscriber(&self) -> String {
        match self.module.split_once("::") {
            Some((_, module)) => format!("{module}::{}", self.function),
            None => self.function.to_owned(),
        }
    }

    /// Where it stands, for messages: `src/main.rs:12`.
    pub fn place(&self) -> String {
        format!("{}:{}", self.file, self.line)
    }
}

impl std::fmt::Debug for HandlerDef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#[{}] {} at {}", self.kind.name(), self.function, self.place())
    }
}

inventory::collect!(HandlerDef);
