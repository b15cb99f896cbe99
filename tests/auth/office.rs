//! Two services that are closed: a desk, where people come, and an archive, which the desk asks.

use minos::prelude::*;
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

/// Who was seen where.
#[derive(Clone, Default)]
pub struct Seen(Arc<Mutex<Vec<String>>>, Arc<AtomicBool>);

impl Seen {
    /// Whether the archive is locked, so that nothing is taken back.
    pub fn lock(&self, is_locked: bool) {
        self.1.store(is_locked, Ordering::SeqCst);
    }

    pub fn is_locked(&self) -> bool {
        self.1.load(Ordering::SeqCst)
    }

    pub fn add(&self, what: &str, user: &User) {
        let kind = if user.is_service() { "service " } else { "" };
        let text = format!("{what}: {kind}{} [{}]", user.id().unwrap_or("nobody"), user.roles().join(","));
        self.0.lock().unwrap().push(text);
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// Asks the archive for a stamp.
#[message("Stamp", reply = String)]
pub struct Stamp {
    pub paper: String,
}

/// Takes it back.
#[message("Unstamp")]
pub struct Unstamp {
    pub paper: String,
}

/// Tells the archive something.
#[message("Note")]
pub struct Note {
    pub text: String,
}

pub mod desk {
    use super::*;

    saga! {
        /// Has a paper stamped, and files it.
        pub File { paper: String, is_torn: bool }

        remote stamp -> stamped_by: String {
            on_execute: |saga| Stamp { paper: saga.paper.clone() },
            on_failure: |saga| Unstamp { paper: saga.paper.clone() },
        }

        local file {
            on_execute: async |cx, saga| {
                let seen = cx.resource::<Seen>()?.clone();
                seen.add("file", &cx.caller());
                ensure!(!saga.is_torn, "the paper is torn");
                Ok(())
            },
        }
    }

    #[command(roles("clerk", "boss"), POST "/files")]
    async fn file_it(cx: &mut Context, input: File) -> Result<String> {
        Ok(cx.run(input).await?.stamped_by)
    }

    #[derive(Deserialize)]
    pub struct Letter {
        text: String,
        for_the_desk: bool,
    }

    /// Anybody may send one in; what the archive is told of it is the desk's own doing, if it takes that upon itself.
    #[command("SendLetter", public, POST "/letters")]
    async fn send_letter(cx: &mut Context, input: Letter) -> Result<()> {
        if input.for_the_desk {
            cx.act_as_service();
        }
        cx.send(Note { text: input.text })
    }

    #[derive(Serialize)]
    pub struct Who {
        id: Option<String>,
        roles: Vec<String>,
        tenant: Option<u32>,
    }

    #[query("Me", GET "/me")]
    async fn me(user: User) -> Who {
        Who { id: user.id().map(str::to_owned), roles: user.roles().to_vec(), tenant: user.claim("tenant") }
    }

    #[query(public, GET "/hello")]
    async fn hello(user: User) -> String {
        format!("hello {}", user.id().unwrap_or("whoever you are"))
    }

    #[query(scopes("files:read", "files:list"), GET "/files")]
    async fn files() -> &'static str {
        "no files"
    }

    #[aggregate]
    pub struct Form {
        pub by: String,
    }

    #[command("FillIn", POST "/forms")]
    async fn fill_in(cx: &mut Context, user: User) -> Result<Uuid> {
        Ok(Form::create(cx, Form { by: user.id().unwrap_or_default().to_owned() }).await?.uuid())
    }

    #[query(GET "/forms/{uuid}/history")]
    async fn history(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Vec<minos::aggregate::PastEvent>> {
        Form::history(cx, uuid).await
    }
}

pub mod archive {
    use super::*;

    #[command("Stamp", roles("clerk"))]
    async fn stamp(cx: &mut Context, user: User, input: Stamp) -> Result<String> {
        cx.resource::<Seen>()?.add("stamp", &user);
        ensure!(!input.paper.is_empty(), "there is nothing on it");
        Ok(user.id().unwrap_or_default().to_owned())
    }

    #[command("Unstamp", roles("clerk"))]
    async fn unstamp(cx: &mut Context, user: User, input: Unstamp) -> Result<()> {
        if cx.resource::<Seen>()?.is_locked() {
            return Err(Error::unavailable("the archive is locked"));
        }
        cx.resource::<Seen>()?.add(&format!("unstamp {}", input.paper), &user);
        Ok(())
    }

    #[command("Note")]
    async fn note(cx: &mut Context, user: User, input: Note) -> Result<()> {
        cx.resource::<Seen>()?.add(&input.text, &user);
        Ok(())
    }

    #[command("Anything", public)]
    async fn anything() {}

    #[event("FormCreated")]
    async fn filled_in(cx: &mut Context, user: User) -> Result<()> {
        cx.resource::<Seen>()?.add("form", &user);
        cx.send(Note { text: "of a form".to_owned() })
    }

    #[periodic("0 * * * *")]
    async fn tidy_up(cx: &mut Context) -> Result<()> {
        cx.send(Note { text: "tidy".to_owned() })
    }
}

/// Both in a test of whole services, each in its own.
pub mod whole {
    use super::*;
    use minos::testing::{TestRunning, TestService};

    pub async fn start(section: &str) -> (TestRunning, Seen) {
        let seen = Seen::default();
        let service = |name: &str| {
            let text = format!("[service]\nname = \"{name}\"{section}");
            Service::from_toml(&text).unwrap().module(format!("auth::office::{name}")).with(seen.clone())
        };
        let both = TestService::whole().service(service("desk")).service(service("archive")).start().await.unwrap();
        (both, seen)
    }
}
