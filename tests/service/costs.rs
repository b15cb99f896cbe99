//! What a service costs, with bounds so wide that only a blunder breaks them: this is an unoptimized build on a machine that has other things to do.
//! `scripts/start-cost` measures.

use crate::common::{
    config, get,
    process::{self, Process},
};
use std::{
    fs,
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_starts_at_once_and_is_small() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("test.db").display());
    let command = process::service(directory.path(), "service::app::account", &config("test", &url));
    let begun = Instant::now();
    let process = Process::start(command);
    let addr = process.addr().await;
    assert_eq!(get(addr, "/health").await.status, 200);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?} from the start to the first answer");
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let kilobytes: u64 =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap();
    assert!(kilobytes < 80 * 1024, "{kilobytes} kB resident");
    eprintln!("first answer after {took:?}, {kilobytes} kB resident");
}
