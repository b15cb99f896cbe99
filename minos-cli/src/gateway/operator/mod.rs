//! The operator's way in to all services: what they want of one is asked of the operator's API of one of its instances, with the token that they have shown. The
//! page of a service is the page of all of them here.

mod page;
mod pass;
mod places;
mod routes;
mod services;

pub(super) use page::file;
pub(super) use pass::{Pass, Viewer};
pub(super) use places::Places;
pub(super) use services::told;
