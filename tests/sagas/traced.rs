//! The trace of a caller goes along with all that its request leads to.

use crate::{
    bank::{Script, Trouble},
    changed,
    common::{send, until},
    ends::World,
};
use minos::{Trace, store::SagaFilter};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test(flavor = "multi_thread")]
async fn steps_and_their_compensations_carry_the_trace_of_the_request() {
    let dir = tempfile::tempdir().unwrap();
    for (header, expected) in [(format!("traceparent: {TRACE}\r\n"), Some(TRACE)), (format!("traceparent: {TRACE}-x\r\n"), None)] {
        for store in ["memory:".to_owned(), format!("sqlite://{}", dir.path().join(format!("{}.db", expected.is_some())).display())] {
            let world = World::on(&store, "memory:", Script::default().with("confirm", &[Trouble::Refuse])).await;
            let answer = send(world.teller.addr(), "POST", "/transfers", &header, &world.input(30).to_string()).await.unwrap();
            assert_eq!(answer.status, 422, "{answer:?}");
            let expected = expected.map(str::to_owned);
            assert_eq!(world.script.traces(), vec![expected.clone(); 4], "take, give, and undone both");
            let rows = world.teller.store().sagas(SagaFilter::default(), None, 10).await.unwrap();
            let trace = rows[0].cause.trace;
            assert_eq!(trace.map(|trace| trace.to_string()), expected);
            assert_eq!(trace.map(Trace::id) == Some(rows[0].cause.correlation), expected.is_some(), "it is the correlation, too");
            world.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_line_of_a_request_names_its_trace() {
    let dir = tempfile::tempdir().unwrap();
    let service = changed::start(dir.path(), "v1", true);
    let addr = service.addr().await;
    for header in [format!("traceparent: {TRACE}\r\n"), "traceparent: nonsense\r\n".to_owned()] {
        let answer = send(addr, "POST", "/stays", &header, r#"{"nights":2}"#).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let requests = || service.lines().iter().filter(|line| line.contains(" http method=POST path=\"/stays\"")).cloned().collect::<Vec<_>>();
    until("both are told", async || requests().len() == 2).await;
    let requests = requests();
    assert!(requests[0].contains(&format!("traceparent={TRACE}")), "{requests:?}");
    assert!(!requests[1].contains("traceparent"), "{requests:?}");
}
