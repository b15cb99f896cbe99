//! Writes log lines with few system calls: a line is written at once when it is quiet, and what comes in the five milliseconds after that goes out
//! together. Handlers only append to a buffer.

use crate::sync::{lock, whole};
use std::{
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    time::Duration,
};

/// How long lines are gathered after a write.
const GATHER: Duration = Duration::from_millis(5);
/// How many bytes may wait. When the receiver is slower than that, those who log wait for it: no line is dropped.
const WAITING: usize = 1024 * 1024;

/// A writer of whole lines. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Lines have come, and the writer was asleep.
    more: Condvar,
    /// The writer has taken what was there, or has written it.
    taken: Condvar,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// The writer waits for lines.
    asleep: bool,
    /// The writer has taken lines and not yet written them.
    writing: bool,
    /// Somebody waits in [`Lines::flush`]: nothing more is gathered.
    hurry: bool,
}

impl Lines {
    /// Lines to this writer, from a thread of its own.
    ///
    /// # Errors
    /// If there can be no such thread.
    pub(super) fn to(writer: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Lines(Arc::default());
        let shared = lines.0.clone();
        std::thread::Builder::new().name("minos-log".to_owned()).spawn(move || shared.serve(writer))?;
        Ok(lines)
    }

    /// Adds a whole line.
    pub(super) fn append(&self, line: &[u8]) {
        let mut state = self.0.wait(&self.0.taken, |state| state.buffer.len() >= WAITING);
        state.buffer.extend_from_slice(line);
        if state.asleep {
            self.0.more.notify_one();
        }
    }

    /// Waits until all lines so far are written.
    pub(super) fn flush(&self) {
        self.0.lock().hurry = true;
        self.0.more.notify_one();
        self.0.wait(&self.0.taken, |state| state.writing || !state.buffer.is_empty()).hurry = false;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wait(&self, condition: &Condvar, busy: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        whole(condition.wait_while(self.lock(), busy))
    }

    fn serve(&self, mut writer: impl Write) {
        let mut lines = Vec::new();
        loop {
            let mut state = self.lock();
            while state.buffer.is_empty() {
                state.asleep = true;
                state = whole(self.more.wait(state));
                state.asleep = false;
            }
            std::mem::swap(&mut state.buffer, &mut lines);
            state.writing = true;
            drop(state);
            self.taken.notify_all();
            // There is nowhere to tell that standard error cannot be written.
            let _ = writer.write_all(&lines).and_then(|()| writer.flush());
            lines.clear();
            let mut state = self.lock();
            state.writing = false;
            self.taken.notify_all();
            let gathering = self.more.wait_timeout_while(state, GATHER, |state| !state.hurry && state.buffer.len() < WAITING / 2);
            drop(gathering);
        }
    }
}

impl Write for &Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keeps what is written, and tells how often.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut page = self.0.lock().unwrap();
            page.0.extend_from_slice(bytes);
            page.1 += 1;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_of_many_threads_arrive_whole_and_with_few_writes() {
        let page = Page::default();
        let lines = Lines::to(page.clone()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let lines = &lines;
                scope.spawn(move || (0..5_000).for_each(|n| lines.append(format!("{thread} {n}\n").as_bytes())));
            }
        });
        lines.flush();
        let (text, writes) = page.0.lock().unwrap().clone();
        let text = String::from_utf8(text).unwrap();
        for thread in 0..4 {
            let of_thread = text.lines().filter(|line| line.starts_with(&format!("{thread} ")));
            assert!(of_thread.eq((0..5_000).map(|n| format!("{thread} {n}"))), "the lines of a thread are in order, and none is missing");
        }
        assert!(writes < 5_000, "{writes} writes for 20,000 lines");
    }

    #[test]
    fn one_line_is_there_at_once() {
        let page = Page::default();
        let lines = Lines::to(page.clone()).unwrap();
        lines.append(b"a line\n");
        lines.flush();
        assert_eq!(page.0.lock().unwrap().0, b"a line\n");
        lines.flush();
    }
}
