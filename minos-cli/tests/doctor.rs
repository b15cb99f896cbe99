//! What `minos doctor` finds, and that it tells no passwords.

mod common;

use common::Place;
use serde_json::Value;
use std::fs;

/// A project with one service, which listens on any port.
fn project() -> Place {
    let place = Place::new();
    place.told(&["new", "project", "shop", "--minos-path", common::MINOS]);
    place.told(&["new", "service", "order"]);
    configure(&place, |text| text);
    place
}

/// Writes the configuration of the service, with something else in it.
fn configure(place: &Place, change: impl FnOnce(String) -> String) {
    let path = place.path().join("shop/services/order/minos.toml");
    let text = "[service]\nname = \"order\"\n[http]\naddr = \"127.0.0.1:0\"\n[admin]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"sqlite://order.db\"\n";
    fs::write(path, change(text.to_owned())).unwrap();
}

/// Whether it went well, and everything that was told.
fn doctor(place: &Place, environment: &[(&str, &str)]) -> (bool, Vec<Value>, String) {
    let output = place.minos(&["doctor", "--json"]).envs(environment.iter().copied()).output().unwrap();
    let table = place.minos(&["doctor"]).envs(environment.iter().copied()).output().unwrap();
    assert_eq!(table.status.success(), output.status.success());
    let all =
        [&output.stdout, &output.stderr, &table.stdout, &table.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap(), all)
}

fn found<'a>(findings: &'a [Value], check: &str) -> &'a Value {
    findings.iter().find(|finding| finding["check"] == check).unwrap_or_else(|| panic!("nobody looked at {check}: {findings:?}"))
}

#[test]
fn a_service_that_is_well_is_told_so() {
    let place = project();
    let (is_well, findings, all) = doctor(&place, &[]);
    assert!(is_well, "{all}");
    for check in ["configuration", "store", "broker", "http", "admin", "rust", "C compiler"] {
        assert_eq!(found(&findings, check)["level"], "ok", "{all}");
    }
    assert_eq!(found(&findings, "auth")["level"], "warn", "{all}");
    assert!(all.contains("what to do:\n"), "{all}");
    assert_eq!(place.at("shop/services/order").names(), ["Cargo.toml", "minos.toml", "src"], "it changes nothing");
}

#[test]
fn what_is_wrong_is_told_with_what_to_do_and_without_passwords() {
    let place = project();
    configure(&place, |text| text.replace("[store]", "[stroe]"));
    let (is_well, findings, all) = doctor(&place, &[]);
    let wrong = found(&findings, "configuration");
    assert!(!is_well && wrong["level"] == "fail", "{all}");
    assert!(wrong["found"].as_str().unwrap().contains("minos.toml:7: unknown field `stroe`"), "{all}");

    configure(&place, |text| text.replace("url = \"sqlite://order.db\"", "url = \"postgres://ada:hushhush@127.0.0.1:1/order"));
    let (is_well, _, all) = doctor(&place, &[]);
    assert!(!is_well && !all.contains("hushhush"), "{all}");

    configure(&place, |text| text);
    let environment = [
        ("MINOS_STORE_URL", "postgres://ada:hushhush@127.0.0.1:1/order"),
        ("MINOS_STORE_MASTER_KEY", "hushhush"),
        ("MINOS_BROKER_URL", "kafka://127.0.0.1:1"),
        ("MINOS_BROKER_OPTIONS_SASL_PASSWORD", "hushhush"),
    ];
    let (is_well, findings, all) = doctor(&place, &environment);
    assert!(!is_well && !all.contains("hushhush"), "{all}");
    assert!(found(&findings, "store")["found"].as_str().unwrap().contains("127.0.0.1:1"), "{all}");
    assert!(found(&findings, "broker")["found"].as_str().unwrap().starts_with("127.0.0.1:1 does not answer"), "{all}");
}

#[test]
fn keys_of_tokens_and_the_registry_are_looked_for() {
    let place = project();
    let registry = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", registry.local_addr().unwrap());
    let with = |auth: &str, url: &str| configure(&place, |text| format!("{text}[auth]\n{auth}\n[discovery]\nurl = \"{url}\"\n"));

    with("secret = \"hushhush-hushhush-hushhush-hushhush\"\nissuer = \"https://login.example\"\naudience = \"order\"", &url);
    let (is_well, findings, all) = doctor(&place, &[]);
    assert!(is_well && !all.contains("hushhush"), "{all}");
    for (check, what) in [("configuration", "minos.toml"), ("auth", "a secret"), ("discovery", "takes connections")] {
        let finding = found(&findings, check);
        assert!(finding["level"] == "ok" && finding["found"].as_str().unwrap().ends_with(what), "{all}");
    }

    with("public_key = \"key.pem\"\nissuer = \"https://login.example\"\naudience = \"order\"", "http://127.0.0.1:1");
    let (is_well, findings, all) = doctor(&place, &[]);
    assert!(!is_well, "{all}");
    for (check, what) in [("auth", "key.pem cannot be read"), ("discovery", "http://127.0.0.1:1 does not answer")] {
        let finding = found(&findings, check);
        assert!(finding["level"] == "fail" && finding["found"].as_str().unwrap().starts_with(what), "{all}");
    }

    with("secrets = \"hushhush\"", &url);
    let (is_well, findings, all) = doctor(&place, &[]);
    assert!(!is_well && !all.contains("hushhush"), "{all}");
    assert!(found(&findings, "configuration")["found"].as_str().unwrap().contains("unknown field `secrets`"), "{all}");
}
