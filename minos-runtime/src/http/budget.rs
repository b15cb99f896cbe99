//! What may be taken at once, and not more: who comes later is refused and not kept waiting, so that an overload costs no memory.

use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of things that may be taken.
pub(super) struct Budget(AtomicUsize);

/// What was taken of a budget. It is given back with this value.
pub(super) struct Taken<'b> {
    budget: &'b Budget,
    amount: usize,
}

impl Budget {
    pub(super) fn new(amount: usize) -> Self {
        Budget(AtomicUsize::new(amount))
    }

    /// Takes so much, or nothing if there is less.
    pub(super) fn take(&self, amount: usize) -> Option<Taken<'_>> {
        let mut taken = self.nothing();
        taken.more(amount).then_some(taken)
    }

    /// Takes nothing yet.
    pub(super) fn nothing(&self) -> Taken<'_> {
        Taken { budget: self, amount: 0 }
    }
}

impl Taken<'_> {
    /// Takes more; returns whether there was so much.
    pub(super) fn more(&mut self, amount: usize) -> bool {
        let took = self.budget.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(amount)).is_ok();
        if took {
            self.amount += amount;
        }
        took
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        // All requests count here: who took nothing leaves it alone.
        if self.amount > 0 {
            self.budget.0.fetch_add(self.amount, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_taken_is_given_back_once() {
        let budget = Budget::new(10);
        let mut some = budget.take(4).unwrap();
        assert!(!some.more(7) && some.more(6), "what is refused is not taken");
        assert!(budget.take(1).is_none());
        drop(some);
        assert!(budget.take(11).is_none() && budget.take(10).is_some());
    }
}
