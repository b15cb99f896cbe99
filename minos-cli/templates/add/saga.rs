//! The saga `{{Name}}`.

use minos::prelude::*;

saga! {
    /// It ends with all of its steps done, or with all that were done undone. `remote` steps send commands of other services.
    pub {{Name}} { text: String }

    local first -> length: u32 {
        on_execute: async |_cx, saga| {
            ensure!(!saga.text.is_empty(), "the text is empty");
            Ok(saga.text.chars().count() as u32)
        },
        on_failure: (),
    }
}

/// Starts it, and waits for its end.
#[command("{{Name}}", POST "{{path}}")]
async fn run_{{module}}(cx: &mut Context, input: {{Name}}) -> Result<u32> {
    Ok(cx.run(input).await?.length)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Each step fails, is late, doubled, lost or interrupted: it always ends well.
    minos::crash_matrix!({{Name}});
}
