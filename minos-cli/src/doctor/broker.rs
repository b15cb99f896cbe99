//! Whether the broker can be reached, and whether the topics are there, or can be made.

use super::{
    Finding,
    kafka::{Kafka, Topic},
};
use minos_runtime::{
    Config,
    message::{dead_letter_topic, reply_topic},
};
use std::{fs, path::Path};

const CHECK: &str = "broker";
const TOPICS: &str = "topics";

pub(super) async fn look(config: &Config, directory: &Path, services: usize) -> Vec<Finding> {
    let url = &config.broker.url;
    if url == "local:" {
        let found = "local:, between the services of one process";
        return vec![match services {
            0 | 1 => Finding::ok(CHECK, found),
            _ => Finding::warn(
                CHECK,
                found,
                "as processes of their own, as on servers, services do not reach each other by it: give all of them the same `kafka://…` there",
            ),
        }];
    }
    let Some(hosts) = url.strip_prefix("kafka://") else {
        return vec![Finding::fail(CHECK, "there is no such broker", "`broker.url` is `local:` or `kafka://host:9092,…`")];
    };
    let is_plain = config.broker.options.get("security.protocol").is_none_or(|protocol| protocol.eq_ignore_ascii_case("plaintext"));
    let mut findings = Vec::new();
    let mut reached = None;
    for host in hosts.split(',').filter(|host| !host.is_empty()) {
        match Kafka::connect(host, is_plain).await {
            Ok(kafka) if reached.is_none() => reached = Some((host, kafka)),
            Ok(_) => {}
            Err(why) => {
                findings.push(Finding::fail(
                    CHECK,
                    format!("{host} does not answer: {why}"),
                    "start the broker, or name the right one with `broker.url`",
                ));
            }
        }
    }
    let Some((host, mut kafka)) = reached else { return findings };
    if !is_plain {
        findings.push(Finding::ok(
            CHECK,
            format!("kafka at {host} takes connections; what is said on them is encrypted, and was not looked at"),
        ));
        return findings;
    }
    let name = &config.service.name;
    let mut names = vec![reply_topic(name), dead_letter_topic(name)];
    names.extend(aggregates(&directory.join("src")));
    match kafka.topics(&names).await {
        Err(why) => {
            findings.push(Finding::fail(CHECK, format!("kafka at {host} does not tell its topics: {why}"), "is it Kafka, and not too old?"))
        }
        Ok(topics) => {
            findings.push(Finding::ok(CHECK, format!("kafka at {host}")));
            findings.push(told(&topics, &mut kafka, config).await);
        }
    }
    findings
}

/// How the topics stand. What is missing is asked for, without being made.
async fn told(topics: &[(String, Topic)], kafka: &mut Kafka, config: &Config) -> Finding {
    let of = |wanted: Topic| topics.iter().filter(|(_, topic)| *topic == wanted).map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let (there, missing, refused) = (of(Topic::There), of(Topic::Missing), of(Topic::Refused));
    if !refused.is_empty() {
        return Finding::fail(
            TOPICS,
            format!("may not be used: {}", refused.join(", ")),
            "give the service's user the right to describe, read and write them",
        );
    }
    if missing.is_empty() {
        return Finding::ok(TOPICS, format!("{} are there", there.join(", ")));
    }
    match kafka.would_make(&missing, config.broker.partitions, config.broker.replication).await {
        Ok(None) => Finding::ok(TOPICS, format!("there: {}; made at the first start: {}", named(&there), named(&missing))),
        Ok(Some(why)) => Finding::fail(
            TOPICS,
            format!("not there, and cannot be made: {} ({why})", named(&missing)),
            "make them by hand, or let the service make them: the right to create, and `broker.partitions` and `broker.replication` that the broker takes",
        ),
        Err(why) => Finding::warn(
            TOPICS,
            format!("not there: {} ({why})", named(&missing)),
            "they are made at the first start, if the broker lets the service",
        ),
    }
}

fn named(topics: &[String]) -> String {
    if topics.is_empty() { "none".to_owned() } else { topics.join(", ") }
}

/// The names of the service's aggregates, as its sources say them: each has a topic.
fn aggregates(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut all: Vec<String> =
        entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .flat_map(|path| {
                if path.is_dir() { aggregates(&path) } else { fs::read_to_string(&path).map(|text| declared(&text)).unwrap_or_default() }
            })
            .collect();
    all.sort();
    all.dedup();
    all
}

fn declared(text: &str) -> Vec<String> {
    let behind = |part: &str| -> Option<String> {
        let (_, rest) = part.split_once("struct ")?;
        // Another item stands between: then it was on an `impl`.
        let is_impl = part.split_once("struct ").is_some_and(|(before, _)| before.contains("impl ") || before.contains("fn "));
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (!is_impl && !name.is_empty()).then_some(name)
    };
    text.split("#[aggregate").skip(1).filter(|part| part.starts_with([']', '('])).filter_map(behind).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::finding::Level, *};

    #[test]
    fn aggregates_are_found_in_sources() {
        let text = "#[aggregate]\npub struct Order {\n}\n#[aggregate(snapshot(every = 3))]\n#[derive(Debug)]\nstruct Line {}\n\
                    #[aggregate]\nimpl Order {\n fn x() {} }\n#[aggregate_ref]\npub struct Other {}\nstruct Not {}";
        assert_eq!(declared(text), ["Order", "Line"]);
    }

    #[tokio::test]
    async fn a_broker_that_is_not_there_is_told() {
        let config = Config::parse("[service]\nname = \"order\"\n[broker]\nurl = \"kafka://127.0.0.1:1\"").unwrap();
        let findings = look(&config, Path::new("/nowhere"), 1).await;
        let (level, found) = findings[0].told();
        assert!(level == Level::Fail && found.starts_with("127.0.0.1:1 does not answer: "), "{found}");
    }
}
