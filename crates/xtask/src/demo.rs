//! `cargo xtask demo`: examples/workshop under pilotfish, shown and checked step by step. Every step waits for what it claims, so
//! a demo that reaches its end is also a proof.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::stage::{Answer, Interrupt, Narrator, get, get_json};
use crate::workshop::{Catalog, REQUESTS, SERVICES, Vocabulary, Workshop};
use crate::{setup, workspace};

/// Instances of each service at the begin and at the end of the show, and in its middle.
const FEW: usize = 2;
const MANY: usize = 5;

/// The lines of `/metrics` that are shown: nginx's two sensors (the talk's slide 58), and some of what pilotfish knows by itself.
const SHOWN_METRICS: [&str; 8] = [
    "tb_nginx_",
    "pilotfish_job_healthy{",
    "pilotfish_job_restarts_total{",
    "pilotfish_service_registered{",
    "pilotfish_watch_instances{",
    "pilotfish_template_changes_total{",
    "pilotfish_catalog_requests_total{",
    "process_resident_memory_bytes ",
];

/// What `cargo xtask demo` was asked for.
pub(crate) struct Options {
    pub(crate) afterwards: Afterwards,
    /// The talk's configs instead of ours.
    pub(crate) v2: bool,
    /// A real Consul instead of our catalog.
    pub(crate) consul: bool,
    /// Show this instead of building a binary.
    pub(crate) pilotfish: Option<PathBuf>,
}

/// What happens after the show.
pub(crate) enum Afterwards {
    Stop,
    Keep,
    KeepFor(Duration),
}

impl Afterwards {
    pub(crate) fn new(keep: bool, seconds: Option<u64>) -> Self {
        match (keep, seconds) {
            (true, _) => Afterwards::Keep,
            (false, Some(seconds)) => Afterwards::KeepFor(Duration::from_secs(seconds)),
            (false, None) => Afterwards::Stop,
        }
    }
}

/// Shows everything, then takes everything down, also when a step fails or somebody presses Ctrl-C.
pub(crate) fn demo(options: Options) -> Result<()> {
    let (consul, promtool) = setup::demo(options.consul)?;
    let pilotfish = binary(options.pilotfish)?;
    let interrupt = Interrupt::install()?;
    let narrator = Narrator::new();
    let (catalog, named) = match consul {
        Some(consul) => (Catalog::Consul(consul), "A real Consul"),
        None => (Catalog::Embedded, "Our own catalog, nothing else to install"),
    };
    let vocabulary = if options.v2 { Vocabulary::V2 } else { Vocabulary::V3 };
    let workshop = Workshop::open("demo", &interrupt, pilotfish, &catalog, vocabulary)?;
    narrator.scene(format!("{named}: http://{}", workshop.catalog));
    narrator.seen("it has a leader and knows nobody");
    let mut show = Show { narrator, promtool, killed: String::new(), workshop };
    if let Err(error) = show.play() {
        if !interrupt.is_seen() {
            show.workshop.tell_logs();
        }
        return Err(error);
    }
    show.linger(&interrupt, &options.afterwards);
    show.close()
}

/// The binary that is shown: the one that was named, or one that is built now.
pub(crate) fn binary(named: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(path) = named {
        return path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
    }
    workspace::run(workspace::cargo().args(["build", "--package", "pilotfish"]))?;
    Ok(workspace::target_dir().join("debug/pilotfish"))
}

/// The demo while it runs.
struct Show<'a> {
    narrator: Narrator,
    /// If there is one, it reads the metrics, too.
    promtool: Option<PathBuf>,
    /// Who was killed, and so could not deregister.
    killed: String,
    workshop: Workshop<'a>,
}

