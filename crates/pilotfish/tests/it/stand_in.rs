//! The stand-in for the command line of `consul`: the agent that it runs, and each command beside the real one, both asking that agent.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use pilotfish_testing::{free_port, mortal, spawn, wait_until};
use tempfile::TempDir;

/// The catalog as `consul agent -dev`, ended on drop.
struct Agent {
    child: Child,
    address: String,
    directory: TempDir,
}

impl Agent {
    fn start(flags: &[&str]) -> Agent {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pilotfish"), directory.path().join("consul")).unwrap();
        Agent::start_in(directory, &[&["-dev"], flags].concat())
    }

    fn start_in(directory: TempDir, flags: &[&str]) -> Agent {
        let port = free_port([127, 0, 0, 1].into()).to_string();
        let mut command = mortal(directory.path().join("consul"));
        command.current_dir(directory.path()).args(["agent", "-http-port", &port, "-node=stand-in"]).args(flags);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(command).unwrap();
        let agent = Agent { child, address: format!("127.0.0.1:{port}"), directory };
        wait_until("the agent to answer", || agent.ours(&["members"]).status.success().then_some(()));
        agent
    }

    fn run(&self, program: PathBuf, words: &[&str]) -> Output {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.directory.path()).env("CONSUL_HTTP_ADDR", &self.address);
        command.stdin(Stdio::null()).output().unwrap()
    }

    fn ours(&self, words: &[&str]) -> Output {
        self.run(self.directory.path().join("consul"), words)
    }

    fn theirs(&self, words: &[&str]) -> Output {
        self.run(std::env::var_os("PILOTFISH_TEST_CONSUL").unwrap_or_else(|| "consul".into()).into(), words)
    }

    /// Runs a command once as ours and once as theirs: both say the same.
    #[track_caller]
    fn check(&self, words: &[&str]) -> String {
        let (ours, theirs) = (self.ours(words), self.theirs(words));
        let text = |output: &Output| {
            let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            format!("{}\n{out}\n{err}", output.status)
        };
        assert_eq!(text(&ours), text(&theirs), "consul {}", words.join(" "));
        String::from_utf8_lossy(&ours.stdout).into_owned()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_command_says_what_the_real_one_says() {
    let agent = Agent::start(&[]);
    let file = |name: &str, text: &str| std::fs::write(agent.directory.path().join(name), text).unwrap();
    file("one.json", r#"{"service": {"name": "cli", "port": 8080, "tags": ["b", "a"], "check": {"ttl": "10s"}}}"#);
    file("two.json", r#"{"services": [{"name": "m1"}, {"id": "other", "name": "m2"}]}"#);
    file("value", "from a file\n");
    let commands = "
        members
        members -detailed
        version
        kv put foo bar
        kv get foo
        kv get -detailed foo
        kv get nope
        kv get /foo
        kv put /foo bar
        kv put -flags=42 dir/a x
        kv put dir/b
        kv put dir/sub/c @value
        kv put -cas -modify-index=0 foo x
        kv put -cas -modify-index=1 foo x
        kv put -base64 b64 aGVsbG8=
        kv get b64
        kv get -base64 b64
        kv put -acquire foo y
        kv put -acquire -session=x foo y
        kv put -acquire -session=00000000-0000-0000-0000-000000000000 foo y
        kv put -release -session=00000000-0000-0000-0000-000000000000 foo y
        kv get -recurse dir
        kv get -recurse -detailed dir
        kv get -keys
        kv get -keys dir/
        kv get -keys -separator= dir
        kv get a b
        kv put a b c
        kv put
        kv delete -cas foo
        kv delete -cas -modify-index=1 foo
        kv delete foo
        kv delete foo
        kv delete -recurse dir
        services register one.json
        services register two.json
        services register -name=flags -id=f1 -port=90 -address=10.0.0.1 -tag=x -tag=y -meta=a=b
        services register nofile.json
        services register
        catalog services
        catalog services -tags
        catalog services -node=stand-in
        catalog nodes
        catalog nodes -detailed
        catalog nodes -service=cli
        catalog datacenters
        services deregister -id=f1
        services deregister one.json
        services deregister two.json
        services deregister
    ";
    let mut said = 0;
    for line in commands.lines().map(str::trim).filter(|line| !line.is_empty()) {
        said += agent.check(&line.split(' ').collect::<Vec<_>>()).len();
    }
    assert!(said > 1000, "the commands said something");
}

#[test]
fn what_the_stand_in_does_not_know_it_refuses() {
    let agent = Agent::start(&["-bind=127.0.0.1", "-log-level", "warn", "-server"]);
    let check = |words: &[&str], code: i32, part: &str| {
        let output = agent.ours(words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        assert!(text.contains(part), "{words:?}: {text}");
    };
    check(&["kv", "get", "-bogus", "foo"], 1, "flag provided but not defined: -bogus");
    check(&["kv", "export"], 127, "kv get, put, delete");
    check(&["connect", "proxy"], 127, "For everything else, install Consul.");
    check(&[], 127, "agent -dev");
    check(&["agent"], 1, "'consul agent -data-dir DIR'");
    check(&["agent", "-dev", "-config-dir=/etc/consul.d"], 1, "flag provided but not defined: -config-dir");
    check(&["agent", "-dev", "-client", "0.0.0.0", "-http-port", "0"], 1, "--token-file");
    check(&["agent", "-dev", "-client", "nonsense"], 1, "no IP address");
    check(&["-http-addr"], 127, "It knows");
    check(&["kv", "get", "-http-addr=127.0.0.1:1", "x"], 1, "connection refused");
}

#[test]
fn an_agent_with_a_data_directory_keeps_what_was_written() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pilotfish"), directory.path().join("consul")).unwrap();
    let flags = ["-server", "-bootstrap-expect=1", "-data-dir=data"];
    let mut agent = Agent::start_in(directory, &flags);
    assert!(agent.ours(&["kv", "put", "kept", "yes"]).status.success());
    agent.child.kill().unwrap();
    agent.child.wait().unwrap();
    let directory = std::mem::replace(&mut agent.directory, tempfile::tempdir().unwrap());
    let agent = Agent::start_in(directory, &flags);
    assert_eq!(agent.ours(&["kv", "get", "kept"]).stdout, b"yes\n");
}
