//! Hands of a foreign client on a real Kafka, and processes that can be killed.

use super::real::Real;
use crate::broker::suite::{Inbox, events, unique};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
    consumer::{BaseConsumer, CommitMode, Consumer as _},
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// What a foreign program sends: a key, a content, and headers.
pub(super) type Foreign<'r> = (Option<&'r [u8]>, &'r [u8], &'r [(&'r str, &'r [u8])]);

impl Real {
    pub(super) fn servers(&self) -> &str {
        self.url.trim_start_matches("kafka://")
    }

    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.servers()).set("enable.auto.commit", "false");
        config
    }

    pub(super) fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().unwrap()
    }

    pub(super) fn consumer(&self, group: &str) -> BaseConsumer {
        self.client().set("group.id", group).set("auto.offset.reset", "earliest").create().unwrap()
    }

    /// Sends records as somebody who knows nothing of our headers.
    pub(super) fn send(&self, topic: &str, partition: Option<i32>, records: &[Foreign<'_>]) {
        let producer: BaseProducer = self.client().create().unwrap();
        for (key, payload, headers) in records {
            let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) }));
            let mut record = BaseRecord::<[u8], [u8]>::to(topic).payload(payload).headers(headers);
            (record.key, record.partition) = (*key, partition);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(PATIENCE).unwrap();
    }

    /// All records of a topic, as any client reads them.
    pub(super) fn read(&self, topic: &str, count: usize) -> Vec<OwnedMessage> {
        let consumer = self.consumer(&unique("reader"));
        consumer.subscribe(&[topic]).unwrap();
        let (mut found, started) = (Vec::new(), Instant::now());
        while found.len() < count {
            assert!(started.elapsed() < PATIENCE, "{} of {count} records", found.len());
            if let Some(record) = consumer.poll(Duration::from_millis(100)) {
                found.push(record.unwrap().detach());
            }
        }
        found
    }

    /// Where a group is.
    pub(super) fn committed(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let list = self.consumer(group).committed_offsets(list, PATIENCE).unwrap();
        list.find_partition(topic, partition).unwrap().offset().to_raw().filter(|offset| *offset >= 0)
    }

    pub(super) async fn until_committed(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let started = Instant::now();
        loop {
            let committed = self.committed(group, topic, partition);
            if committed == Some(offset) {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "committed: {committed:?}, not {offset}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Puts a group, which has no members, somewhere else.
    pub(super) fn move_group(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(offset)).unwrap();
        self.consumer(group).commit(&list, CommitMode::Sync).unwrap();
    }

    pub(super) async fn delete_topic(&self, topic: &str) {
        let deleted = self.admin().delete_topics(&[topic], &AdminOptions::new()).await.unwrap();
        assert!(deleted.iter().all(Result::is_ok), "{deleted:?}");
    }

    pub(super) async fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
        self.admin().delete_records(&list, &AdminOptions::new()).await.unwrap();
    }
}

/// A Kafka of a test's own, which it may stop and kill.
pub(super) struct Own {
    dir: TempDir,
    pub(super) kafka: Real,
}

impl Own {
    /// Starts one, where there is one for the other tests.
    pub(super) fn start(test: &str) -> Option<Self> {
        Real::find(test)?;
        let mut own = Own { dir: tempfile::tempdir().unwrap(), kafka: Real { url: String::new() } };
        own.run(&["start", "kafka"]);
        let env = own.run(&["env"]);
        let url = env.lines().find_map(|line| line.split_once("MINOS_TEST_KAFKA_URL=")).expect("a Kafka runs").1;
        own.kafka.url = url.trim_matches(['"', '\'']).to_owned();
        Some(own)
    }

    /// `scripts/services` for this one.
    pub(super) fn run(&self, command: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services");
        let (verb, rest) = command.split_first().unwrap();
        let output = Command::new(script).arg(verb).arg("--dir").arg(self.dir.path()).args(rest).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.run(&["clean"]);
    }
}

/// Another process of a service, which handles what comes: this test program, run again.
pub(super) struct Worker {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

/// What the worker is told, by the environment.
const ROLE: &str = "MINOS_TEST_WORKER";

impl Worker {
    /// Starts a process that listens to this topic for this service, and never ends what has this version.
    pub(super) fn start(kafka: &Real, service: &str, topic: &str, stuck: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["broker::kafka::tests::kit::worker", "--exact", "--nocapture", "--include-ignored"])
            .env(ROLE, format!("{} {service} {topic} {stuck}", kafka.url))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (out, into) = (BufReader::new(process.stdout.take().unwrap()), lines.clone());
        std::thread::spawn(move || out.lines().map_while(Result::ok).for_each(|line| into.lock().unwrap().push(line)));
        Worker { process, lines }
    }

    /// The versions that it took, in order.
    pub(super) fn took(&self) -> Vec<u64> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line.strip_prefix("took ")?.parse().ok()).collect()
    }

    pub(super) async fn until_took(&self, count: usize) {
        let started = Instant::now();
        while self.took().len() < count {
            assert!(started.elapsed() < PATIENCE, "the worker took {:?}", self.took());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(super) fn signal(&self, name: &str) {
        let done = Command::new("kill").args([format!("-{name}"), self.process.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Not a test: what [`Worker`] runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a part of other tests"]
async fn worker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let [url, service, topic, stuck]: [&str; 4] = role.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let stuck: u64 = stuck.parse().unwrap();
    let inbox = Inbox::that(move |message| {
        let version = message.version.unwrap_or_default();
        println!("took {version}");
        Box::pin(async move {
            if version == stuck {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    });
    let (broker, _health) = super::broker(url, service, "");
    crate::broker::Broker::subscribe(&*broker, service, events(topic), inbox).await.unwrap();
    std::future::pending::<()>().await;
}
