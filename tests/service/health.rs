//! What a service tells of its own state.

use crate::{
    common::{get, post, until},
    setup::start,
};

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let (running, addr, _) = start("account").await;
    assert_eq!(get(addr, "/health").await.json()["status"], "up");
    until("it is ready", async || get(addr, "/health/ready").await.status == 200).await;
    let ready = get(addr, "/health/ready").await.json();
    assert!(ready["parts"]["store"]["works"] == true && ready["parts"]["relay"]["works"] == true, "{ready}");
    running.store().close().await;
    until("it is not ready", async || get(addr, "/health/ready").await.status == 503).await;
    let failed = post(addr, "/accounts", r#"{"owner":"ada"}"#).await;
    assert!(failed.status == 503 && failed.head.contains("retry-after"), "{failed:?}");
    running.stop().await;
}
