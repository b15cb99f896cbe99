//! What is stored, what is legal, and what is drawn.

use super::*;
use crate::saga::Wrong::*;

fn trip() -> Vec<Node> {
    vec![
        remote("hotel").into(),
        parallel(vec![vec![remote("flight").into()], vec![local("seat").into()]]),
        when(vec![remote("pay").pivot().into()], vec![]),
        local("mail").retriable().into(),
    ]
}

#[test]
fn what_is_stored_is_readable() {
    let plan = plan(trip());
    let mut execution = begin(&plan, true);
    let moment = Moment { now: at(60), jitter: 0.0 };
    transition(&plan, &mut execution, Input::Started, moment).unwrap();
    let stored = json!({
        "id": "00000000-0000-0000-0000-000000000001",
        "saga": "Trip",
        "definition": plan.hash(),
        "status": "running",
        "values": { "yes": true },
        "steps": {
            "hotel": {
                "status": { "under_way": "execute" },
                "attempts": { "execute": 1 },
                "limit": 1,
                "started_at": "1970-01-01T00:01:00Z",
                "changed_at": "1970-01-01T00:01:00Z",
                "due": "1970-01-01T00:01:10Z",
            }
        },
        "started_at": "1970-01-01T00:00:00Z",
        "changed_at": "1970-01-01T00:01:00Z",
        "version": 1,
    });
    assert_eq!(serde_json::to_value(&execution).unwrap(), stored);
    assert_eq!(serde_json::from_value::<Execution>(stored).unwrap(), execution);
}

#[test]
fn the_hash_tells_what_an_execution_relies_on() {
    assert_eq!(
        canonical(definition(trip())),
        "saga Trip
  input yes: bool
  compensable remote hotel -> hotel: u32, undone
  parallel
    branch
      compensable remote flight -> flight: u32, undone
    branch
      compensable local seat -> seat: u32, undone
  when
    pivot remote pay -> pay: u32
  otherwise
  retriable local mail -> mail: u32
"
    );
    // This is in the stores and lock files of users.
    assert_eq!(hash(definition(trip())), "d6d27397ea5b5ecc8ea2e4a9c0c6697d");
    let of = |step: Step| hash(definition(vec![step.into()]));
    let a = of(remote("a"));
    for other in [of(remote("b")), of(local("a")), of(remote("a").pivot()), of(remote("a").not_undone())] {
        assert_ne!(other, a);
    }
    assert_eq!(of(remote("a").within(3).tried(4).on_success(|_| Ok(()))), a);
    let of_type = |ty| of(Step { output: Some(Output { name: "a", ty }), ..remote("a") });
    assert_eq!(of_type("Vec < dyn  Foo >"), of_type("Vec<dyn Foo>"));
    assert_ne!(of_type("dyn Foo"), of_type("dynFoo"));
}

#[test]
fn an_execution_of_another_definition_is_left_as_it_is() {
    let (old, new) = (plan(vec![local("a").into(), local("b").into()]), plan(vec![local("b").into()]));
    let moment = Moment { now: at(0), jitter: 0.0 };
    let mut execution = begin(&old, true);
    transition(&old, &mut execution, Input::Started, moment).unwrap();
    let before = execution.clone();
    let error = transition(&new, &mut execution, Input::Resumed, moment).unwrap_err();
    assert!(matches!(&error, TransitionError::UnknownSteps { steps, .. } if steps[..] == ["a"]), "{error}");
    assert!(error.to_string().contains("with `a`, which the saga does not have any more"), "{error}");
    let longer = plan(vec![local("a").into(), local("b").into(), local("c").into()]);
    let error = transition(&longer, &mut execution, Input::Resumed, moment).unwrap_err();
    assert!(matches!(error, TransitionError::Changed { .. }), "{error}");
    execution.saga = "Other".to_owned();
    assert!(matches!(transition(&old, &mut execution, Input::Resumed, moment), Err(TransitionError::OtherSaga { .. })));
    execution.saga = "Trip".to_owned();
    assert_eq!(execution, before);
}

#[test]
fn a_definition_that_cannot_be_executed_safely_is_refused() {
    let wrong = |nodes| Plan::of(definition(nodes), policy()).err().map(|error| error.wrong);
    let retriable = |name| Node::from(local(name).retriable());
    let pivot = |name| Node::from(local(name).pivot());
    assert_eq!(wrong(vec![]), Some(Empty));
    assert_eq!(wrong(vec![when(vec![], vec![local("a").into()])]), Some(EmptyPart));
    assert_eq!(wrong(vec![parallel(vec![vec![]])]), Some(EmptyPart));
    assert_eq!(wrong(vec![local("a").into(), when(vec![local("a").into()], vec![])]), Some(DoubleName("a".to_owned())));
    assert_eq!(wrong(vec![pivot("a"), local("b").into()]), Some(FailsTooLate("b".to_owned())));
    assert_eq!(wrong(vec![pivot("a"), pivot("b")]), Some(FailsTooLate("b".to_owned())));
    assert_eq!(wrong(vec![retriable("a"), pivot("b")]), Some(FailsTooLate("b".to_owned())));
    assert_eq!(wrong(vec![when(vec![pivot("a")], vec![]), local("b").into()]), Some(FailsTooLate("b".to_owned())));
    assert_eq!(wrong(vec![Step { kind: StepKind::Pivot, ..local("a") }.into()]), Some(NeverUndone("a".to_owned())));
    assert_eq!(wrong(vec![parallel(vec![vec![pivot("a")], vec![retriable("b")]])]), Some(PivotInParallel("a".to_owned())));
    assert_eq!(wrong(vec![parallel(vec![vec![local("a").into()], vec![retriable("b")]])]), Some(MixedParallel("b".to_owned())));
    // One pivot on each way.
    assert_eq!(wrong(vec![when(vec![pivot("a")], vec![pivot("b")]), parallel(vec![vec![retriable("c")], vec![retriable("d")]])]), None);
}

