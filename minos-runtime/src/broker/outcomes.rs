//! What is kept here for sagas: a step that holds an aggregate, or has prepared something, waits to hear how its saga ends. Whoever executes the saga tells it
//! by itself. Where that was lost, or given up, it is asked: of all processes by one, elected by a lease, and by the operator at any time.
//!
//! Nothing is decided here, however long nothing is heard.

use crate::{
    aggregate::Hold,
    context::{Environment, is_outage, store_error},
    error::{Error, Result},
    handler::{Kept, Response},
    message::{Direction, Envelope, StepCall, service_of},
    stop::Stop,
    store::{Cause, Handled, Mark, OpenStep, StepMark, StoreError, Tenure, Unit},
};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Serialize;
use std::{collections::HashSet, sync::Arc, time::Duration};
use uuid::Uuid;

/// The name of the lease.
const LEASE: &str = "outcomes";
/// How often it is looked for who waits, unless `sagas.ask_after` is shorter.
const LOOK: Duration = Duration::from_secs(10);
/// How many are read at once.
const PAGE: usize = 256;
/// Asked is again after as long as it waits already, and at least so often.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// And not more often than this, whatever `sagas.ask_after` says.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

/// The steps of which it is not known here how their sagas end. Cheap to clone.
#[derive(Clone)]
pub struct Outcomes(Arc<Environment>);

/// A step that keeps something until it is known how its saga ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptStep {
    /// The saga.
    pub saga: String,
    /// Which execution of it.
    pub execution: Uuid,
    /// The service that executes it.
    pub service: String,
    /// The step.
    pub step: String,
    /// What was done about it.
    pub direction: Direction,
    /// What it holds.
    pub holds: Vec<Hold>,
    /// Whether it is prepared, and will be applied or dropped.
    pub prepared: bool,
    /// When it was asked for.
    pub since: Timestamp,
    /// When the saga's service is asked next.
    pub ask_at: Timestamp,
}

impl Outcomes {
    /// Those of this service.
    pub fn new(environment: Arc<Environment>) -> Self {
        Outcomes(environment)
    }

    /// Asks for those whose time has come, until `stop` says so.
    pub(crate) async fn run(self, stop: Stop) {
        let mut tenure = Tenure::new(self.0.store.clone(), LEASE);
        let pause = self.look();
        while !stop.was_said() {
            if let Err(error) = self.round(&mut tenure, &stop).await {
                tracing::warn!(error = error.chain(), "nobody asks how sagas have ended; will be tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.said() => {}
            }
        }
        tenure.give_back().await;
    }

    /// Asks for those whose time has come, in a test, where no other process does.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn ask_due(&self) -> Result<()> {
        let stopper = crate::stop::Stopper::new();
        let mut tenure = Tenure::new(self.0.store.clone(), LEASE);
        let asked = self.round(&mut tenure, &stopper.hear()).await;
        tenure.give_back().await;
        asked
    }