impl Show<'_> {
    fn play(&mut self) -> Result<()> {
        self.narrator.scene(format!(
            "{FEW} instances of sales and of customers, and nginx: each as PID 1 under pilotfish, told only where the catalog is"
        ));
        self.workshop.start_nginx()?;
        self.scale(FEW)?;
        self.page()?;

        self.narrator
            .scene("They found each other: customers through nginx shows rows of sales, and the other way round");
        for (service, peer) in [("customers", "sales"), ("sales", "customers")] {
            let body = self.workshop.expect_merged(service, peer)?;
            let (theirs, by) = (&body[peer]["rows"], &body[peer]["instance"]);
            self.narrator.seen(format!("GET /{service}/: {} shows {theirs} of {by}", body["instance"]));
        }

        self.narrator.scene(format!("{MANY} of each"));
        self.scale(MANY)?;

        let victim = self.workshop.names("sales").swap_remove(0);
        self.narrator.scene(format!("{victim} is killed, supervisor and all, as when its host is lost"));
        self.workshop.kill(&victim)?;
        self.killed = victim;
        self.settle()?;

        self.narrator.scene(format!(
            "Back to {FEW} of each: SIGTERM to the others, which deregister, finish what is asked, and end"
        ));
        self.scale(FEW)?;

        self.show_metrics()?;
        let Workshop { nginx, telemetry, catalog, .. } = &self.workshop;
        self.narrator.note(format!("try:  curl http://{nginx}/sales/   curl http://{telemetry}/metrics"));
        self.narrator.note(format!("      http://{catalog}/ui/   logs in {}", self.workshop.directory().display()));
        Ok(())
    }

    /// So many of each service, and nginx uses them.
    fn scale(&mut self, count: usize) -> Result<()> {
        for service in SERVICES {
            self.workshop.scale(service, count)?;
        }
        self.settle()
    }

    /// What runs, the catalog, nginx.conf and nginx agree.
    fn settle(&mut self) -> Result<()> {
        let counts = self.workshop.expect_upstreams()?;
        let counts: Vec<_> = counts.iter().map(|(service, count)| format!("{count} of {service}")).collect();
        self.narrator.seen(format!("nginx.conf names what is healthy in the catalog: {}", counts.join(", ")));
        for service in SERVICES {
            let names = self.workshop.expect_answers(service)?;
            self.narrator.seen(format!("{REQUESTS} of {REQUESTS} requests answered by {}", names.join(", ")));
        }
        Ok(())
    }

    /// The page for a person.
    fn page(&mut self) -> Result<()> {
        let nginx = self.workshop.nginx;
        self.workshop.until("the page", || {
            let Answer { status, body } = get(nginx, "/")?;
            ensure!(status == 200 && body.contains("<title>The workshop</title>"), "/ answered {status}: {body}");
            Ok(())
        })?;
        self.narrator.seen(format!("the page, to watch all of this: http://{nginx}/"));
        Ok(())
    }

    fn show_metrics(&mut self) -> Result<()> {
        let telemetry = self.workshop.telemetry;
        self.narrator.scene(format!("What pilotfish measures of nginx, at http://{telemetry}/metrics"));
        let text = self.workshop.until("nginx's sensors to have values", || {
            let Answer { status, body } = get(telemetry, "/metrics")?;
            ensure!(status == 200, "/metrics answered {status}");
            let sampled = |name: &str| body.lines().any(|line| line.starts_with(name));
            ensure!(
                sampled("tb_nginx_connections_load") && sampled("tb_nginx_connections_unhandled_total"),
                "no value yet"
            );
            Ok(body)
        })?;
        let shown = |line: &&str| SHOWN_METRICS.iter().any(|name| line.starts_with(name));
        self.narrator.note(text.lines().filter(shown).collect::<Vec<_>>().join("\n"));
        if let Some(promtool) = &self.promtool {
            check_metrics(promtool, &self.workshop.directory().join("metrics.txt"), &text)?;
            self.narrator.seen(format!("promtool can read all {} lines", text.lines().count()));
        }
        Ok(())
    }

    /// Leaves everything as it is for as long as was asked for. Being interrupted is a good end here.
    fn linger(&self, interrupt: &Interrupt, afterwards: &Afterwards) {
        match afterwards {
            Afterwards::Stop => {}
            Afterwards::Keep => {
                self.narrator.scene("Everything keeps running; Ctrl-C ends it");
                interrupt.wait();
            }
            Afterwards::KeepFor(time) => {
                let seconds = time.as_secs();
                self.narrator.scene(format!("Everything keeps running for {seconds} s; Ctrl-C ends it earlier"));
                let _ = interrupt.pause(*time);
            }
        }
    }

    /// Stops what runs, as `docker stop` would, and checks that nobody is left in the catalog.
    fn close(mut self) -> Result<()> {
        self.narrator.scene("SIGTERM to all: each deregisters, stops its application, and exits");
        let ended: Vec<_> =
            self.workshop.stop_all()?.into_iter().map(|(name, status)| format!("{name} ({status})")).collect();
        self.narrator.seen(format!("gone: {}", ended.join(", ")));
        // What was killed could not deregister; whoever stopped in order must be gone from the catalog at once.
        let services = get_json(self.workshop.catalog, "/v1/agent/services")?;
        let ids = services.as_object().into_iter().flat_map(|services| services.keys());
        let left: Vec<_> = ids.filter(|id| !id.ends_with(&format!("-{}", self.killed))).collect();
        ensure!(left.is_empty(), "still registered after they stopped: {left:?}");
        self.narrator.seen("nobody who stopped in order is left in the catalog");
        Ok(())
    }
}

/// Prometheus's own tool reads the metrics.
fn check_metrics(promtool: &Path, file: &Path, text: &str) -> Result<()> {
    std::fs::write(file, text).context("cannot write the metrics")?;
    let input = std::fs::File::open(file).context("cannot read the metrics")?;
    let checked =
        Command::new(promtool).args(["check", "metrics"]).stdin(input).output().context("cannot run promtool")?;
    // Code 3 is a matter of style: the talk's names are not quite what promtool likes.
    if !matches!(checked.status.code(), Some(0 | 3)) {
        bail!("promtool refuses the metrics: {}", String::from_utf8_lossy(&checked.stderr));
    }
    Ok(())
}
