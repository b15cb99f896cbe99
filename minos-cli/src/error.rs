//! Why a command has failed: one sentence for whoever has typed it.

use crate::{admin::AdminError, contract::ContractError, discovery::SettingsError, gateway::GatewayError};

/// Why a command has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The operator's API of a service was asked in vain.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A contract could not be exported or compared.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// The configuration of the registry.
    #[error(transparent)]
    RegistrySettings(#[from] SettingsError),
    /// The registry.
    #[error("the registry has ended: {0}")]
    Discovery(minos::Error),
    /// The gateway does not start.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// What is wrong, and what to do.
    #[error("{0}")]
    Said(String),
    /// Everything was told already; only the status is left.
    #[error("")]
    Told,
    /// Nobody reads on: what was asked for was told as far as somebody wanted to know.
    #[error("")]
    ReadEnough,
}

impl CliError {
    pub(crate) fn said(what: impl Into<String>) -> Self {
        CliError::Said(what.into())
    }
}

/// What a command comes to.
pub(crate) type CliResult<T = ()> = Result<T, CliError>;