    /// The first time after this one at which one asks.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) async fn due_after(&self, now: Timestamp) -> Result<Option<Timestamp>> {
        let steps = self.0.store.open_steps(Timestamp::MAX, None, 10_000).await.map_err(store_error)?;
        Ok(steps.into_iter().map(|step| step.ask_at).find(|at| *at > now))
    }

    async fn round(&self, tenure: &mut Tenure, stop: &Stop) -> Result<()> {
        let (mut asked, mut failed) = (HashSet::new(), false);
        loop {
            let now = self.0.clock.now();
            let due = self.0.store.open_steps(now, None, PAGE).await.map_err(store_error)?;
            // Who has nothing to ask needs no lease.
            if due.is_empty() {
                return Ok(());
            }
            // To be asked twice does no harm, so nothing is fenced.
            if tenure.hold().await.map_err(store_error)?.is_none() {
                return Ok(());
            }
            let mut due: Vec<_> = due.into_iter().map(|step| (request_of(&step), step)).collect();
            // What a later step of an execution has prepared may rest on what an earlier one has: so the earlier one is told first, and the later one asks next time.
            due.sort_by_key(|(request, _)| request.as_ref().map(|request| request.occurred_at));
            for (request, step) in due {
                if stop.was_said() {
                    return Ok(());
                }
                let execution = request.as_ref().and_then(|request| request.saga.as_ref()).map(|call| call.execution);
                let is_next = execution.is_none_or(|execution| asked.insert(execution));
                let pause = if is_next { self.pause(request.as_ref(), now) } else { self.look() };
                let ask_at = now.checked_add(pause).unwrap_or(Timestamp::MAX);
                match self.ask(&step, request.as_ref().filter(|_| is_next), now, ask_at).await {
                    Err(error) if is_outage(&error) => return Err(error),
                    // The others are asked for all the same, and it is met again at the next look.
                    Err(error) => {
                        let OpenStep { subscriber, key, .. } = &step;
                        tracing::error!(subscriber, key, error = error.chain(), "how the saga of a step ends cannot be asked");
                        failed = true;
                    }
                    Ok(_) => {}
                }
            }
            // What failed is due as before: it would be found again at once.
            if failed {
                return Ok(());
            }
        }
    }

    /// How long until it is looked again for who waits.
    fn look(&self) -> Duration {
        self.0.ask_after.clamp(SHORTEST_PAUSE, LOOK)
    }

    /// How long until it is asked again: as long as nothing was heard.
    fn pause(&self, request: Option<&Envelope>, now: Timestamp) -> Duration {
        let waited = request.and_then(|request| Duration::try_from(now.duration_since(request.occurred_at)).ok());
        waited.unwrap_or(LONGEST_PAUSE).min(LONGEST_PAUSE).max(self.0.ask_after).max(SHORTEST_PAUSE)
    }

    /// Asks, unless it was heard meanwhile. Whether it was not.
    async fn ask(&self, step: &OpenStep, request: Option<&Envelope>, now: Timestamp, ask_at: Timestamp) -> Result<bool> {
        let mut unit = Unit::new(now, request.map_or_else(Cause::nobody, Envelope::cause));
        if let Some(question) = request.and_then(|request| request.question(now)) {
            let StepCall { saga, execution, step, .. } =
                question.saga.as_ref().ok_or_else(|| Error::internal("a question about no step"))?;
            tracing::info!(saga, %execution, step, "a step has not heard how its saga ends; the saga's service is asked");
            unit.messages.push(question.into_row()?);
        }
        let handled = Handled::Step { key: step.key.clone(), becomes: StepMark::Asked { ask_at }, answer: step.answer.clone() };
        unit.mark = Some(Mark { subscriber: step.subscriber.clone().into(), handled, lane: None });
        match self.0.commit(unit).await {
            Ok(_) => Ok(true),
            Err(StoreError::Duplicate { .. }) => Ok(false),
            Err(error) => Err(store_error(error)),
        }
    }

    /// Some of them, those that ask next first: at most `limit`. What cannot be read is told in the log.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn list(&self, limit: usize) -> Result<Vec<KeptStep>> {
        let steps = self.0.store.open_steps(Timestamp::MAX, None, limit).await.map_err(store_error)?;
        let told = |step: &OpenStep| read(step).and_then(|(request, kept)| told(&request, kept, step.ask_at));
        Ok(steps.iter().filter_map(|step| told(step).inspect_err(|error| unreadable(step, error)).ok()).collect())
    }

    /// Asks at once how this execution ends, or all of them, for all that is kept for it here. For how many steps.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn ask_now(&self, execution: Option<Uuid>) -> Result<usize> {
        let (mut asked, mut after) = (0, None);
        while let Some(page) = self.page(execution, &mut after).await? {
            for (step, request, _) in page {
                // When it asks by itself does not change: so nothing moves while this goes through them.
                asked += usize::from(self.ask(&step, Some(&request), self.0.clock.now(), step.ask_at).await?);
            }
        }
        Ok(asked)
    }

    /// Says by hand what becomes of what a step has prepared, or holds: applied or not. For where nobody else will ever say it, because the saga's service does not
    /// know the execution any more. It is done by the handler's own service, and told to it as the saga would tell it.
    ///
    /// # Errors
    /// If nothing is kept for this step, or it has prepared nothing that could be applied.
    pub async fn settle(&self, execution: Uuid, step: &str, apply: bool, by: Option<String>) -> Result<()> {
        let (mut found, mut after) = (false, None);
        while let Some(page) = self.page(Some(execution), &mut after).await? {
            for (_, request, kept) in page {
                let Some(call) = request.saga.clone().filter(|call| call.step == step) else { continue };
                if apply && kept.prepared.is_none() {
                    return Err(Error::rejected(format!("step `{step}` has prepared nothing: what it holds can only be released")));
                }
                found = true;
                let call = if apply { StepCall { direction: Direction::Commit, ..call } } else { StepCall { release: true, ..call } };
                let now = self.0.clock.now();
                let message = Envelope {
                    id: Uuid::now_v7(),
                    topic: request.name.clone(),
                    key: Some(execution.to_string()),
                    reply_to: None,
                    user: by.clone().map(Into::into),
                    occurred_at: now,
                    causation: request.id,
                    saga: Some(call),
                    content: Bytes::from_static(b"null"),
                    ..request
                };
                let mut unit = Unit::new(now, message.cause());
                unit.messages.push(message.into_row()?);
                self.0.commit(unit).await.map_err(store_error)?;
                tracing::warn!(%execution, step, apply, by, "an operator has said how a saga ends for a step");
            }
        }
        if found { Ok(()) } else { Err(Error::not_found(format!("nothing is kept for step `{step}` of execution {execution}"))) }
    }

    /// Some more of those that can be read, of all or of one execution; `None` if there are no more.
    async fn page(&self, execution: Option<Uuid>, after: &mut Option<OpenStep>) -> Result<Option<Vec<(OpenStep, Envelope, Kept)>>> {
        let steps = self.0.store.open_steps(Timestamp::MAX, after.as_ref(), PAGE).await.map_err(store_error)?;
        let Some(last) = steps.last() else { return Ok(None) };
        *after = Some(last.clone());
        let mut page = Vec::new();
        for step in steps {
            if let Ok((request, kept)) = read(&step)
                && (execution.is_none() || execution == request.saga.as_ref().map(|call| call.execution))
            {
                page.push((step, request, kept));
            }
        }
        Ok(Some(page))
    }
}