#[test]
fn a_definition_is_drawn() {
    assert_eq!(
        diagram(definition(trip()), None),
        "flowchart TD
    n1([\"Trip\"])
    n2[[\"hotel<br/>→ hotel: u32<br/>can be undone\"]]
    n1 --> n2
    n3@{ shape: fork }
    n2 --> n3
    n4[[\"flight<br/>→ flight: u32<br/>can be undone\"]]
    n3 --> n4
    n5[\"seat<br/>→ seat: u32<br/>can be undone\"]
    n3 --> n5
    n6@{ shape: fork }
    n4 --> n6
    n5 --> n6
    n7{when}
    n6 --> n7
    n8{{\"pay<br/>→ pay: u32\"}}
    n7 -->|yes| n8
    n9(\"mail<br/>→ mail: u32\")
    n8 --> n9
    n7 -->|no| n9
    n10([\"committed\"])
    n9 --> n10
"
    );
}

#[test]
fn an_execution_is_drawn_and_nothing_in_it_is_markup() {
    let plan = plan(vec![remote("a").into(), when(vec![local("b").into()], vec![])]);
    let mut execution = begin(&plan, true);
    let moment = Moment { now: at(0), jitter: 0.0 };
    transition(&plan, &mut execution, Input::Started, moment).unwrap();
    let good = || Ok(Outcome::Answer(b"7".to_vec()));
    transition(&plan, &mut execution, Input::Ended { call: call("a", Direction::Execute, 1), result: good(), holds: false }, moment)
        .unwrap();
    let bad = Err(Error::rejected("\"]<script>#"));
    transition(&plan, &mut execution, Input::Ended { call: call("b", Direction::Execute, 1), result: bad, holds: false }, moment).unwrap();
    let chart = diagram(plan.def, Some(&execution));
    for part in
        ["undoing, attempt 1", "class n2 active", "|yes, taken|", "class n4 failed", "#34;]#60;script#62;#35;", "([\"compensating\"])"]
    {
        assert!(chart.contains(part), "{part} is not in\n{chart}");
    }
    assert!(!chart.contains("<script"));
    let picture = svg(plan.def, Some(&execution));
    for part in
        ["undoing, attempt 1", "yes, taken", r##"fill="#dbe9ff""##, r##"fill="#ffe3cf""##, "&quot;]&lt;script&gt;#", ">compensating<"]
    {
        assert!(picture.contains(part), "{part} is not in\n{picture}");
    }
    assert!(!picture.contains("<script"));
}

/// Where each box and bar of a picture is: left, top, right, bottom.
fn places(picture: &str) -> Vec<[i32; 4]> {
    let number = |text: &str, name: &str| -> i32 {
        let (_, rest) = text.split_once(&format!(" {name}=\"")).unwrap_or_else(|| panic!("no {name} in {text}"));
        rest.split('"').next().unwrap_or_default().parse().unwrap()
    };
    let corners = |line: &str| {
        let points = line.split('"').nth(1).unwrap().split(' ').map(|point| point.split_once(',').unwrap());
        let points: Vec<(i32, i32)> = points.map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap())).collect();
        let (xs, ys) = (points.iter().map(|point| point.0), points.iter().map(|point| point.1));
        [xs.clone().min().unwrap(), ys.clone().min().unwrap(), xs.max().unwrap(), ys.max().unwrap()]
    };
    let lines = picture.lines().filter(|line| line.starts_with("<rect x=") || line.starts_with("<polygon"));
    let place = |line: &str| {
        if line.starts_with("<polygon") {
            return corners(line);
        }
        let (x, y) = (number(line, "x"), number(line, "y"));
        [x, y, x + number(line, "width"), y + number(line, "height")]
    };
    lines.map(place).collect()
}

#[test]
fn a_picture_has_room_for_each_step() {
    let deep = vec![
        when(
            vec![parallel(vec![trip_without_end(), vec![local("a long name of a step that is local and says a lot").into()]])],
            vec![when(vec![remote("b").into()], vec![])],
        ),
        remote("c").into(),
    ];
    for nodes in [trip(), deep] {
        let picture = svg(definition(nodes), None);
        let (_, size) = picture.split_once("viewBox=\"0 0 ").unwrap();
        let (width, height) = size.split('"').next().unwrap().split_once(' ').unwrap();
        let (width, height): (i32, i32) = (width.parse().unwrap(), height.parse().unwrap());
        let places = places(&picture);
        assert!(places.len() >= 8, "{picture}");
        for (n, [left, top, right, bottom]) in places.iter().copied().enumerate() {
            assert!(0 < left && right < width && 0 < top && bottom < height, "{n} is not in\n{picture}");
            for [other_left, other_top, other_right, other_bottom] in places[..n].iter().copied() {
                let apart = right < other_left || other_right < left || bottom < other_top || other_bottom < top;
                assert!(apart, "{n} lies on another one in\n{picture}");
            }
        }
    }
}

fn trip_without_end() -> Vec<Node> {
    vec![remote("hotel").into(), parallel(vec![vec![remote("flight").into()], vec![local("seat").into()]])]
}
