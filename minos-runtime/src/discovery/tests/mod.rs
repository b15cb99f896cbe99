//! The implementations against the suite, and callers against registries that are down, slow, or lie.

mod places;
mod registry;
