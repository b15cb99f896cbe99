//! The timer of one HTTP/1 connection.
//!
//! Hyper asks for a new sleep before each request and drops it when the headers have come. Each of those would go into the runtime's wheel and out
//! of it again. Here they share one alarm, which is only moved when it rings too early, and so stays where it is for many requests.

use crate::sync::lock;
use hyper::rt::{Sleep, Timer};
use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};
use tokio::{task::unconstrained, time};

/// The timer of a connection, of whose sleeps only the latest is waited for. A clone is the same timer.
#[derive(Clone, Default)]
pub struct ConnectionTimer(Arc<Mutex<Option<Alarm>>>);

struct Alarm {
    sleep: Pin<Box<time::Sleep>>,
    /// Who is woken when it rings.
    wakes: Waker,
}

/// A sleep of a [`ConnectionTimer`].
pub struct Until {
    deadline: time::Instant,
    alarm: Arc<Mutex<Option<Alarm>>>,
}

impl ConnectionTimer {
    /// A sleep that is not boxed.
    pub fn until(&self, deadline: time::Instant) -> Until {
        Until { deadline, alarm: self.0.clone() }
    }
}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(self.until(deadline.into()))
    }

    fn now(&self) -> Instant {
        time::Instant::now().into()
    }
}

impl Sleep for Until {}

impl Future for Until {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut alarm = lock(&self.alarm);
        // It is asked whenever anything happens on the connection, and mostly the alarm that somebody else has set will do.
        if let Some(set) = &*alarm
            && !set.sleep.is_elapsed()
            && set.sleep.deadline() <= self.deadline
            && set.wakes.will_wake(cx.waker())
        {
            return Poll::Pending;
        }
        let Alarm { sleep, wakes } =
            alarm.get_or_insert_with(|| Alarm { sleep: Box::pin(time::sleep_until(self.deadline)), wakes: cx.waker().clone() });
        if sleep.deadline() > self.deadline {
            sleep.as_mut().reset(self.deadline);
        }
        wakes.clone_from(cx.waker());
        // It may ring for an earlier sleep. A task that has done much in one go would be told to come again, and whom to wake would not be heard.
        while pin!(unconstrained(sleep.as_mut())).poll(cx).is_ready() {
            if sleep.deadline() >= self.deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(self.deadline);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn each_sleep_ends_at_its_own_time() {
        let timer = ConnectionTimer::default();
        let started = time::Instant::now();
        // Dropped early, as by requests that come in time.
        for _ in 0..5 {
            let mut sleep = timer.sleep(10 * SECOND);
            assert!((&mut sleep).now_or_never().is_none());
            time::advance(4 * SECOND).await;
            assert!((&mut sleep).now_or_never().is_none());
        }
        assert_eq!(started.elapsed(), 20 * SECOND);
        timer.sleep(10 * SECOND).await;
        assert_eq!(started.elapsed(), 30 * SECOND, "not when the alarm rings for an earlier one");
        timer.sleep(SECOND).await;
        assert_eq!(started.elapsed(), 31 * SECOND, "after one that has ended");
        let longer = timer.sleep(10 * SECOND);
        assert!(longer.now_or_never().is_none());
        timer.sleep(SECOND).await;
        assert_eq!(started.elapsed(), 32 * SECOND, "a shorter one");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_done_much_is_woken_as_well() {
        let timer = ConnectionTimer::default();
        let much = async || {
            while tokio::task::coop::has_budget_remaining() {
                tokio::task::consume_budget().await;
            }
        };
        let sleeping = tokio::spawn(async move {
            much().await;
            timer.sleep(SECOND).await;
            // The alarm is there now, and is another one's.
            let other = timer.clone();
            tokio::spawn(async move {
                much().await;
                other.sleep(SECOND).await;
            })
            .await
        });
        time::timeout(5 * SECOND, sleeping).await.expect("it is woken").expect("it ends").expect("it ends, too");
    }
}
