//! What the gateway takes from here for the console of all services: the files of the page, and what a service answers its operator.

pub use super::{
    admin::routes,
    console::{FILES, HEADERS, PLACE, PageFile, Place},
};
