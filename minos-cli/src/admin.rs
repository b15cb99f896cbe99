//! The operator's API of a service, asked over HTTP.

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use ureq::{
    Agent, Body, RequestBuilder,
    http::{Response, StatusCode},
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why the operator's API could not be asked, or what it says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// Nobody answers.
    #[error(
        "the operator's API at {url} does not answer: {why}; is `admin.addr` set in the service's configuration? `--admin` says where it is"
    )]
    Unreachable { url: String, why: String },
    /// It wants to know who asks.
    #[error("{url} does not know who asks: {why}; `--token` or MINOS_TOKEN says it")]
    NoToken { url: String, why: String },
    /// It says no.
    #[error("{0}")]
    Refused(String),
    /// It answers something else.
    #[error("{url} does not answer as the operator's API does: {why}")]
    Foreign { url: String, why: String },
}

/// The operator's API of one service.
pub(crate) struct Admin {
    url: String,
    /// What goes in the header `Authorization`, if anything does.
    authorization: Option<String>,
    agent: Agent,
}

impl Admin {
    pub(crate) fn new(url: &str, token: Option<&str>) -> Self {
        let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
        let agent = Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build().new_agent();
        let authorization = token.map(str::trim).filter(|token| !token.is_empty()).map(|token| format!("Bearer {token}"));
        Admin { url: url.trim_end_matches('/').to_owned(), authorization, agent }
    }

    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.answer(self.signed(self.agent.get(format!("{}{path}", self.url))).call())
    }

    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.answer(self.signed(self.agent.put(format!("{}{path}", self.url))).send_empty())
    }

    fn signed<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.authorization {
            Some(authorization) => request.header("authorization", authorization),
            None => request,
        }
    }

    pub(crate) fn put_with<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, AdminError> {
        self.answer(self.signed(self.agent.put(format!("{}{path}", self.url))).send_json(body))
    }

    pub(crate) fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, AdminError> {
        self.answer(self.signed(self.agent.delete(format!("{}{path}", self.url))).call())
    }

    /// What is told in another form than JSON.
    pub(crate) fn text(&self, path: &str) -> Result<String, AdminError> {
        self.body(self.signed(self.agent.get(format!("{}{path}", self.url))).call())
    }

    /// Reads a part of what was told.
    pub(crate) fn read<T: DeserializeOwned>(&self, told: Value) -> Result<T, AdminError> {
        serde_json::from_value(told).map_err(|error| AdminError::Foreign { url: self.url.clone(), why: error.to_string() })
    }

    fn answer<T: DeserializeOwned>(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<T, AdminError> {
        let text = self.body(answer)?;
        serde_json::from_str(&text).map_err(|error| AdminError::Foreign { url: self.url.clone(), why: error.to_string() })
    }

    fn body(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<String, AdminError> {
        let url = || self.url.clone();
        let mut answer = answer.map_err(|error| AdminError::Unreachable { url: url(), why: error.to_string() })?;
        let text = answer.body_mut().read_to_string().map_err(|error| AdminError::Unreachable { url: url(), why: error.to_string() })?;
        if !answer.status().is_success() {
            let problem: Value = serde_json::from_str(&text).unwrap_or_default();
            let detail = problem["detail"].as_str().or(problem["title"].as_str());
            if answer.status() == StatusCode::UNAUTHORIZED {
                let why = detail.unwrap_or_default().to_owned();
                return Err(AdminError::NoToken { url: url(), why });
            }
            return Err(AdminError::Refused(detail.map_or_else(|| format!("it answers {}", answer.status()), str::to_owned)));
        }
        Ok(text)
    }
}

/// A part of a path, in which nothing means anything else.
pub(crate) fn part(text: &str) -> String {
    text.bytes()
        .map(
            |byte| {
                if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_paths_are_only_that() {
        assert_eq!(part("Balance"), "Balance");
        assert_eq!(part("a/b ü?"), "a%2Fb%20%C3%BC%3F");
    }

    /// A server that answers one request, and what it was asked.
    fn server(answer: &'static str) -> (String, std::thread::JoinHandle<String>) {
        use std::io::{Read, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap().to_string();
        let asked = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            // What is left of the request is taken, or the other side would hear of that instead.
            let _ = stream.shutdown(std::net::Shutdown::Write).and_then(|()| stream.read_to_end(&mut Vec::new()));
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (addr, asked)
    }

    #[test]
    fn a_token_goes_with_each_request() {
        let asks: [fn(&Admin); 5] = [
            |admin| drop(admin.get::<Value>("/projections").unwrap()),
            |admin| drop(admin.put::<Value>("/projections/x/rebuild").unwrap()),
            |admin| drop(admin.put_with::<Value>("/sagas/1/steps/a/skip", &Value::Null).unwrap()),
            |admin| drop(admin.delete::<Value>("/dead-letters/1").unwrap()),
            |admin| drop(admin.text("/sagas/1/diagram").unwrap()),
        ];
        for ask in asks {
            for (token, sent) in [(Some(" a.b.c\n"), true), (Some(""), false), (None, false)] {
                let (addr, asked) = server("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
                ask(&Admin::new(&addr, token));
                let asked = asked.join().unwrap().to_ascii_lowercase();
                assert_eq!(asked.contains("authorization: bearer a.b.c\r\n"), sent, "{asked}");
                assert_eq!(asked.contains("authorization"), sent, "{asked}");
            }
        }
    }

    #[test]
    fn who_has_no_token_is_told_how_to_give_one() {
        let (addr, _asked) = server("HTTP/1.1 401 Unauthorized\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{\"detail\":\"no\"}");
        let error = Admin::new(&addr, None).get::<Value>("/projections").unwrap_err().to_string();
        assert_eq!(error, format!("http://{addr} does not know who asks: no; `--token` or MINOS_TOKEN says it"));
    }

    #[test]
    fn who_is_not_there_is_told_with_what_to_do() {
        let error = Admin::new("127.0.0.1:1", None).get::<Value>("/projections").unwrap_err().to_string();
        assert!(
            error.starts_with("the operator's API at http://127.0.0.1:1 does not answer: ") && error.contains("`admin.addr`"),
            "{error}"
        );
    }
}
