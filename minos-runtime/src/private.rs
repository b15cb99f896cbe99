//! The one door for expansions. Not public API: anything here may change in any release.

pub use std::format;
