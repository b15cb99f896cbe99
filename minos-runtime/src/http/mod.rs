//! The way in by HTTP: from a socket to a handler's request, and from its answer back.

mod activity;
mod app;
mod body;
mod budget;
mod credentials;
mod dispatch;
mod guard;
mod head;
mod health;
mod host;
mod layer;
mod listen;
mod problem;
mod route;
mod server;
mod socket;
mod timer;
mod watched;

pub use app::App;
pub use body::Body;
pub use guard::Guard;
pub use layer::{HttpService, Layers, Request, Response, Way};
pub use route::Routes;
pub use server::Server;
// What the gateway serves with, too.
#[doc(hidden)]
pub use {
    activity::{Active, Activity},
    credentials::Credentials,
    head::{BETWEEN, head_size},
    host::is_for_this_machine,
    listen::{LATE, Phase, accept, queued, reached},
    socket::{Socket, speaks_two},
    timer::ConnectionTimer,
    watched::Watched,
};
