//! A gateway in front of services, over real sockets.

mod attacks;
mod console;
mod edge;
mod failing;
mod kit;
mod operator;
mod patience;
mod restarts;
mod routing;
mod streams;
mod tls;
