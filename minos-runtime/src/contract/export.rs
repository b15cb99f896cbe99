//! The documents: to be served, and to be exported without running the service.

use super::{Parts, asyncapi, collect, model::Contract, openapi};
use crate::{
    error::{Error, Result},
    handler::HandlerDef,
    saga::SagaDef,
};
use bytes::Bytes;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::{self, Write},
    str::FromStr,
    sync::OnceLock,
};

/// Which document is to be exported in place of running.
const EXPORT: &str = "MINOS_EXPORT";
/// Of which service, if the process has several.
const SERVICE: &str = "MINOS_EXPORT_SERVICE";
/// Into which file; without, it is printed.
const FILE: &str = "MINOS_EXPORT_FILE";

/// A document about a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenAPI 3.1.
    OpenApi,
    /// AsyncAPI 3.
    AsyncApi,
    /// `contract.json`.
    Contract,
}

impl Format {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Format::OpenApi => "openapi",
            Format::AsyncApi => "asyncapi",
            Format::Contract => "contract",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Format::OpenApi, Format::AsyncApi, Format::Contract]
            .into_iter()
            .find(|format| format.word() == word)
            .ok_or_else(|| format!("there is no document `{word}`; there are `openapi`, `asyncapi` and `contract`"))
    }
}

/// The documents of one service. They are made when somebody asks for them.
pub(crate) struct Documents {
    service: String,
    /// Whether handlers are closed that are not `public`.
    is_closed: bool,
    handlers: Vec<&'static HandlerDef>,
    sagas: Vec<&'static SagaDef>,
    /// The modules of which aggregates and messages are the service's.
    modules: BTreeSet<&'static str>,
    contract: OnceLock<Contract>,
    openapi: OnceLock<Bytes>,
    asyncapi: OnceLock<Bytes>,
}

impl Documents {
    pub(crate) fn new(
        service: &str,
        is_closed: bool,
        handlers: Vec<&'static HandlerDef>,
        sagas: Vec<&'static SagaDef>,
        modules: BTreeSet<&'static str>,
    ) -> Self {
        let (contract, openapi, asyncapi) = (OnceLock::new(), OnceLock::new(), OnceLock::new());
        Documents { service: service.to_owned(), is_closed, handlers, sagas, modules, contract, openapi, asyncapi }
    }

    fn contract(&self) -> &Contract {
        self.contract.get_or_init(|| {
            let owns = |module: &str| self.modules.contains(module);
            collect::contract(&Parts {
                service: &self.service,
                is_closed: self.is_closed,
                handlers: &self.handlers,
                sagas: &self.sagas,
                owns: &owns,
            })
        })
    }

    /// As JSON, to be served.
    pub(crate) fn json(&self, format: Format) -> Bytes {
        let kept = match format {
            Format::OpenApi => &self.openapi,
            Format::AsyncApi => &self.asyncapi,
            Format::Contract => return self.text(format).into(),
        };
        kept.get_or_init(|| self.text(format).into()).clone()
    }

    /// As text with a line for each value, which ends with a newline.
    pub(crate) fn text(&self, format: Format) -> String {
        let contract = self.contract();
        let document = match format {
            Format::OpenApi => openapi::document(contract),
            Format::AsyncApi => asyncapi::document(contract),
            // Maps with strings for keys: there is nothing that JSON cannot say.
            Format::Contract => serde_json::to_value(contract).unwrap_or_default(),
        };
        format!("{:#}\n", sorted(document))
    }
}

/// By names, also in a program whose `serde_json` keeps another order.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<String, Value> = fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(all) => all.into_iter().map(sorted).collect(),
        other => other,
    }
}

/// Which document is to be exported in place of running, as the environment says.
///
/// # Errors
/// If there is no such document.
pub(crate) fn wanted() -> Result<Option<Format>> {
    let Some(word) = std::env::var_os(EXPORT).filter(|word| !word.is_empty()) else { return Ok(None) };
    let format = word.to_string_lossy().parse().map_err(|error| Error::invalid(format!("`{EXPORT}`: {error}")))?;
    Ok(Some(format))
}

/// Exports it, and tells on standard error what it does not describe.
///
/// # Errors
/// If it is not said which service is meant, or the file cannot be written.
pub(crate) fn export(format: Format, all: &[Documents]) -> Result<()> {
    let wanted = std::env::var(SERVICE).ok().filter(|name| !name.is_empty());
    let names = || all.iter().map(|documents| format!("`{}`", documents.service)).collect::<Vec<_>>().join(", ");
    let documents = match (&wanted, all) {
        (None, [one]) => one,
        (None, _) => {
            return Err(Error::invalid(format!("this process has several services: say which with `{SERVICE}`; there are {}", names())));
        }
        (Some(name), _) => all
            .iter()
            .find(|documents| documents.service == *name)
            .ok_or_else(|| Error::invalid(format!("`{SERVICE}`: there is no service `{name}`; there are {}", names())))?,
    };
    let text = documents.text(format);
    for hidden in &documents.contract().hidden {
        eprintln!("note: {hidden}");
    }
    match std::env::var_os(FILE).filter(|path| !path.is_empty()) {
        Some(path) => {
            fs::write(&path, text).map_err(|error| Error::from(error).context(format!("{} cannot be written", path.to_string_lossy())))
        }
        None => io::stdout().write_all(text.as_bytes()).map_err(Error::from),
    }
}
