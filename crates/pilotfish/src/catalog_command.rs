//! `pilotfish catalog`: the embedded catalog as a program of its own.

use std::io::Write as _;

use anyhow::Context as _;
use pilotfish_catalog::{Secret, Server, Settings};
use pilotfish_process::{Happening, Processes, hostname, raise_descriptor_limit};

use crate::{command_line::CatalogCommand, errors::UsageError};

/// Serves until a signal asks for the end.
///
/// # Errors
/// Whatever keeps it from serving.
pub(crate) fn run(command: &CatalogCommand) -> anyhow::Result<()> {
    let settings = settings(command)?;
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let mut processes = Processes::new()?;
    let server = Server::bind(settings).await.map_err(|error| match error {
        error @ pilotfish_catalog::Error::TokenNeeded(_) => anyhow::Error::new(UsageError(error.to_string())),
        error @ (pilotfish_catalog::Error::Listen { .. }
        | pilotfish_catalog::Error::Dns { .. }
        | pilotfish_catalog::Error::Data(_)) => error.into(),
    })?;
    if let Some(recovered) = server.recovered() {
        notice(&recovered.to_string());
    }
    if let Some(address) = server.dns_address() {
        notice(&format!("the catalog answers DNS on {address}"));
    }
    // Whoever started us may wait for this line.
    notice(&format!("the catalog listens on http://{}", server.address()));
    let ended = async {
        loop {
            if let Happening::Signal(libc::SIGTERM | libc::SIGINT) = processes.next().await {
                return;
            }
        }
    };
    tokio::select! {
        () = server.run() => {}
        () = ended => {}
    }
    Ok(())
}

/// Says something; whoever started us may have closed the pipe.
fn notice(text: &str) {
    let _ = writeln!(std::io::stderr(), "pilotfish: {text}");
}

fn settings(command: &CatalogCommand) -> anyhow::Result<Settings> {
    let token = command.token_file.as_ref().map(|path| {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read --token-file {}", path.display()))?;
        match text.trim() {
            "" => Err(UsageError(format!("--token-file {} is empty; write a token into it", path.display())).into()),
            text => anyhow::Ok(Secret::new(text)),
        }
    });
    Ok(Settings {
        token: token.transpose()?,
        datacenter: command.datacenter.clone(),
        pretty: command.pretty,
        data: command.data.clone(),
        dns: command.dns,
        notice,
        ..Settings::new(command.listen, command.node.clone().unwrap_or_else(hostname))
    })
}
