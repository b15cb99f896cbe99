//! What services tell of themselves: causes of events, traces, metrics.

#![allow(unreachable_pub)]

#[path = "../common/mod.rs"]
mod common;

mod causes;
#[cfg(feature = "otel")]
mod collector;
#[cfg(feature = "otel")]
mod down;
#[cfg(feature = "otel")]
mod traces;

#[path = "../../examples/foobar/foo.rs"]
mod foo;
#[path = "../../examples/foobar/foobar.rs"]
mod foobar;
