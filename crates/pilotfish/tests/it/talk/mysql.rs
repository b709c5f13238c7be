//! Slides 59 to 104: MySQL, whose logic lives in `manage.py`.

use super::{ask, wait_for_service, world};
use crate::stage::{End, Pilot, Signal};

/// Slides 70 to 75, 96 and 99.
const SLIDE_70: &str = r#"{ "consul": "{{ .CONSUL }}:8500", "preStart": "python /usr/local/bin/manage.py",

    "services": [ { "name": "mysql", "port": 3306, "health": "python /usr/local/bin/manage.py health", "poll": 5, "ttl": 25 } ], "backends": [ { "name": "mysql-primary", "poll": 10, "onChange": "python /usr/local/bin/manage.py on_change" } ] }"#;

/// Slide 97, with its typographic quote.
const SLIDE_97: &str = r#"{ "consul": "{{ .CONSUL }}:8500", "preStart": "python /usr/local/bin/manage.py",

    "services": [ { "name": “mysql-primary", "port": 3306, "health": "python /usr/local/bin/manage.py health", "poll": 5, "ttl": 25 } ], "backends": [ { "name": "mysql-primary", "poll": 10, "onChange": "python /usr/local/bin/manage.py on_change" } ] }"#;

/// Stands in for manage.py, which `python` runs: notes what it was asked for.
const MANAGE: &str = "echo \"${1:-pre_start}\" >> @DIR@/asked";

/// Stands in for mysqld.
const MYSQLD: &str = "echo \"mysqld $*\" >> @DIR@/asked; trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn mysql(pre_start: &str) -> Pilot {
    let mut stage = world(SLIDE_70);
    stage
        .script_at("/usr/local/bin/manage.py", &format!("test \"$1\" || {{ {pre_start}; }}\n{MANAGE}"))
        .script("python", "exec sh \"$@\"")
        .script("mysqld", MYSQLD)
        .variable("CONSUL", "consul")
        .arguments(&["mysqld", "--console", "--log-bin=mysql-bin"])
        .start()
}

fn asked(pilot: &Pilot) -> Vec<String> {
    pilot.read("asked").lines().map(str::to_owned).collect()
}

#[test]
fn slides_70_to_74_config_runs_and_slide_97_is_reloaded_on_sighup() {
    let pilot = mysql("true");
    wait_for_service(&pilot, "mysql", "passing");
    let begun: Vec<String> = asked(&pilot).into_iter().filter(|word| word != "health").collect();
    assert_eq!(begun[..2], ["pre_start", "mysqld --console --log-bin=mysql-bin"], "slide 76: in this order");
    let mysqld = pilot.pid_of("mysqld");
    // Slides 95 to 97: the primary rewrites the config and sends SIGHUP.
    pilot.write("containerpilot.json", SLIDE_97);
    pilot.signal(Signal::HUP);
    wait_for_service(&pilot, "mysql-primary", "passing");
    pilot.wait_for("mysql to be deregistered", || {
        ask(&pilot, "/v1/health/service/mysql")?.as_array().is_some_and(Vec::is_empty).then_some(())
    });
    // Slides 100 to 104: the watch sees the new primary.
    pilot.wait_for("on_change", || asked(&pilot).contains(&"on_change".to_owned()).then_some(()));
    assert_eq!(pilot.pid_of("mysqld"), mysqld, "the application is never restarted");
    assert_eq!(asked(&pilot).iter().filter(|word| *word == "pre_start").count(), 1, "preStart does not run again");
    assert_eq!(pilot.stop(), End::Code(0));
}

#[test]
fn slide_76_a_failing_pre_start_means_no_mysqld() {
    let pilot = mysql("exit 3");
    assert_eq!(pilot.wait_for_end(), End::Code(3));
    assert!(asked(&pilot).is_empty());
}

#[test]
fn slide_71_without_its_variable_the_config_is_refused_by_name() {
    let mut stage = world(SLIDE_70);
    let pilot = stage.arguments(&["mysqld"]).start();
    assert_eq!(pilot.wait_for_end(), End::Code(2));
    assert!(pilot.stderr.text().contains("CONSUL"), "{}", pilot.story());
}
