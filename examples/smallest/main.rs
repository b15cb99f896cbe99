//! A whole service: an aggregate, two commands and a query.

use minos::prelude::*;

#[aggregate]
pub struct Note {
    pub text: String,
}

#[command(POST "/notes")]
async fn write(cx: &mut Context, input: Note) -> Result<Uuid> {
    Ok(Note::create(cx, input).await?.uuid())
}

#[command(PUT "/notes/{uuid}")]
async fn rewrite(cx: &mut Context, Path(uuid): Path<Uuid>, input: Note) -> Result<()> {
    let mut note = Note::get(cx, uuid).await?;
    note.text = input.text;
    note.save(cx).await
}

#[query(GET "/notes/{uuid}")]
async fn read(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Note>> {
    Note::get(cx, uuid).await
}

#[minos::main]
async fn main() -> Result<()> {
    Service::from_config("minos.toml")?.run().await
}
