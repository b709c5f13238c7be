//! What a parsed document means, all of it together.

use std::time::Duration;

use pilotfish_supervisor::{HangupMeaning, SignalMeanings, Spec, Start, User1Meaning};

use crate::config::{Config, ReadFile, Surroundings};
use crate::json5::Value;
use crate::mysql::MYSQL_JOB;
use crate::reader::{Field, Object, Place, Reader};
use crate::render::render;
use crate::service::{Context, Draft, address_variable};
use crate::v2::{main_job, program_name};
use crate::vocabulary::Vocabulary;
use crate::{catalog, check, mysql, settings, stop_window, telemetry, templates, v2, v3, when};

/// Reads a document; what is wrong with it is left in the reader, and the config is good only if nothing is.
pub(crate) fn read(
    reader: &mut Reader,
    document: &Value,
    surroundings: &Surroundings,
    read_file: &ReadFile<'_>,
) -> Option<Config> {
    let vocabulary = Vocabulary::of(reader, document, surroundings.command.is_some())?;
    let field = Field { value: document, place: Place { at: document.at, path: String::new() } };
    let document = reader.as_object(&field, vocabulary.section())?;
    let context = Context::new(surroundings, read_file);
    let catalog = catalog::read(reader, &document, &surroundings.env);
    let logging = settings::logging(reader, &document);
    let control = settings::control(reader, &document);
    let stop_timeout = settings::stop_timeout(reader, &document);
    let window = stop_window::window(stop_timeout);
    let reload_timeout = settings::reload_timeout(reader, &document);
    let signals = match vocabulary {
        Vocabulary::V2 => SignalMeanings { hangup: HangupMeaning::Reload, user1: User1Meaning::ToggleMaintenance },
        Vocabulary::V3 => settings::signals(reader, &document),
    };
    let mut translation = match vocabulary {
        Vocabulary::V2 => v2::translate(reader, &context, &document),
        Vocabulary::V3 => {
            v2::Translation::untranslated(v3::jobs(reader, &context, &document, window), v3::watches(reader, &document))
        }
    };
    let templates = templates::read(reader, &context, &document);
    let telemetry = telemetry::read(reader, &context, &document, vocabulary);
    let (telemetry, telemetry_job) = telemetry.unzip();
    let environment = environment(translation.jobs.iter().chain(&telemetry_job));
    let command = command(reader, &document, surroundings, &environment);
    let (server, command) = mysql::command_for(&document, command);
    let templates = translation.add_commands(templates);
    let timing = mysql::Timing {
        start: Start::On(translation.condition()),
        after: None,
        stopping_timeout: (vocabulary == Vocabulary::V3).then_some(window),
    };
    let member = mysql::read(reader, &context, &document, server, stop_timeout, timing);
    let member_name = member.as_ref().map(|_| MYSQL_JOB);
    match vocabulary {
        Vocabulary::V2 => translation.finish(reader, &document, command, member_name),
        Vocabulary::V3 => {
            let main = command.map(|argv| v3_main(&translation.jobs, argv, window, &document.place));
            translation.jobs.extend(main);
            let main = translation.jobs.iter().find(|draft| draft.job.main).map(|draft| draft.job.name.clone());
            translation.hold_changes_back(main.as_deref().or(member_name));
        }
    }
    let mysql = member.map(|(mysql, timing)| {
        let program = &surroundings.program;
        mysql::add(&mut translation.jobs, &document, &mysql, catalog.as_ref(), program, timing);
        mysql
    });
    if vocabulary == Vocabulary::V3 {
        stop_window::limit_hooks(&mut translation.jobs, window);
    }
    translation.jobs.extend(telemetry_job);
    check::all(reader, &translation.jobs, &translation.watches, &templates, telemetry.as_ref());
    let spec = Spec {
        jobs: translation.jobs.into_iter().map(|draft| draft.job).collect(),
        watches: translation.watches.into_iter().map(|(watch, _)| watch).collect(),
        templates: templates.into_iter().map(|draft| draft.template).collect(),
        once: false,
        stop_timeout,
        reload_timeout,
        signals,
    };
    Some(Config { spec, catalog, logging, control, telemetry, mysql, environment })
}

fn environment<'d>(jobs: impl Iterator<Item = &'d Draft>) -> Vec<(String, String)> {
    let advertised = jobs.filter_map(|draft| draft.job.service.as_ref());
    advertised.map(|service| (address_variable(&service.name), service.address.clone())).collect()
}

/// The main application of the command line; its arguments are rendered over the environment and the addresses of the services.
fn command(
    reader: &mut Reader,
    document: &Object<'_>,
    surroundings: &Surroundings,
    environment: &[(String, String)],
) -> Option<Vec<String>> {
    let command = surroundings.command.as_ref().filter(|command| !command.is_empty())?;
    let mut env = surroundings.env.clone();
    env.extend(environment.iter().cloned());
    let mut argv = Vec::with_capacity(command.len());
    for (index, argument) in command.iter().enumerate() {
        match render(argument, &env) {
            Ok(argument) => argv.push(argument),
            Err(error) => {
                let message = format!("argument {index} of the command line: template: {}", error.message);
                reader.problem(&document.place, message);
            }
        }
    }
    Some(argv)
}

/// The command line's application in a v3 document; its name is free there.
fn v3_main(jobs: &[Draft], argv: Vec<String>, window: Duration, place: &Place) -> Draft {
    let program = program_name(&argv).to_string();
    let candidates = std::iter::once(program.clone()).chain((2..).map(|number| format!("{program}-{number}")));
    let free = candidates.into_iter().find(|name| !jobs.iter().any(|draft| draft.job.name == *name));
    let mut draft = main_job(free.expect("the candidates never end"), argv, when::at_startup(), place);
    draft.job.stopping_timeout = Some(window);
    draft
}
