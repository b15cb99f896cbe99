//! What is measured of the steps: how each attempt has ended, and how long it took until a step was done.

use crate::{
    message::Direction,
    metrics::{Metrics, StepLabels, StepTimeLabels},
    saga::{Execution, Plan, StepState, StepStatus},
};
use std::time::Duration;

/// How the steps stood before a turn, in the order in which the plan has them.
pub(super) struct Stood {
    steps: Vec<Option<StepStatus>>,
    /// Whether the turn is made because something is due.
    due: bool,
}

impl Stood {
    pub(super) fn of(plan: &Plan, execution: &Execution, due: bool) -> Self {
        let status = |name: &str| execution.steps.get(name).map(|state| state.status);
        Stood { steps: plan.steps().iter().map(|step| status(step.name)).collect(), due }
    }

    /// Counts what has ended since.
    pub(super) fn measure(&self, plan: &Plan, execution: &Execution, metrics: &Metrics) {
        for (step, before) in plan.steps().iter().zip(&self.steps) {
            let Some(state) = execution.steps.get(step.name) else { continue };
            let Some((direction, outcome)) = ended(*before, state, self.due) else { continue };
            let (saga, step) = (plan.name(), step.name);
            metrics.saga_steps.get_or_create(&StepLabels { saga, step, direction: direction.name(), outcome }).inc();
            if direction == Direction::Execute && outcome == DONE {
                let took = Duration::try_from(execution.changed_at.duration_since(state.started_at)).unwrap_or_default();
                metrics.saga_step_seconds.get_or_create(&StepTimeLabels { saga, step }).observe(took.as_secs_f64());
            }
        }
    }
}

const DONE: &str = "done";

/// What was tried, and how that has ended, if it has: by how a step stood, and how it stands now.
pub(super) fn ended(before: Option<StepStatus>, after: &StepState, due: bool) -> Option<(Direction, &'static str)> {
    use Direction::{Abort, Cancel, Commit, Execute, Undo};
    use StepStatus::{Applied, Failed, Pausing, Replaced, Stuck, Succeeded, UnderWay, Undone};
    let tried = before.map_or(Some(Execute), StepStatus::doing);
    let outcome = match (before, after.status) {
        (Some(before), now) if before == now => return None,
        (Some(UnderWay(_)), _) if due => "timed_out",
        // It has happened, and what follows from that is under way at once.
        (Some(UnderWay(Execute | Cancel)), UnderWay(Undo | Commit | Abort)) if !after.in_doubt => DONE,
        (Some(UnderWay(_)), UnderWay(_) | Pausing(_) | Stuck(_)) | (None | Some(UnderWay(Execute)), Failed) => "failed",
        (None, Stuck(_)) => "failed",
        (Some(UnderWay(Cancel)), Failed) => "not_done",
        (_, Replaced) => "replaced",
        // It is known late, or by an operator's word.
        (_, Succeeded | Undone | Applied) => DONE,
        _ => return None,
    };
    Some((tried.unwrap_or(Execute), outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saga::Attempts;
    use Direction::{Abort, Cancel, Commit, Execute, Undo};
    use StepStatus::{Applied, Failed, Pausing, Replaced, Stuck, Succeeded, UnderWay, Undone};
    use jiff::Timestamp;

    fn state(status: StepStatus, in_doubt: bool) -> StepState {
        let now = Timestamp::UNIX_EPOCH;
        StepState {
            status,
            attempts: Attempts::default(),
            limit: 1,
            started_at: now,
            changed_at: now,
            due: None,
            in_doubt,
            error: None,
            holds: Vec::new(),
        }
    }

    #[test]
    fn each_end_of_an_attempt_is_told_from_the_others() {
        let cases = [
            (Some(UnderWay(Execute)), Succeeded, Some((Execute, "done"))),
            (Some(UnderWay(Execute)), Replaced, Some((Execute, "replaced"))),
            (Some(UnderWay(Execute)), Failed, Some((Execute, "failed"))),
            (Some(UnderWay(Execute)), Pausing(Execute), Some((Execute, "failed"))),
            (Some(UnderWay(Execute)), UnderWay(Undo), Some((Execute, "done"))),
            (Some(UnderWay(Execute)), UnderWay(Commit), Some((Execute, "done"))),
            (Some(UnderWay(Execute)), Applied, Some((Execute, "done"))),
            (Some(UnderWay(Cancel)), Failed, Some((Cancel, "not_done"))),
            (Some(UnderWay(Cancel)), UnderWay(Undo), Some((Cancel, "done"))),
            (Some(UnderWay(Undo)), Undone, Some((Undo, "done"))),
            (Some(UnderWay(Undo)), Stuck(Undo), Some((Undo, "failed"))),
            (Some(UnderWay(Commit)), Applied, Some((Commit, "done"))),
            (Some(UnderWay(Abort)), Undone, Some((Abort, "done"))),
            (Some(Stuck(Undo)), Undone, Some((Undo, "done"))),
            (Some(Failed), Succeeded, Some((Execute, "done"))),
            (None, Failed, Some((Execute, "failed"))),
            (None, UnderWay(Execute), None),
            (Some(Pausing(Execute)), UnderWay(Execute), None),
            (Some(Stuck(Undo)), UnderWay(Undo), None),
            (Some(Pausing(Execute)), Failed, None),
            (Some(Succeeded), UnderWay(Undo), None),
            (Some(Succeeded), Succeeded, None),
        ];
        for (before, after, expected) in cases {
            assert_eq!(ended(before, &state(after, false), false), expected, "{before:?} {after:?}");
        }
        assert_eq!(ended(Some(UnderWay(Execute)), &state(UnderWay(Cancel), true), false), Some((Execute, "failed")), "it cannot be read");
        for after in [Pausing(Execute), UnderWay(Cancel), UnderWay(Abort), Failed] {
            assert_eq!(ended(Some(UnderWay(Execute)), &state(after, true), true), Some((Execute, "timed_out")), "{after:?}");
        }
        assert_eq!(ended(Some(Pausing(Execute)), &state(UnderWay(Execute), false), true), None, "its pause has ended");
    }
}
