//! Handlers that fail, panic, wait and hesitate.

use crate::setup::{Bug, Calls, TooLate};
use minos::prelude::*;
use std::sync::atomic::Ordering;

/// Has a bug that shows with the first event of some jobs.
#[event("JobCreated", "JobUpdated.mood")]
async fn follows(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
    let bug = cx.resource::<Bug>()?;
    ensure!(event["mood"] != "blocks" || bug.fixed.load(Ordering::SeqCst), "a bug");
    bug.seen.lock().unwrap().push(format!("{} {}", event.version(), event["mood"]));
    Ok(())
}

#[aggregate]
pub struct Job {
    pub mood: String,
}

#[derive(Deserialize)]
pub struct Start {
    mood: String,
}

#[command(POST "/jobs")]
async fn start(cx: &mut Context, input: Start) -> Result<Uuid> {
    Ok(Job::create(cx, Job { mood: input.mood }).await?.uuid())
}

#[command(PUT "/jobs/{uuid}")]
async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, input: Start) -> Result<()> {
    let mut job = Job::get(cx, uuid).await?;
    job.mood = input.mood;
    job.save(cx).await
}

#[event("JobCreated")]
async fn created(cx: &mut Context, event: JobCreated) -> Result<()> {
    let calls = cx.resource::<Calls>()?.clone();
    match event.mood.as_str() {
        "panics" => panic!("as told"),
        "refuses" => bail!("never"),
        "sleeps" => {
            eprintln!("sleeps");
            calls.add();
            std::future::pending().await
        }
        "hesitates" if calls.add() < 3 => Err(Error::internal("not yet")),
        _ => Ok(()),
    }
}

#[event("JobUpdated.mood")]
async fn updated(cx: &mut Context, _event: JobUpdated) -> Result<()> {
    cx.resource::<Calls>()?.add();
    Ok(())
}

#[query(GET "/panic")]
async fn panics() -> Result<String> {
    panic!("the secret is 42");
}

#[query(GET "/fail")]
async fn fails() -> Result<String> {
    Ok(std::fs::read_to_string("/no/such/secret")?)
}

#[query(GET "/takes-a-while")]
async fn takes_a_while(cx: &Context) -> Result<&'static str> {
    cx.resource::<Calls>()?.add();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    Ok("done")
}

/// More than the buffers of a connection hold.
#[query(GET "/large")]
async fn large(cx: &Context) -> Result<String> {
    cx.resource::<Calls>()?.add();
    Ok("x".repeat(16 << 20))
}

#[derive(Deserialize)]
pub struct Sum {
    a: u64,
    b: Option<u64>,
}

#[query(GET "/sum", POST "/sum")]
async fn sum(input: Sum) -> u64 {
    input.a + input.b.unwrap_or_default()
}

#[query(GET "/slow")]
async fn slow() -> Result<()> {
    eprintln!("waits for ever");
    std::future::pending().await
}

/// Counts when it is dropped.
struct Gone(Calls);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.add();
    }
}

/// Takes longer than anybody waits, and then would do something.
#[command(POST "/late")]
async fn late(cx: &mut Context) -> Result<()> {
    let calls = cx.resource::<Calls>()?.clone();
    calls.add();
    let _gone = Gone(calls);
    let too_late = std::time::Duration::from_millis(cx.resource::<TooLate>()?.0);
    tokio::time::sleep(too_late).await;
    Job::create(cx, Job { mood: "late".to_owned() }).await.map(|_| ())
}

#[derive(Debug, minos::Problem)]
pub enum Stock {
    #[problem(status = 409)]
    Full,
}
impl std::fmt::Display for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the stock is full")
    }
}
impl std::error::Error for Stock {}

#[command(POST "/stock")]
async fn stock() -> Result<()> {
    Err(Stock::Full)?
}

#[query(GET "/teapot")]
async fn teapot(headers: Headers, user: User) -> Result<Response> {
    assert!(user.is_anonymous());
    let text = headers.text("x-tea").unwrap_or("none").to_owned();
    Ok(Response::json(&text)?.with_status("418".parse()?))
}
