//! Has a program export a document: it is built and run by `cargo`, with the word for it in its environment.

use super::{ContractError, Format};
use clap::{Args, ValueEnum};
use std::{fs, path::PathBuf, process::Command};

/// Which program it is.
#[derive(Debug, Default, Args)]
pub(crate) struct Program {
    /// The package, as `cargo run` takes it.
    #[arg(long, short)]
    package: Option<String>,
    /// The program of it.
    #[arg(long)]
    bin: Option<String>,
    /// An example in place of a program.
    #[arg(long, conflicts_with = "bin")]
    example: Option<String>,
    /// Features to build it with.
    #[arg(long)]
    features: Option<String>,
    /// The directory of the package; without, it is this one.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Which service, if the program has several.
    #[arg(long)]
    service: Option<String>,
}

impl Program {
    /// The document.
    pub(crate) fn export(&self, format: Format) -> Result<String, ContractError> {
        // Not by its standard output, to which the program may write, too.
        let file = std::env::temp_dir().join(format!("minos-contract-{}", std::process::id()));
        let done = self.run(format, &file);
        let text = fs::read_to_string(&file);
        let _ = fs::remove_file(&file);
        done?;
        text.map_err(|_| ContractError::Nothing)
    }

    fn run(&self, format: Format, file: &std::path::Path) -> Result<(), ContractError> {
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["run", "--quiet"]);
        for (name, value) in
            [("--package", &self.package), ("--bin", &self.bin), ("--example", &self.example), ("--features", &self.features)]
        {
            if let Some(value) = value {
                cargo.args([name, value]);
            }
        }
        if let Some(directory) = &self.directory {
            cargo.current_dir(directory);
        }
        let word = format.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        cargo.env("MINOS_EXPORT", word).env("MINOS_EXPORT_FILE", file);
        if let Some(service) = &self.service {
            cargo.env("MINOS_EXPORT_SERVICE", service);
        }
        let status = cargo.status().map_err(ContractError::NoCargo)?;
        if status.success() { Ok(()) } else { Err(ContractError::Failed(status)) }
    }
}
