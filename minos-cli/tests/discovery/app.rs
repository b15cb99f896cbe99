//! A service that says which of its processes answers.

use minos::prelude::*;

#[query(GET "/who/{name}")]
async fn who(Path(name): Path<String>) -> String {
    format!("{name} {}", std::process::id())
}
