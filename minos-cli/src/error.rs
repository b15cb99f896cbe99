//! Why a command has failed: one sentence for whoever has typed it.

use crate::admin::AdminError;

/// Why a command has failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The operator's API of a service was asked in vain.
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// What a command comes to.
pub(crate) type CliResult<T = ()> = Result<T, CliError>;
