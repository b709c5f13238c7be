//! The completion scripts and the manual page, made from the same tree that parses.

use clap_complete::Shell as CompletionShell;
use clap_mangen::Man;

use super::{Shell, native};

/// The completion script of a shell.
pub(crate) fn completion(shell: Shell) -> Vec<u8> {
    let generator = match shell {
        Shell::Bash => CompletionShell::Bash,
        Shell::Elvish => CompletionShell::Elvish,
        Shell::Fish => CompletionShell::Fish,
        Shell::Powershell => CompletionShell::PowerShell,
        Shell::Zsh => CompletionShell::Zsh,
    };
    let mut script = Vec::new();
    clap_complete::generate(generator, &mut native::command(), "pilotfish", &mut script);
    script
}

/// The manual page in roff: one page, with a section for each subcommand.
pub(crate) fn man_page() -> Vec<u8> {
    let mut command = native::command().disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    // Writing to a vector cannot fail, so the results say nothing.
    let _ = man.render(&mut page);
    for subcommand in command.get_subcommands() {
        describe(subcommand, &mut page);
    }
    page
}

/// Appends synopsis, description, options and examples of a subcommand and of those below it.
fn describe(command: &clap::Command, page: &mut Vec<u8>) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name()).replace('-', " ");
    page.extend_from_slice(format!(".SH \"{}\"\n", name.to_uppercase()).as_bytes());
    let man = Man::new(command.clone());
    let mut sections = Vec::new();
    let _ = man.render_synopsis_section(&mut sections);
    let _ = man.render_description_section(&mut sections);
    if command.get_arguments().next().is_some() {
        let _ = man.render_options_section(&mut sections);
    }
    let _ = man.render_extra_section(&mut sections);
    // Headings of the subcommand's own page become subheadings of this one.
    page.extend_from_slice(String::from_utf8_lossy(&sections).replace(".SH ", ".SS ").as_bytes());
    for subcommand in command.get_subcommands() {
        describe(subcommand, page);
    }
}
