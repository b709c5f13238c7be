//! A headless Chromium, driven over the WebDriver protocol (W3C) through Debian's `chromedriver`: pages are tested as a person sees
//! them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http;
use crate::ports::free_port;
use crate::wait::wait_until;

/// Longest time for one command to the browser; starting it, on a loaded machine, takes longest.
const LIMIT: Duration = Duration::from_secs(60);

/// No sandbox, because tests run as root; nothing that calls home, because there is nobody.
const ARGUMENTS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A running browser with one window. It ends when the value is dropped.
pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    /// Chromium's own process: a driver that was killed would leave it behind.
    chromium: Option<Pid>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser whose window shows `width` x `height` CSS pixels.
    ///
    /// # Panics
    /// When `chromedriver` or Chromium does not start.
    pub fn start(width: u32, height: u32) -> Browser {
        let port = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let profile = tempfile::tempdir().expect("a temporary directory can be made");
        // The kernel ends it when we are killed: setpriv(1) asks for that and becomes the driver.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--", "chromedriver"]).arg(format!("--port={port}"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let driver = command.spawn().expect("setpriv and chromedriver are installed (`cargo xtask setup`)");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut browser = Browser { driver, address, session: String::new(), chromium: None, _profile: profile };
        wait_until("chromedriver to be ready", || browser.ask("GET", "/status", &Value::Null)["ready"].as_bool());
        browser.open_session();
        browser.resize(width, height);
        browser
    }

    fn open_session(&mut self) {
        let profile = format!("--user-data-dir={}", self.profile().display());
        let arguments: Vec<_> = ARGUMENTS.iter().map(|argument| (*argument).to_owned()).chain([profile]).collect();
        let capabilities = json!({ "browserName": "chrome", "goog:chromeOptions": { "args": arguments } });
        let answer = self.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": capabilities } }));
        let session = answer["sessionId"].as_str();
        self.session = session.unwrap_or_else(|| panic!("chromium does not start: {answer}")).to_owned();
        let pid = answer["capabilities"]["goog:processID"].as_i64();
        self.chromium = pid.and_then(|pid| Pid::from_raw(pid as i32));
    }

    fn profile(&self) -> &Path {
        self._profile.path()
    }

    /// Makes the page's own area this large, in CSS pixels, as a telephone of that size would show it.
    ///
    /// # Panics
    /// When the browser refuses.
    pub fn resize(&self, width: u32, height: u32) {
        // The narrowest window is wider than a telephone; the emulated device is not.
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": metrics });
        self.command("POST", "/goog/cdp/execute", &command);
    }

    /// Goes to a page and waits until it is loaded.
    ///
    /// # Panics
    /// When the page cannot be loaded.
    pub fn open(&self, url: &str) {
        self.command("POST", "/url", &json!({ "url": url }));
    }

    /// Runs JavaScript in the page, as the body of a function, and gives what it returns.
    ///
    /// # Panics
    /// When it throws.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// The text that a person sees on the page.
    ///
    /// # Panics
    /// When the browser is gone.
    pub fn text(&self) -> String {
        self.run("return document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page shows this text.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_for_text(&self, text: &str) {
        wait_until(&format!("the page to show {text:?}"), || self.text().contains(text).then_some(()));
    }

    /// Presses and releases one key: a character, or a code of the WebDriver specification such as `\u{E004}` (Tab) or
    /// `\u{E007}` (Enter).
    ///
    /// # Panics
    /// When the browser refuses.
    pub fn press(&self, key: &str) {
        let strokes = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.command(
            "POST",
            "/actions",
            &json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": strokes }] }),
        );
    }

    /// Clicks the first element that the CSS selector finds, as a mouse would: it must be visible.
    ///
    /// # Panics
    /// When there is none, or it cannot be clicked.
    pub fn click(&self, selector: &str) {
        let found = self.command("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let element = found.as_object().and_then(|found| found.values().next()).and_then(Value::as_str);
        let element = element.unwrap_or_else(|| panic!("no element {selector}: {found}"));
        self.command("POST", &format!("/element/{element}/click"), &json!({}));
    }

    /// Everything that the page asked for since it was opened, as URLs.
    ///
    /// # Panics
    /// When the browser is gone.
    pub fn requests(&self) -> Vec<String> {
        let names = self.run("return performance.getEntriesByType('resource').map(entry => entry.name)");
        let names = names.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The page as a PNG, in base64.
    ///
    /// # Panics
    /// When the browser is gone.
    pub fn screenshot(&self) -> String {
        self.command("GET", "/screenshot", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        let answer = self.ask(method, &format!("/session/{}{path}", self.session), body);
        if let Some(error) = answer.get("error").and_then(Value::as_str) {
            panic!("{method} {path}: {error}: {}", answer["message"]);
        }
        answer
    }

    /// One exchange; the `value` of the answer.
    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = http::exchange(LIMIT, self.address, method, path, &body);
        let value = answer.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        value.map(|mut answer| answer["value"].take()).unwrap_or_default()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            self.ask("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        if let Some(chromium) = self.chromium {
            let _ = kill_process(chromium, Signal::KILL);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
