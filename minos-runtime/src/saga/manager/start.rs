//! How a handler starts a saga.

use super::wait::{find, same_input};
use crate::{
    aggregate::not_isolated,
    context::{Context, NewExecution},
    error::{Error, Result},
    saga::{Saga, Values},
};
use futures_util::future::BoxFuture;
use std::{future::IntoFuture, marker::PhantomData, time::Duration};
use uuid::Uuid;

/// How long `cx.run` waits unless it is told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

impl Context {
    /// Executes a saga, and waits for its end: what is known then, or the error with which it failed, after all that was done is undone.
    ///
    /// The execution is committed at once and is no part of this unit of work. It ends, whatever becomes of the handler: if that is run again it waits for
    /// the same execution. So start it before anything else is saved, or use [`start`](Context::start).
    ///
    /// ```ignore
    /// let done = cx.run(AddFoobar { uuid, something }).await?;
    /// let done = cx.run(order).key(number).within(Duration::from_secs(5)).await?;
    /// ```
    ///
    /// # Errors
    /// Why it was rolled back, or [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if it has not ended in time: then it goes on.
    pub fn run<S: Saga>(&mut self, input: S) -> Run<'_, S> {
        Run { plan: self.new_execution(&input), cx: self, patience: PATIENCE, saga: PhantomData }
    }

    /// Starts a saga when this unit of work is committed, and gives the id of the execution.
    ///
    /// ```ignore
    /// let id = cx.start(AddFoobar { uuid, something }).await?;
    /// let id = cx.start(order).key(number).await?;
    /// ```
    ///
    /// # Errors
    /// If the saga is not one of this service.
    pub fn start<S: Saga>(&mut self, input: S) -> Start<'_> {
        Start { plan: self.new_execution(&input), cx: self }
    }

    fn new_execution<S: Saga>(&mut self, input: &S) -> Result<NewExecution> {
        let values = serde_json::to_value(input)?;
        Ok(NewExecution { id: self.next_id(S::NAME), saga: S::NAME, key: None, values })
    }
}

/// A saga that is to be executed: `.await` it.
#[must_use = "a saga is not executed before `.await`"]
pub struct Run<'c, S> {
    cx: &'c mut Context,
    plan: Result<NewExecution>,
    patience: Duration,
    saga: PhantomData<fn() -> S>,
}

impl<S> Run<'_, S> {
    /// The same key twice is one execution: the second one who runs it waits for the first one's end.
    pub fn key(mut self, key: impl ToString) -> Self {
        self.plan = self.plan.and_then(|plan| keyed(plan, &key.to_string()));
        self
    }

    /// How long its end is waited for; 30 s otherwise.
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}

impl<'c, S: Saga> IntoFuture for Run<'c, S> {
    type Output = Result<S::Done>;
    type IntoFuture = BoxFuture<'c, Result<S::Done>>;

    fn into_future(self) -> Self::IntoFuture {
        let Run { cx, plan, patience, .. } = self;
        Box::pin(async move {
            if cx.is_isolated() {
                return Err(not_isolated("run a saga"));
            }
            let (coordinator, cause) = (cx.environment().coordinator()?, cx.unit().cause.clone());
            cx.up_to_date().await?;
            let values = cx.aside(coordinator.run(cause, plan?, patience)).await?;
            serde_json::from_value::<Values>(values)?.view()
        })
    }
}

/// A saga that is to be started: `.await` it.
#[must_use = "a saga is not started before `.await`"]
pub struct Start<'c> {
    cx: &'c mut Context,
    plan: Result<NewExecution>,
}

impl Start<'_> {
    /// The same key twice is one execution: the second one who starts it gets the id of the first.
    pub fn key(mut self, key: impl ToString) -> Self {
        self.plan = self.plan.and_then(|plan| keyed(plan, &key.to_string()));
        self
    }
}

impl<'c> IntoFuture for Start<'c> {
    type Output = Result<Uuid>;
    type IntoFuture = BoxFuture<'c, Result<Uuid>>;

    fn into_future(self) -> Self::IntoFuture {
        let Start { cx, plan } = self;
        Box::pin(async move {
            let (new, environment) = (plan?, cx.environment().clone());
            let coordinator = environment.coordinator()?;
            if new.key.is_some() {
                // This unit may have begun it: that is nowhere else yet.
                if let Some(begun) = cx.unit().sagas.iter().find(|write| write.row.saga == new.saga && write.row.key == new.key) {
                    same_input(&begun.row, &new)?;
                    return Ok(begun.row.id);
                }
                if let Some(row) = find(&*environment.store, &new).await? {
                    return Ok(row.id);
                }
            }
            let id = new.id;
            coordinator.begin(cx.unit(), new)?;
            Ok(id)
        })
    }
}

fn keyed(plan: NewExecution, key: &str) -> Result<NewExecution> {
    const LONGEST: usize = 512;
    if key.is_empty() || key.len() > LONGEST || key.contains('\0') {
        return Err(Error::invalid(format!("the key of a saga is a text of 1 to {LONGEST} bytes without NUL")));
    }
    Ok(NewExecution { key: Some(key.to_owned()), ..plan })
}
