//! Answers in place of a service that is not here. Each is a small service of its own, so all that holds for participants of sagas holds for it: a step is
//! done once, one that was cancelled never is, and what is prepared is applied or dropped.

use super::{TestRunning, named, quick};
use crate::{
    context::Context,
    error::{Error, Result},
    handler::{About, Content, HandlerDef, Kind, Request, Response},
    message::Message,
    service::Service,
    sync::lock,
};
use futures_util::future::{BoxFuture, FutureExt};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{Arc, Mutex};

/// The module of its handler, in which there is no other one.
const MODULE: &str = "minos::stand_in";

type Answer = dyn Fn(&[u8]) -> Result<Response> + Send + Sync;

/// What it answers, which a test may change.
#[derive(Clone)]
pub(super) struct StandIn(Arc<Mutex<Arc<Answer>>>);

impl StandIn {
    pub(super) fn new<M>(answer: impl Fn(M) -> Result<M::Reply> + Send + Sync + 'static) -> Self
    where
        M: Message + DeserializeOwned + 'static,
        M::Reply: Serialize,
    {
        let answer = move |content: &[u8]| {
            let message = serde_json::from_slice(content)
                .map_err(|error| Error::from(error).context(format!("`{}` cannot be read by its stand-in", M::NAME)))?;
            Response::json(&answer(message)?)
        };
        StandIn(Arc::new(Mutex::new(Arc::new(answer))))
    }

    fn answer(&self, content: &[u8]) -> Result<Response> {
        let answer = lock(&self.0).clone();
        answer(content)
    }
}

fn handle<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let content = match &request.parts().content {
            Content::Json(content) => &content[..],
            Content::Form | Content::None => b"null",
        };
        cx.resource::<StandIn>()?.answer(content)
    }
    .boxed()
}

impl TestRunning {
    /// From now on this answers messages `M`, in place of a service that is not here; one that was there for them is replaced. What was sent before and has waited
    /// is answered at once.
    ///
    /// # Errors
    /// If a service of this test handles them.
    pub async fn answer<M>(&self, answer: impl Fn(M) -> Result<M::Reply> + Send + Sync + 'static) -> Result<()>
    where
        M: Message + DeserializeOwned + 'static,
        M::Reply: Serialize,
    {
        self.stand_in(M::NAME, StandIn::new(answer)).await
    }

    pub(super) async fn stand_in(&self, name: &'static str, stand_in: StandIn) -> Result<()> {
        if let Some((_, known, _)) = lock(&self.world.stand_ins).iter().find(|(known, ..)| *known == name) {
            let answer = lock(&stand_in.0).clone();
            *lock(&known.0) = answer;
            return Ok(());
        }
        if let Some(running) = self.world.running.iter().find(|running| running.topics().any(|topic| topic == name)) {
            let message = format!("`{}` handles `{name}` itself: a stand-in is for a service that is not here", running.name());
            return Err(Error::invalid(message));
        }
        // A test has few of them, and ends soon.
        let names: &'static [&'static str] = Box::leak(Box::new([name]));
        let def = HandlerDef {
            kind: Kind::Command,
            function: "stand_in",
            names,
            routes: &[],
            access: crate::auth::Access::PUBLIC,
            handle,
            about: About::NOTHING,
            module: MODULE,
            file: file!(),
            line: line!(),
        };
        let service =
            Service::new(named(&format!("stand-in.{name}"))).module(MODULE).with(stand_in.clone()).beside(Box::leak(Box::new(def)));
        for running in Service::start_on(vec![quick(service)], &self.world.ground).await? {
            lock(&self.world.stand_ins).push((name, stand_in.clone(), Arc::new(running)));
        }
        let broker = &self.world.ground.broker;
        for message in broker.take_kept(name) {
            crate::broker::Broker::publish(&**broker, message).await.map_err(|error| Error::unavailable(error.to_string()))?;
        }
        Ok(())
    }
}
