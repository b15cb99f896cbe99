//! How far one partition was handled: everything below a watermark, and some of what is above it.

use std::collections::VecDeque;

/// How many messages of a partition are handled at once, before it is paused.
const MOST: usize = 1000;
/// How many bytes of them.
const MOST_BYTES: usize = 4 << 20;
/// How far the last message that was taken may be from the first that is not handled: what a crash repeats.
const MOST_AHEAD: usize = 20_000;

/// The state of one partition, from when it was assigned until it is revoked.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// What was taken, from the first on that is not handled, by offset. Offsets may have gaps.
    taken: VecDeque<Taken>,
    in_flight: usize,
    bytes: usize,
    /// Everything below is handled. None if nothing is known yet.
    watermark: Option<i64>,
    /// What was committed, or is being committed.
    committed: Option<i64>,
}

#[derive(Debug)]
struct Taken {
    offset: i64,
    size: usize,
    done: bool,
}

impl Progress {
    /// A partition that is read from here on, if it is known.
    pub(super) fn from(start: Option<i64>) -> Self {
        Progress { watermark: start, committed: start, ..Progress::default() }
    }

    /// A message was taken; offsets only rise.
    pub(super) fn take(&mut self, offset: i64, size: usize) {
        self.taken.push_back(Taken { offset, size, done: false });
        self.in_flight += 1;
        self.bytes += size;
    }

    /// It was handled.
    pub(super) fn done(&mut self, offset: i64) {
        let Ok(index) = self.taken.binary_search_by_key(&offset, |taken| taken.offset) else { return };
        let Some(taken) = self.taken.get_mut(index).filter(|taken| !taken.done) else { return };
        taken.done = true;
        self.in_flight -= 1;
        self.bytes -= taken.size;
        while let Some(Taken { offset, .. }) = self.taken.pop_front_if(|first| first.done) {
            self.watermark = Some(offset + 1);
        }
    }

    /// Whether no more should be taken for now.
    pub(super) fn is_full(&self) -> bool {
        self.in_flight >= MOST || self.bytes >= MOST_BYTES || self.taken.len() >= MOST_AHEAD
    }

    /// Whether there is room again, for more than one or two.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight <= MOST / 2 && self.bytes <= MOST_BYTES / 2 && self.taken.len() <= MOST_AHEAD / 2
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Where to go on: at the first message that is not handled. None if nothing is known yet.
    pub(super) fn resume_at(&self) -> Option<i64> {
        self.taken.front().map(|first| first.offset).or(self.watermark)
    }

    /// The offset that will be read next. None if nothing is known yet.
    pub(super) fn expected(&self) -> Option<i64> {
        self.taken.back().map(|last| last.offset + 1).or(self.watermark)
    }

    /// What is to be committed, if that is news. It counts as committed from now on.
    pub(super) fn commit(&mut self) -> Option<i64> {
        let news = self.watermark.filter(|watermark| Some(*watermark) != self.committed)?;
        self.committed = Some(news);
        Some(news)
    }

    /// The last commit failed: it is to be done again.
    pub(super) fn uncommitted(&mut self) {
        self.committed = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(offsets: impl IntoIterator<Item = i64>) -> Progress {
        let mut progress = Progress::from(None);
        offsets.into_iter().for_each(|offset| progress.take(offset, 10));
        progress
    }

    #[test]
    fn f18_an_offset_is_committed_when_everything_below_it_is_done() {
        let mut progress = taken([5, 6, 9]);
        progress.done(6);
        assert_eq!((progress.commit(), progress.resume_at()), (None, Some(5)));
        progress.done(5);
        assert_eq!((progress.commit(), progress.resume_at()), (Some(7), Some(9)));
        assert_eq!(progress.commit(), None, "no news");
        progress.done(9);
        progress.done(9);
        assert_eq!((progress.commit(), progress.expected(), progress.is_idle()), (Some(10), Some(10), true));
        progress.uncommitted();
        assert_eq!(progress.commit(), Some(10));
    }

    /// Whatever the order in which messages are done, the watermark is below the first that is not.
    #[test]
    fn any_order() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let (mut offsets, mut next) = (Vec::new(), random.i64(0..100));
            let mut progress = Progress::from(Some(next));
            let start = next;
            for _ in 0..50 {
                next += random.i64(1..3);
                offsets.push(next);
                progress.take(next, 1);
            }
            let mut open = offsets.clone();
            random.shuffle(&mut offsets);
            for offset in offsets {
                progress.done(offset);
                open.retain(|other| *other != offset);
                let committed = progress.commit().or(progress.committed).unwrap_or(start);
                assert!(open.first().is_none_or(|first| committed <= *first), "seed {seed}");
                assert_eq!(progress.resume_at(), Some(open.first().copied().unwrap_or(next + 1)), "seed {seed}");
            }
            assert_eq!(progress.committed, Some(next + 1), "seed {seed}");
        }
    }

    #[test]
    fn what_is_in_flight_is_bounded() {
        let mut progress = taken(0..MOST as i64);
        assert!(progress.is_full());
        progress.done(0);
        assert!(!progress.is_full() && !progress.has_room());
        (0..MOST as i64 / 2).for_each(|offset| progress.done(offset));
        assert!(progress.has_room());
        let mut big = Progress::from(None);
        big.take(0, MOST_BYTES);
        assert!(big.is_full());
        // Many may be done behind one that is not: they are not in flight, but a crash repeats them.
        let mut ahead = taken(0..MOST_AHEAD as i64);
        (1..MOST_AHEAD as i64).for_each(|offset| ahead.done(offset));
        assert!(ahead.is_full());
    }
}
