//! Letters that get a stamp after they were written, by a handler that a clerk may hold up.

use minos::prelude::*;

#[aggregate]
pub struct Letter {
    pub text: String,
}

#[derive(Deserialize)]
pub struct Write {
    text: String,
}

#[command(POST "/letters")]
async fn write(cx: &mut Context, input: Write) -> Result<Uuid> {
    Ok(Letter::create(cx, Letter { text: input.text }).await?.uuid())
}

/// Has the uuid of its letter.
#[aggregate]
pub struct Stamp {
    pub stamped: u32,
}

/// Set for a process whose stamps are never finished.
pub const HELD_UP: &str = "DESK_HELD_UP";

#[event("LetterCreated")]
async fn stamp(cx: &mut Context, event: LetterCreated) -> Result<()> {
    let mut stamp = match Stamp::find_one(cx, event.uuid()).await? {
        Some(stamp) => stamp,
        None => Stamp::create_as(cx, event.uuid(), Stamp { stamped: 0 }).await?,
    };
    stamp.stamped += 1;
    stamp.save(cx).await?;
    if std::env::var_os(HELD_UP).is_some() {
        eprintln!("holds {}", event.uuid());
        std::future::pending::<()>().await;
    }
    Ok(())
}

#[query(GET "/stamps/{uuid}")]
async fn stamped(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Stamp>> {
    Stamp::get(cx, uuid).await
}
