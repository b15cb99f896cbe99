//! A proxy that cuts connections at the moment at which it matters.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

/// When the client's connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Cut {
    Never,
    /// The server never gets what the client sent.
    Before,
    /// The server gets it, and the client never gets the answer.
    After,
    /// The server gets it when the client has long been told that the connection is gone.
    Late,
    /// As after, and no new connection is let through.
    Final,
}

/// Passes on what goes between clients and a server, until a client sends what is marked.
pub(super) struct Proxy {
    pub(super) port: u16,
    state: Arc<State>,
}

struct State {
    server: u16,
    marker: &'static [u8],
    cut: AtomicU8,
    cuts: AtomicUsize,
    /// From which port the server was spoken to on the last one.
    port: AtomicI32,
    delivered: AtomicUsize,
    closed: AtomicBool,
}

impl Proxy {
    pub(super) async fn start(server: u16, marker: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server,
            marker: marker.as_bytes(),
            cut: AtomicU8::new(0),
            cuts: AtomicUsize::new(0),
            port: AtomicI32::new(0),
            delivered: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
        });
        tokio::spawn({
            let state = state.clone();
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(state.clone().serve(client));
                }
            }
        });
        Proxy { port, state }
    }

    /// Cuts the next connection that sends the marker.
    pub(super) fn cut(&self, cut: Cut) {
        self.state.cut.store(cut as u8, Ordering::SeqCst);
    }

    /// For how many of them the server got all that it ever gets.
    pub(super) fn delivered(&self) -> usize {
        self.state.delivered.load(Ordering::SeqCst)
    }

    /// The client's port of the last connection that was cut, as the server sees it.
    pub(super) fn last_port(&self) -> i32 {
        self.state.port.load(Ordering::SeqCst)
    }

    /// How many were cut.
    pub(super) fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }
}

impl State {
    async fn serve(self: Arc<Self>, client: TcpStream) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.server)).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let answers = tokio::spawn(pass(from_server, to_client));
        self.requests(from_client, to_server, answers).await;
    }

    async fn requests(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, answers: tokio::task::JoinHandle<()>) {
        let mut buffer = vec![0; 1 << 20];
        while let Ok(read @ 1..) = from.read(&mut buffer).await {
            let bytes = &buffer[..read];
            let marked = bytes.windows(self.marker.len()).any(|window| window == self.marker);
            let cut = if marked { self.cut.swap(Cut::Never as u8, Ordering::SeqCst) } else { Cut::Never as u8 };
            if cut != Cut::Never as u8 {
                self.port.store(to.local_addr().map_or(0, |address| address.port().into()), Ordering::SeqCst);
                self.cuts.fetch_add(1, Ordering::SeqCst);
                self.closed.store(cut == Cut::Final as u8, Ordering::SeqCst);
                // The client sees its end at once; the server does not.
                answers.abort();
                let _ = answers.await;
                drop(from);
                if cut == Cut::Late as u8 {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
                if cut != Cut::Before as u8 {
                    let _ = to.write_all(bytes).await;
                }
                self.delivered.fetch_add(1, Ordering::SeqCst);
                // Held open, so that the server does not notice.
                tokio::time::sleep(Duration::from_secs(5)).await;
                return;
            }
            if to.write_all(bytes).await.is_err() {
                return;
            }
        }
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // Ends when either side does.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
