//! Chromium without a window, as `chromedriver` drives it.

#![allow(dead_code, reason = "not every test needs all of it")]

use crate::common::not_run;
use fantoccini::{Client, ClientBuilder, Locator, elements::Element};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;

/// How long the page may take to show something.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Browser {
    client: Client,
    driver: Child,
    _profile: TempDir,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser itself ends with its session, or with the driver.
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// A browser with nothing in it; none if there is no such program here, which in CI is a failure.
    pub async fn start(test: &str) -> Option<Self> {
        Browser::with(test, &["--window-size=1280,860"]).await
    }

    /// The same, which is told more.
    pub async fn with(test: &str, also: &[&str]) -> Option<Self> {
        let spawned = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = match spawned {
            Ok(driver) => driver,
            Err(error) => {
                assert!(std::env::var_os("CI").is_none(), "CI has to run `{test}`, and there is no `chromedriver`: {error}");
                not_run(&format!("`{test}`, because there is no `chromedriver` ({error}): install Chromium and its driver"));
                return None;
            }
        };
        let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port =
            lines.find_map(|line| line.ok()?.rsplit_once("started successfully on port ")?.1.trim_end_matches('.').parse::<u16>().ok());
        // What else it says is read, so that it is not held up.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let directory = format!("--user-data-dir={}", profile.path().display());
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            &directory,
        ];
        let flags = [&flags[..], also].concat();
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": flags } });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object stands there") };
        let url = format!("http://127.0.0.1:{}", port.expect("the driver says its port"));
        let client = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&url).await.unwrap();
        Some(Browser { client, driver, _profile: profile })
    }

    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }

    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Another page of the same document.
    pub async fn turn_to(&self, hash: &str) {
        self.run(&format!("location.hash = {}; return null", json!(hash))).await;
    }

    pub async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    pub async fn find(&self, css: &str) -> Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(error) => panic!("there is no `{css}` ({error}) in: {}", self.text().await),
        }
    }

    /// Clicks on the first element that there is; the page may be drawn anew meanwhile.
    pub async fn click(&self, css: &str) {
        self.find(css).await;
        let clicked = format!(
            "const found = document.querySelector({}); if (!found || found.disabled) return false; found.click(); return true",
            json!(css)
        );
        self.until(css, &clicked).await;
    }

    pub async fn write(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    /// All that can be read.
    pub async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    pub async fn shows(&self, text: &str) {
        self.until(text, &format!("return document.body.innerText.includes({})", json!(text))).await;
    }

    pub async fn until(&self, what: &str, script: &str) {
        let begun = std::time::Instant::now();
        while self.run(script).await != Value::Bool(true) {
            assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}; there is: {}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Keeps a picture for the docs, if that is wanted.
    pub async fn picture(&self, name: &str) {
        if std::env::var_os("MINOS_SCREENSHOTS").is_some() {
            let crate_ = Path::new(env!("CARGO_MANIFEST_DIR"));
            let root = if crate_.ends_with("minos-cli") { crate_.join("..") } else { crate_.to_owned() };
            let file = root.join("docs/images").join(format!("console-{name}.png"));
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, self.client.screenshot().await.unwrap()).unwrap();
        }
    }
}
