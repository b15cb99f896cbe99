//! Whether an instance is handed out: a pure function of what it answered, and when.
//!
//! It is handed out when it has answered that it is ready, and never before. It is out at once when nobody listens there, or when it says that it is not ready. No
//! answer at all may be the network's fault, so that has to happen twice, one right after the other. Whoever goes out again and again has to be good
//! for longer each time before it is in again, and is forgiven when it was calm.

use minos::discovery::Readiness;
use std::time::Duration;
use tokio::time::Instant;

/// How often in a row there may be no answer.
const SILENCES: u32 = 2;
/// How long one has to be in until one of its times out is forgiven.
const FORGIVEN: Duration = Duration::from_secs(60);
/// The longest time that one has to be good for.
const LONGEST_PROBATION: Duration = Duration::from_secs(60);
/// How soon who was silent is asked once more.
const AT_ONCE: Duration = Duration::from_millis(100);
/// How soon one is asked again that has not been ready yet.
const NEW: Duration = Duration::from_millis(500);
/// The longest pause between two questions to one that is out.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Whether it is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not yet: it was never ready.
    New,
    /// It is.
    In,
    /// Not any more.
    Out,
}

#[derive(Debug, Clone)]
pub(super) struct Vitality {
    state: State,
    /// How often it was not ready in a row.
    failures: u32,
    /// How often it went out, as far as that is not forgiven.
    leaves: u32,
    /// Since when it is in, or one of its times out was forgiven.
    calm_since: Option<Instant>,
    /// Since when it was ready each time, while it is out.
    good_since: Option<Instant>,
    why: Option<String>,
}

impl Vitality {
    pub(super) fn new() -> Self {
        Vitality { state: State::New, failures: 0, leaves: 0, calm_since: None, good_since: None, why: None }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// Why it is not handed out, or might soon not be.
    pub(super) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// It was asked, and this came of it.
    pub(super) fn answered(&mut self, answer: Readiness, every: Duration, now: Instant) {
        match answer {
            Readiness::Ready => self.ready(every, now),
            Readiness::NotReady(why) => self.failed(why, 1),
            Readiness::Silent(why) => self.failed(why, SILENCES),
        }
    }

    fn ready(&mut self, every: Duration, now: Instant) {
        self.failures = 0;
        match self.state {
            State::New => self.comes_in(now),
            State::In => {
                self.why = None;
                if self.calm_since.is_some_and(|since| now.duration_since(since) >= FORGIVEN) {
                    self.leaves = self.leaves.saturating_sub(1);
                    self.calm_since = Some(now);
                }
            }
            State::Out => {
                let since = *self.good_since.get_or_insert(now);
                let probation = self.probation(every);
                if now.duration_since(since) >= probation {
                    self.comes_in(now);
                } else {
                    self.why = Some(format!(
                        "it has gone out {} times lately, so it has to be ready for {} s first",
                        self.leaves,
                        probation.as_secs()
                    ));
                }
            }
        }
    }

    /// How long it has to be good for. The first time is an accident.
    fn probation(&self, every: Duration) -> Duration {
        match self.leaves {
            0 | 1 => Duration::ZERO,
            leaves => every.saturating_mul(1 << (leaves - 1).min(10)).min(LONGEST_PROBATION),
        }
    }

    fn comes_in(&mut self, now: Instant) {
        (self.state, self.calm_since, self.good_since, self.why) = (State::In, Some(now), None, None);
    }

    fn failed(&mut self, why: String, allowed: u32) {
        self.failures += 1;
        self.good_since = None;
        self.why = Some(why);
        if self.state == State::In && self.failures >= allowed {
            self.state = State::Out;
            self.leaves += 1;
        }
    }

    /// How long until it is asked again.
    pub(super) fn pause(&self, every: Duration) -> Duration {
        match self.state {
            State::In if self.failures > 0 => AT_ONCE.min(every),
            State::New if self.failures > 0 => NEW.min(every).saturating_mul(self.failures).min(LONGEST_PAUSE),
            State::Out if self.failures > 0 => every.saturating_mul(1 << (self.failures - 1).min(10)).min(LONGEST_PAUSE.max(every)),
            State::New | State::In | State::Out => every,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(2);

    /// Each answer one `EVERY` behind the other, and what is handed out then: `+` ready, `-` not ready, `?` silent.
    fn lives(answers: &str) -> (String, Vitality) {
        let (mut vitality, mut now) = (Vitality::new(), Instant::now());
        let states = answers.chars().map(|answer| {
            now += EVERY;
            let answer = match answer {
                '+' => Readiness::Ready,
                '-' => Readiness::NotReady("no".to_owned()),
                _ => Readiness::Silent("?".to_owned()),
            };
            vitality.answered(answer, EVERY, now);
            if vitality.state() == State::In { '1' } else { '0' }
        });
        (states.collect(), vitality)
    }

    #[test]
    fn who_was_never_ready_is_not_handed_out() {
        assert_eq!(lives("---??-").0, "000000");
        assert_eq!(lives("---+").0, "0001", "and it is no flapping that it took a while to start");
    }

    #[test]
    fn who_is_not_there_is_out_at_once_and_who_is_silent_at_the_second_time() {
        assert_eq!(lives("+-").0, "10");
        assert_eq!(lives("+?+?+").0, "11111");
        let (states, silent) = lives("+?");
        assert_eq!(states, "11");
        assert!(silent.pause(EVERY) <= Duration::from_millis(100), "the second time follows at once");
        assert_eq!(lives("+??").0, "110");
    }

    #[test]
    fn who_comes_and_goes_has_to_be_good_for_longer_each_time() {
        assert_eq!(lives("+-+").0, "101", "once is an accident");
        // 4 s, then 8 s.
        assert_eq!(lives("+-+-++++").0, "10100011");
        assert_eq!(lives("+-+-+++-++++++").0, "10100010000011");
        let flapping = lives(&"+-".repeat(50)).0;
        assert_eq!(&flapping[..6], "101000");
        assert!(!flapping[6..].contains('1'), "{flapping}");
        let (_, mut worst) = lives(&"+-".repeat(3));
        worst.leaves = 50;
        assert_eq!(worst.probation(EVERY), LONGEST_PROBATION, "but not for ever");
    }

    #[test]
    fn who_was_calm_is_forgiven() {
        let calm = "+".repeat(40);
        assert_eq!(lives(&format!("+-+-+++{calm}-+")).1.state(), State::Out);
        assert_eq!(lives(&format!("+-+-+++{calm}{calm}-+")).1.state(), State::In);
    }

    #[test]
    fn who_is_long_out_is_asked_seldom() {
        let pause = |answers| lives(answers).1.pause(EVERY).as_secs();
        assert_eq!([pause("+-"), pause("+--"), pause("+---"), pause("+----"), pause("+---------")], [2, 4, 8, 15, 15]);
        assert_eq!(pause("+"), 2);
    }
}
