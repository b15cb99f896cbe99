//! What servers of HTTP have in common, whatever they answer: taking connections, and the phases in which they end.

use std::{
    future::{Future, poll_fn},
    io::ErrorKind,
    net::SocketAddr,
    pin::pin,
    task::{Poll, Waker},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::unconstrained,
};

/// The longest pause after a failed accept, as when there are no file descriptors left.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How many connections that nobody has accepted yet are taken at the end: as many as the system lets wait.
const QUEUE: usize = 1024;
/// How long a client that is connected when the end comes may take to ask.
pub const LATE: Duration = Duration::from_millis(500);

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It has not.
    Open,
    /// Requests that run are answered.
    Ending,
    /// They are cut off.
    Over,
}

/// Ends with this phase. That nobody is left who could say it counts as said.
///
/// It is asked whenever anything happens on a connection. Who has told once whom to wake need not tell again, so mostly one number is looked at.
pub async fn reached(mut phase: watch::Receiver<Phase>, wanted: Phase) {
    let seen = phase.clone();
    // A task that has done much in one go would be told to come again, and whom to wake would not be heard.
    let mut told = pin!(unconstrained(async move { drop(phase.wait_for(|phase| *phase >= wanted).await) }));
    let mut wakes: Option<Waker> = None;
    poll_fn(|cx| {
        let is_told = wakes.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_told && !seen.has_changed().unwrap_or(true) {
            return Poll::Pending;
        }
        wakes = Some(cx.waker().clone());
        told.as_mut().poll(cx)
    })
    .await;
}

/// The connections that clients have made and nobody has accepted yet. There are none after them.
pub fn queued(listener: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(listener) = listener.into_std() else { return Vec::new() };
    // It does not block, so an error says that there are no more.
    let more = std::iter::from_fn(|| listener.accept().ok());
    let stream = |(stream, from): (std::net::TcpStream, _)| {
        stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream)).ok().map(|stream| (stream, from))
    };
    more.take(QUEUE).filter_map(stream).collect()
}

/// The next connection. Errors of the socket are waited out, for they concern no single connection.
pub async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    let mut pause = Duration::from_millis(5);
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) => {}
            Err(error) => {
                tracing::error!(%error, "connections cannot be accepted; will be tried again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_phase_is_woken_by_it() {
        let (phase, _) = watch::channel(Phase::Open);
        let mut waiting = Box::pin(reached(phase.subscribe(), Phase::Over));
        assert!((0..3).all(|_| waiting.as_mut().now_or_never().is_none()));
        // From here on somebody else is to be woken.
        let waiting = tokio::spawn(waiting);
        tokio::task::yield_now().await;
        phase.send_replace(Phase::Ending);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "not yet");
        phase.send_replace(Phase::Over);
        tokio::time::timeout(LATE, waiting).await.expect("it is woken").expect("it ends");
        reached(phase.subscribe(), Phase::Ending).await;
        let (nobody, _) = watch::channel(Phase::Open);
        let waiting = tokio::spawn(reached(nobody.subscribe(), Phase::Over));
        tokio::task::yield_now().await;
        drop(nobody);
        tokio::time::timeout(LATE, waiting).await.expect("nobody is left who could say it").expect("it ends");
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_done_much_is_woken_as_well() {
        let (phase, _) = watch::channel(Phase::Open);
        let told = phase.subscribe();
        let waiting = tokio::spawn(async move {
            while tokio::task::coop::has_budget_remaining() {
                tokio::task::consume_budget().await;
            }
            reached(told, Phase::Over).await;
        });
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        phase.send_replace(Phase::Over);
        tokio::time::timeout(LATE, waiting).await.expect("it is woken").expect("it ends");
    }
}
