//! Looking at a config: check, show, render, schema.

use std::{fs, io::Write as _};

use anyhow::Context as _;

use crate::{
    command_line::ConfigCommand,
    supervise::{environment, load_location, read, surroundings},
};

/// Carries out one command; what it prints goes to standard output.
///
/// # Errors
/// When the config is wrong or cannot be read, with everything that is wrong with it.
pub(crate) fn run(command: &ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Check { config, json } => {
            let loaded = load_location(config)?;
            let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
            if *json {
                return print(&format!("{}\n", serde_json::json!({ "ok": true, "warnings": warnings })));
            }
            for warning in &warnings {
                let _ = writeln!(std::io::stderr(), "warning: {warning}");
            }
            print("ok\n")
        }
        ConfigCommand::Show(config) => {
            let loaded = load_location(config)?;
            print(&pilotfish_config::show(&loaded.config, &surroundings(&environment(), None).env))
        }
        ConfigCommand::Render { config, out } => {
            let (name, text) = read(config)?;
            let rendered = pilotfish_config::rendered(&text, &name, &surroundings(&environment(), None))
                .map_err(|errors| crate::errors::UsageError(errors.to_string()))?;
            match out {
                None => print(&rendered),
                Some(path) => fs::write(path, rendered).with_context(|| format!("cannot write {}", path.display())),
            }
        }
        ConfigCommand::Schema => print(&pilotfish_config::schema()),
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}
