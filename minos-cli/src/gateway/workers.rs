//! The threads that serve connections.
//!
//! Each has a runtime of its own. A connection stays on its thread, with its requests and the connections to instances that these use: nothing of a request wakes another core, and what it
//! needs is in the cache of the one that has it. With threads that share all connections, as programs with long computations need them, the same requests cost a quarter more.

use std::{
    cell::Cell,
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle},
    sync::oneshot,
};

thread_local! {
    static PLACE: Cell<usize> = const { Cell::new(0) };
}

/// Which of the workers runs this, beginning with 1; 0 on any other thread.
pub(super) fn place() -> usize {
    PLACE.get()
}

/// Threads that serve connections, until this is dropped. One that ended is replaced when the next connection comes.
#[derive(Default)]
pub(super) struct Workers(Vec<Worker>);

struct Worker {
    /// Which of them it is.
    place: usize,
    runtime: Handle,
    /// Connections that it has.
    load: Arc<AtomicUsize>,
    /// It ends when this is dropped. The other end is the thread's, so this is closed when the thread has ended.
    end: oneshot::Sender<()>,
}

/// A connection that a worker has, until this is dropped.
struct Taken(Arc<AtomicUsize>);

impl Drop for Taken {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Workers {
    /// None: connections are served by who takes them.
    pub(super) fn none() -> Self {
        Workers::default()
    }

    /// So many.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        (1..=count).map(Worker::start).collect::<io::Result<_>>().map(Workers)
    }

    /// Serves a connection on the thread that has fewest.
    pub(super) fn serve<F>(&mut self, stream: TcpStream, serve: impl FnOnce(TcpStream) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.replace();
        let living = self.0.iter().filter(|worker| worker.lives());
        let Some(worker) = living.min_by_key(|worker| worker.load.load(Relaxed)) else {
            tokio::spawn(serve(stream));
            return;
        };
        worker.load.fetch_add(1, Relaxed);
        let taken = Taken(worker.load.clone());
        // A socket is told what happens by the runtime that it was made for. If it cannot change to another one, the system has no room left, and it is closed.
        let Ok(stream) = stream.into_std() else { return };
        worker.runtime.spawn(async move {
            let _taken = taken;
            if let Ok(stream) = TcpStream::from_std(stream) {
                serve(stream).await;
            }
        });
    }
}

impl Workers {
    /// Starts those anew whose threads have ended. While the system gives no thread, the others do with what there is.
    fn replace(&mut self) {
        for worker in self.0.iter_mut().filter(|worker| !worker.lives()) {
            let place = worker.place;
            match Worker::start(place) {
                Ok(new) => {
                    *worker = new;
                    tracing::error!("the thread `gateway-{place}` ended, and its connections with it; another one has taken its place");
                }
                Err(error) => {
                    tracing::error!(%error, "the thread `gateway-{place}` ended, and its connections with it; no other one can be started now")
                }
            }
        }
    }
}

impl Worker {
    /// A thread ends before its time if its runtime itself panics; what panics in a request does not end it.
    fn lives(&self) -> bool {
        !self.end.is_closed()
    }

    fn start(place: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        thread::Builder::new().name(format!("gateway-{place}")).spawn(move || {
            PLACE.set(place);
            // That nobody is left who could say it is how it is said.
            let _ = runtime.block_on(ended);
        })?;
        Ok(Worker { place, runtime: handle, load: Arc::default(), end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{net::TcpListener, sync::mpsc};

    #[tokio::test]
    async fn connections_are_spread_and_stay() {
        let (mut workers, listener) = (Workers::start(2).unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (told, mut places) = mpsc::unbounded_channel();
        let mut clients = Vec::new();
        let (go, _) = tokio::sync::broadcast::channel::<()>(1);
        for _ in 0..6 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
            let (stream, _) = listener.accept().await.unwrap();
            let (told, mut go) = (told.clone(), go.subscribe());
            workers.serve(stream, move |stream| async move {
                let before = place();
                let _ = go.recv().await;
                assert_eq!(place(), before, "it stays");
                drop(stream);
                told.send(before).unwrap();
            });
        }
        assert_eq!(workers.0.iter().map(|worker| worker.load.load(Relaxed)).collect::<Vec<_>>(), [3, 3]);
        go.send(()).unwrap();
        let mut all = Vec::new();
        for _ in 0..6 {
            all.push(places.recv().await.unwrap());
        }
        all.sort_unstable();
        assert_eq!((all, place()), (vec![1, 1, 1, 2, 2, 2], 0));
        drop((told, workers));
    }

    /// Ends a thread as a panic of its runtime would: without a word.
    async fn end(worker: &mut Worker) {
        let (end, _) = oneshot::channel();
        drop(std::mem::replace(&mut worker.end, end));
        assert!(!worker.lives());
    }

    #[tokio::test]
    async fn a_thread_that_ended_is_replaced() {
        let (mut workers, listener) = (Workers::start(2).unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let (told, mut places) = mpsc::unbounded_channel();
        for dead in [&[0][..], &[1], &[0, 1]] {
            for worker in dead {
                end(&mut workers.0[*worker]).await;
            }
            let mut clients = Vec::new();
            for _ in 0..4 {
                clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
                let (stream, _) = listener.accept().await.unwrap();
                let told = told.clone();
                workers.serve(stream, move |stream| async move {
                    told.send(place()).unwrap();
                    let _stream = stream;
                    std::future::pending::<()>().await;
                });
            }
            let mut all = Vec::new();
            for _ in 0..4 {
                let served = tokio::time::timeout(std::time::Duration::from_secs(10), places.recv()).await;
                all.push(served.expect("each is served").unwrap());
            }
            assert!(all.iter().all(|place| [1, 2].contains(place)) && workers.0.iter().all(Worker::lives), "{dead:?}: {all:?}");
        }
    }

    #[tokio::test]
    async fn a_thread_ends_with_what_it_serves() {
        let (mut workers, listener) = (Workers::start(1).unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        workers.serve(stream, |stream| async move {
            let _stream = stream;
            std::future::pending::<()>().await;
        });
        drop(workers);
        let read = tokio::io::AsyncReadExt::read(&mut client, &mut [0; 1]).await;
        assert_eq!(read.unwrap_or_default(), 0, "it is closed");
    }
}
