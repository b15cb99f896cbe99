//! The little of Kafka's protocol that tells which topics there are, and whether others could be made. It is spoken by hand, so that this program needs no
//! library in C for two questions.

use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// More than this is no answer to what is asked here.
const LONGEST: usize = 4 * 1024 * 1024;

const METADATA: i16 = 3;
const CREATE_TOPICS: i16 = 19;
const UNKNOWN_TOPIC: i16 = 3;
const TOPIC_AUTHORIZATION_FAILED: i16 = 29;

/// How a topic stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic {
    There,
    Missing,
    /// Who asks may not know.
    Refused,
}

/// A connection to a broker.
pub(super) struct Kafka {
    stream: TcpStream,
    asked: i32,
}

type Answer<T> = Result<T, String>;

impl Kafka {
    /// Connects; if what is said is not encrypted, it is asked whether it is Kafka.
    pub(super) async fn connect(host: &str, is_plain: bool) -> Answer<Self> {
        let addr = if host.contains(':') { host.to_owned() } else { format!("{host}:9092") };
        let stream = within(TcpStream::connect(addr)).await?;
        let mut kafka = Kafka { stream, asked: 0 };
        if is_plain {
            kafka.topics(&[]).await?;
        }
        Ok(kafka)
    }

    /// How these topics stand.
    pub(super) async fn topics(&mut self, names: &[String]) -> Answer<Vec<(String, Topic)>> {
        let mut body = Vec::new();
        put_count(&mut body, names.len());
        names.iter().for_each(|name| put_text(&mut body, name));
        let answer = self.ask(METADATA, 1, &body).await?;
        let mut reader = Reader(&answer);
        for _ in 0..reader.count()? {
            reader.int()?; // the broker's id
            reader.text()?;
            reader.int()?; // port
            reader.text()?; // rack
        }
        reader.int()?; // the controller
        let mut found = BTreeMap::new();
        for _ in 0..reader.count()? {
            let error = reader.short()?;
            let name = reader.text()?.unwrap_or_default();
            reader.take(1)?; // whether it is Kafka's own
            for _ in 0..reader.count()? {
                reader.take(2 + 4 + 4)?; // error, number and leader of the partition
                for _ in 0..2 {
                    let replicas = reader.count()?;
                    reader.take(replicas.saturating_mul(4))?;
                }
            }
            let topic = match error {
                UNKNOWN_TOPIC => Topic::Missing,
                TOPIC_AUTHORIZATION_FAILED => Topic::Refused,
                _ => Topic::There,
            };
            found.insert(name, topic);
        }
        Ok(names.iter().map(|name| (name.clone(), found.get(name).copied().unwrap_or(Topic::Missing))).collect())
    }

    /// Asks whether topics could be made, without making them: why not, if they could not.
    pub(super) async fn would_make(&mut self, names: &[String], partitions: usize, replication: usize) -> Answer<Option<String>> {
        let mut body = Vec::new();
        put_count(&mut body, names.len());
        for name in names {
            put_text(&mut body, name);
            body.extend(i32::try_from(partitions).unwrap_or(i32::MAX).to_be_bytes());
            // -1 is what the broker has as its own default.
            let copies = if replication == 0 { -1 } else { i16::try_from(replication).unwrap_or(i16::MAX) };
            body.extend(copies.to_be_bytes());
            put_count(&mut body, 0); // replicas by hand
            put_count(&mut body, 0); // settings
        }
        body.extend(5_000_i32.to_be_bytes());
        body.push(1); // only validate
        let answer = self.ask(CREATE_TOPICS, 4, &body).await?;
        let mut reader = Reader(&answer);
        reader.int()?; // throttled for
        let mut wrong = Vec::new();
        for _ in 0..reader.count()? {
            let name = reader.text()?.unwrap_or_default();
            let error = reader.short()?;
            let why = reader.text()?;
            if error != 0 {
                wrong.push(format!("{name}: {}", why.unwrap_or_else(|| format!("Kafka's error {error}"))));
            }
        }
        Ok((!wrong.is_empty()).then(|| wrong.join("; ")))
    }

