//! The broker of one process: it only passes on. What was not handled when the process ends is still in the store it came from, and
//! is sent again.

use super::{Broker, BrokerError, BrokerResult, Consumer, Source};
use crate::{
    message::{Direction, Envelope, Failure, MessageKind},
    sync::whole,
};
use futures_util::future::{self, BoxFuture, FutureExt};
use std::sync::{Arc, RwLock};

/// Delivers within one process, to all services that share it. A message counts as taken when its receivers have handled it.
#[derive(Default, Clone)]
pub struct LocalBroker {
    receivers: Arc<RwLock<Vec<Receiver>>>,
}

struct Receiver {
    topics: Vec<String>,
    consumer: Arc<dyn Consumer>,
}

impl LocalBroker {
    /// A broker without receivers.
    pub fn new() -> Self {
        LocalBroker::default()
    }

    fn receivers(&self, topic: &str) -> Vec<Arc<dyn Consumer>> {
        let receivers = whole(self.receivers.read());
        receivers.iter().filter(|receiver| receiver.topics.iter().any(|t| t == topic)).map(|receiver| receiver.consumer.clone()).collect()
    }
}

/// What a saga is told whose message nobody handles.
fn nobody(message: &Envelope) -> Option<Envelope> {
    let cancels = matches!(message.step()?.direction, Direction::Cancel | Direction::Abort);
    let (status, content) = if cancels {
        (200, Vec::new())
    } else {
        let detail = BrokerError::NoHandler(message.topic.clone()).to_string();
        (503, serde_json::to_vec(&Failure { detail, conflict: false }).unwrap_or_default())
    };
    let mut answer = message.reply(status, content, message.occurred_at)?;
    if let Some(call) = &mut answer.saga {
        call.not_done = cancels;
    }
    Some(answer)
}

impl Broker for LocalBroker {
    fn describe(&self) -> String {
        "local (in this process)".to_owned()
    }

    fn carried(&self) -> Option<Vec<String>> {
        let receivers = whole(self.receivers.read());
        Some(receivers.iter().flat_map(|receiver| receiver.topics.iter().cloned()).collect())
    }

    fn publish(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        let mut message = message;
        let mut receivers = self.receivers(&message.topic);
        // A saga is told at once, as by a service that refuses: nobody will come who could do its step.
        if receivers.is_empty()
            && let Some(answer) = nobody(&message)
        {
            receivers = self.receivers(&answer.topic);
            message = answer;
        }
        match (&receivers[..], message.kind) {
            // Where nobody does the step, nobody holds anything for it; and who is not there to tell how a saga ends is asked again.
            ([], MessageKind::Request) if message.step().is_some_and(|call| call.release || call.asks) => future::ready(Ok(())).boxed(),
            ([], MessageKind::Request) => future::ready(Err(BrokerError::NoHandler(message.topic))).boxed(),
            // An event that nobody listens to is no less a fact, and who asked may have gone.
            ([], _) => future::ready(Ok(())).boxed(),
            ([receiver], _) => receiver.deliver(message),
            (receivers, _) => {
                let deliveries: Vec<_> = receivers.iter().map(|receiver| receiver.deliver(message.clone())).collect();
                future::try_join_all(deliveries).map(|all| all.map(|_| ())).boxed()
            }
        }
    }

    fn subscribe(&self, _service: &str, sources: Vec<Source>, consumer: Arc<dyn Consumer>) -> BoxFuture<'_, BrokerResult> {
        let topics = sources.into_iter().map(|source| source.topic).collect();
        let receiver = Receiver { topics, consumer };
        whole(self.receivers.write()).push(receiver);
        future::ready(Ok(())).boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        // It holds nothing, and other services of the process may go on.
        future::ready(()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::super::suite::Cluster;
    use super::*;

    struct Process(LocalBroker);

    impl Cluster for Process {
        fn join(&self, _service: &str) -> BoxFuture<'_, Arc<dyn Broker>> {
            future::ready(Arc::new(self.0.clone()) as Arc<dyn Broker>).boxed()
        }

        fn prepare(&self, _topic: &str) {}

        fn keeps(&self) -> bool {
            false
        }
    }

    crate::broker_suite!(local, async || Some(Process(LocalBroker::new())));
}