/// What asked for a step, if that can be read.
fn request_of(step: &OpenStep) -> Option<Envelope> {
    read(step).inspect_err(|error| unreadable(step, error)).ok().map(|(request, _)| request)
}

fn unreadable(OpenStep { subscriber, key, .. }: &OpenStep, error: &Error) {
    tracing::error!(subscriber, key, error = error.chain(), "what is kept for a step of a saga cannot be read");
}

/// What asked for a step, and what is kept of it.
fn read(step: &OpenStep) -> Result<(Envelope, Kept)> {
    let (_, mut kept) = Response::restore(&step.answer)?;
    let request = kept.request.take().ok_or_else(|| Error::internal("it does not say who has asked for it"))?;
    Ok((*request, kept))
}

fn told(request: &Envelope, kept: Kept, ask_at: Timestamp) -> Result<KeptStep> {
    let StepCall { execution, saga, step, direction, .. } = request.saga.clone().ok_or_else(|| Error::internal("it is for no saga"))?;
    let service = service_of(request.reply_to.as_deref().unwrap_or_default()).to_owned();
    let Kept { holds, prepared, .. } = kept;
    Ok(KeptStep { saga, execution, service, step, direction, holds, prepared: prepared.is_some(), since: request.occurred_at, ask_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        aggregate::Prepared,
        clock::Clock,
        context::Resources,
        message::{MessageKind, saga_topic},
        metrics::Metrics,
        stop::Stopper,
        store::{MemoryStore, OPEN, Store},
        sync::lock,
    };
    use std::sync::Mutex;

    struct Standing(Mutex<Timestamp>);

    impl Clock for Standing {
        fn now(&self) -> Timestamp {
            *lock(&self.0)
        }
    }

    struct World {
        store: Arc<MemoryStore>,
        clock: Arc<Standing>,
        outcomes: Outcomes,
        tenure: Tenure,
    }

    fn world() -> World {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(Standing(Mutex::new(Timestamp::UNIX_EPOCH))));
        let environment = Arc::new(Environment::new("bank", store.clone(), clock.clone(), Resources::default(), Metrics::new("bank")));
        World { tenure: Tenure::new(store.clone(), LEASE), outcomes: Outcomes::new(environment), store, clock }
    }

    impl World {
        /// The clock shows so many seconds, and it is looked for who has to ask. Of which executions it is asked since.
        async fn at(&mut self, seconds: i64) -> Vec<Uuid> {
            *lock(&self.clock.0) = Timestamp::from_second(seconds).unwrap();
            let before = self.questions().await.len();
            let stopper = Stopper::new();
            self.outcomes.round(&mut self.tenure, &stopper.hear()).await.unwrap();
            self.questions().await.split_off(before)
        }

        async fn messages(&self) -> Vec<Envelope> {
            self.store.outbox(0, 10_000).await.unwrap().into_iter().map(|row| Envelope::of_row(row).unwrap()).collect()
        }

        async fn questions(&self) -> Vec<Uuid> {
            let questions = self.messages().await.into_iter().filter(Envelope::is_for_saga).inspect(|question| {
                assert_eq!((question.kind, question.topic.as_str(), question.name.as_str()), (MessageKind::Request, "shop.sagas", "Pay"));
            });
            questions.map(|question| question.saga.unwrap().execution).collect()
        }

        async fn mark(&self, key: &str, becomes: StepMark, answer: String) {
            let handled = Handled::Step { key: key.to_owned(), becomes, answer };
            let cause = Cause::nobody();
            let mut unit = Unit::new(self.clock.now(), cause);
            unit.mark = Some(Mark { subscriber: "pay".into(), handled, lane: None });
            self.store.commit(unit).await.unwrap();
        }

        /// A step for an execution is prepared now.
        async fn prepare(&self, key: &str) -> Uuid {
            let execution = Uuid::now_v7();
            self.prepare_for(execution, key).await;
            execution
        }

        async fn prepare_for(&self, execution: Uuid, key: &str) {
            let now = self.clock.now();
            let cause = Cause { correlation: execution, causation: execution, user: None, trace: None };
            let mut request = Envelope::request(Uuid::now_v7(), "Pay", None, "{}", now, cause);
            request.saga = Some(StepCall::new(execution, "Order", "pay", Direction::Execute, 1));
            request.reply_to = Some(saga_topic("shop"));
            let kept = Kept { prepared: Some(Prepared::default()), request: Some(Box::new(request)), ..Kept::default() };
            let answer = Response::default().store(kept).unwrap();
            self.mark(key, StepMark::Open { attempt: 1, ask_at: self.outcomes.0.ask_at(now) }, answer).await;
        }
    }

    #[tokio::test]
    async fn who_has_heard_nothing_asks_in_time_and_ever_less_often() {
        let mut world = world();
        let first = world.prepare("first").await;
        assert!(world.at(59).await.is_empty());
        for seconds in [60, 120, 240, 480] {
            assert_eq!(world.at(seconds).await, [first], "{seconds}");
            assert!(world.at(seconds * 2 - 1).await.is_empty(), "{seconds}");
        }
        // A year later it asks once an hour.
        let year = 365 * 24 * 3600;
        assert_eq!((world.at(year).await, world.at(year + 3599).await, world.at(year + 3600).await), (vec![first], vec![], vec![first]));
        assert_eq!(world.store.handled("pay", "first").await.unwrap().unwrap().version, OPEN, "and decides nothing");
        world.mark("first", StepMark::Ended, String::new()).await;
        assert!(world.at(2 * year).await.is_empty());
    }

    /// What the second one has prepared may rest on what the first one has.
    #[tokio::test]
    async fn of_one_execution_the_steps_ask_one_after_the_other() {
        let mut world = world();
        let execution = Uuid::now_v7();
        // Later in order of their keys.
        world.prepare_for(execution, "z").await;
        *lock(&world.clock.0) = Timestamp::from_second(1).unwrap();
        world.prepare_for(execution, "a").await;
        let waits = async |world: &World, key: &str| world.store.handled("pay", key).await.unwrap().unwrap().version == OPEN;
        assert_eq!(world.at(1000).await, [execution], "the first one");
        let open = world.store.open_steps(Timestamp::MAX, None, 10).await.unwrap();
        assert_eq!(open.iter().map(|step| step.key.as_str()).collect::<Vec<_>>(), ["a", "z"], "the second one is next");
        world.mark("z", StepMark::Ended, String::new()).await;
        assert_eq!((world.at(1009).await, world.at(1010).await, waits(&world, "a").await), (vec![], vec![execution], true));
    }

    #[tokio::test]
    async fn one_process_asks_and_what_cannot_be_read_holds_up_nobody() {
        let mut world = world();
        world.mark("odd", StepMark::Open { attempt: 1, ask_at: Timestamp::UNIX_EPOCH }, "{".to_owned()).await;
        let mut all: Vec<_> = Vec::new();
        for n in 0..PAGE + 10 {
            all.push(world.prepare(&n.to_string()).await);
        }
        let mut other = Tenure::new(world.store.clone(), LEASE);
        let taken = other.hold().await.unwrap().is_some();
        assert_eq!((taken, world.at(60).await), (true, vec![]), "another one does");
        other.give_back().await;
        let mut asked = world.at(60).await;
        asked.sort_unstable();
        assert_eq!(asked, all);
        assert_eq!(world.store.open_steps(Timestamp::from_second(60).unwrap(), None, 10).await.unwrap(), [], "each is put off");
    }

    #[tokio::test]
    async fn the_operator_asks_at_once_and_settles_what_nobody_knows() {
        let mut world = world();
        let mut all: Vec<_> = Vec::new();
        for n in 0..PAGE + 10 {
            all.push(world.prepare(&n.to_string()).await);
        }
        let outcomes = world.outcomes.clone();
        assert_eq!(outcomes.ask_now(None).await.unwrap(), all.len(), "each once");
        assert_eq!(outcomes.ask_now(Some(all[7])).await.unwrap(), 1);
        assert_eq!(world.questions().await.last(), Some(&all[7]));
        assert_eq!(world.at(60).await.len(), all.len(), "that changes nothing about when they ask by themselves");
        let kept = outcomes.list(1).await.unwrap();
        assert_eq!(
            (kept[0].saga.as_str(), kept[0].service.as_str(), kept[0].step.as_str(), kept[0].prepared),
            ("Order", "shop", "pay", true)
        );
        let before = world.messages().await.len();
        outcomes.settle(all[1], "pay", true, Some("ada".to_owned())).await.unwrap();
        outcomes.settle(all[2], "pay", false, None).await.unwrap();
        let told: Vec<_> = world.messages().await.split_off(before);
        let told =
            told.iter().map(|message| (message.topic.as_str(), message.user.as_ref().map(|user| user.id()), message.step().unwrap()));
        let told: Vec<_> = told.map(|(topic, by, call)| (topic, by, call.execution, call.direction, call.release)).collect();
        assert_eq!(told, [("Pay", Some("ada"), all[1], Direction::Commit, false), ("Pay", None, all[2], Direction::Execute, true)]);
        let error = outcomes.settle(Uuid::now_v7(), "pay", true, None).await.unwrap_err();
        assert!(error.to_string().starts_with("nothing is kept for step `pay` of execution"), "{error}");
    }
}