    async fn ask(&mut self, what: i16, version: i16, body: &[u8]) -> Answer<Vec<u8>> {
        self.asked += 1;
        let mut request = Vec::new();
        request.extend(what.to_be_bytes());
        request.extend(version.to_be_bytes());
        request.extend(self.asked.to_be_bytes());
        put_text(&mut request, "minos-doctor");
        request.extend(body);
        let length = i32::try_from(request.len()).map_err(|_| "too much was asked".to_owned())?;
        within(self.stream.write_all(&[&length.to_be_bytes()[..], &request].concat())).await?;
        let mut length = [0; 4];
        within(self.stream.read_exact(&mut length)).await?;
        let length = usize::try_from(i32::from_be_bytes(length)).ok().filter(|length| (4..=LONGEST).contains(length));
        let mut answer = vec![0; length.ok_or_else(strange)?];
        within(self.stream.read_exact(&mut answer)).await?;
        let rest = answer.split_off(4);
        if answer == self.asked.to_be_bytes() { Ok(rest) } else { Err(strange()) }
    }
}

async fn within<T>(work: impl Future<Output = std::io::Result<T>>) -> Answer<T> {
    match timeout(PATIENCE, work).await {
        Ok(done) => done.map_err(|error| error.to_string()),
        Err(_) => Err(format!("nothing came within {} s", PATIENCE.as_secs())),
    }
}

fn strange() -> String {
    "it does not answer as Kafka does".to_owned()
}

fn put_count(body: &mut Vec<u8>, count: usize) {
    body.extend(i32::try_from(count).unwrap_or(i32::MAX).to_be_bytes());
}

fn put_text(body: &mut Vec<u8>, text: &str) {
    body.extend(i16::try_from(text.len()).unwrap_or(i16::MAX).to_be_bytes());
    body.extend(text.as_bytes());
}

/// Reads an answer, which may be anything.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Answer<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(strange)?;
        self.0 = rest;
        Ok(taken)
    }

    fn short(&mut self) -> Answer<i16> {
        self.take(2)?.try_into().map(i16::from_be_bytes).map_err(|_| strange())
    }

    fn int(&mut self) -> Answer<i32> {
        self.take(4)?.try_into().map(i32::from_be_bytes).map_err(|_| strange())
    }

    fn count(&mut self) -> Answer<usize> {
        // -1 is a list that is not there.
        self.int().map(|count| usize::try_from(count).unwrap_or_default())
    }

    fn text(&mut self) -> Answer<Option<String>> {
        match usize::try_from(self.short()?) {
            Ok(length) => self.take(length).map(|text| Some(String::from_utf8_lossy(text).into_owned())),
            Err(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answered(answer: &'static [u8]) -> Answer<Kafka> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let serve = async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.write_all(answer).await;
            stream
        };
        tokio::join!(Kafka::connect(&addr, true), serve).0
    }

    #[tokio::test]
    async fn what_is_no_kafka_is_told() {
        for answer in
            [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b"\0\0\0\x04\0\0\0\x01", b"\0\0\0\x08\0\0\0\x01\x7f\xff\xff\xff", b"\0\0\0\x02ab"]
        {
            assert_eq!(answered(answer).await.err().as_deref(), Some("it does not answer as Kafka does"));
        }
    }

    #[tokio::test]
    async fn a_real_one_tells_its_topics() {
        let Ok(url) = std::env::var("MINOS_TEST_KAFKA_URL") else {
            assert!(std::env::var_os("CI").is_none(), "MINOS_TEST_KAFKA_URL is not there, and CI is set");
            return;
        };
        let mut kafka = Kafka::connect(url.trim_start_matches("kafka://").split(',').next().unwrap(), true).await.unwrap();
        let name = format!("doctor-{}", uuid::Uuid::new_v4());
        let names = [name.clone()];
        assert_eq!(kafka.topics(&names).await.unwrap(), [(name.clone(), Topic::Missing)]);
        assert_eq!(kafka.would_make(&names, 6, 0).await.unwrap(), None);
        assert_eq!(kafka.topics(&names).await.unwrap(), [(name, Topic::Missing)], "it was not made");
        let refused = kafka.would_make(&names, 6, 99).await.unwrap().unwrap();
        assert!(refused.to_lowercase().contains("replication"), "{refused}");
    }
}
