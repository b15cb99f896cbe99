//! Other services that do not keep their word: the matrix has to see each of them.

use super::{
    super::{
        participant::{Participant, Row, participate},
        search::{self, Found},
    },
    *,
};

/// What is found with such services. All of them are found with two faults or less.
fn found(participant: Participant) -> Box<Found> {
    let nodes = vec![remote("a").tried(2).into(), remote("b").into(), local("c").into()];
    let mut first = world(nodes, true, Budget::of(2)).unwrap();
    first.participant = participant;
    match search::explore(first, 100_000, &mut |_, _| Ok(())) {
        Ok(_) => panic!("nothing was found"),
        Err(found) => found,
    }
}

#[test]
fn one_that_keeps_its_word_is_right() {
    let nodes = vec![remote("a").tried(2).into(), remote("b").into(), local("c").into()];
    let explored = search::explore(world(nodes, true, Budget::of(2)).unwrap(), 100_000, &mut |_, _| Ok(()));
    let explored = explored.unwrap_or_else(|found| panic!("{}", found.why));
    assert_eq!(explored.ends.into_keys().collect::<Vec<_>>(), ["committed", "rolled_back"]);
}

#[test]
fn one_without_tombstones_is_found() {
    let found = found(|row, call, answer| {
        participate(row, call, answer)?;
        row.cancelled = false;
        Ok(())
    });
    assert!(found.why.ends_with("may still happen"), "{}", found.why);
    assert_eq!(found.story.iter().filter(|event| event.is_fault()).count(), 1);
}

#[test]
fn one_that_does_what_it_has_done_is_found() {
    let found = found(|row, call, answer| {
        if call.direction == Direction::Execute && answer == Answer::Good {
            row.happened += 1;
            return Ok(());
        }
        participate(row, call, answer)
    });
    assert_eq!(found.why, "`a` has happened 2 times and was undone never");
}

#[test]
fn one_that_answers_an_error_for_what_it_has_done_is_found() {
    let found = found(|row, call, answer| {
        participate(row, call, answer)?;
        if matches!(answer, Answer::Transient | Answer::Permanent) && call.direction == Direction::Execute {
            row.happened = 1;
        }
        Ok(())
    });
    assert_eq!(found.why, "`a` is undone before the later `b` is");
}

#[test]
fn one_that_undoes_twice_is_found() {
    let found = found(|row, call, answer| {
        if call.direction == Direction::Undo && answer == Answer::Good {
            row.undone += 1;
            return Ok(());
        }
        participate(row, call, answer)
    });
    assert_eq!(found.why, "`b` has happened once and was undone 2 times");
}

#[test]
fn one_that_says_that_it_is_done_and_is_not_is_found() {
    let found =
        found(|row: &mut Row, call, answer| if call.direction == Direction::Execute { Ok(()) } else { participate(row, call, answer) });
    assert_eq!(found.why, "the saga has committed, and `a` has happened never");
}
