//! The page at `/ui/`, as a person sees it: in a browser, wide and narrow, by mouse and by keyboard, while the catalog changes.

use pilotfish_catalog::{Secret, Settings};
use pilotfish_testing::{Browser, wait_until};

use super::running::{Running, settings};

/// Tab and Enter, as WebDriver writes them.
const TAB: &str = "\u{E004}";
const ENTER: &str = "\u{E007}";

/// The catalog that the page is of.
struct Shown {
    server: Running,
    token: Option<&'static str>,
}

impl Shown {
    fn start(token: Option<&'static str>) -> Shown {
        Shown { server: Running::start(Settings { token: token.map(Secret::new), ..settings() }), token }
    }

    /// Asks the API, successfully.
    fn ask(&self, method: &str, path: &str, body: &str) {
        let token = self.token.map(|token| format!("\nX-Consul-Token: {token}")).unwrap_or_default();
        let answer = self.server.ask(&format!("{method} {path} HTTP/1.1{token}"), body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{method} {path}: {answer}");
    }

    fn register(&self, id: &str, tags: &str) {
        let check = r#""Check": {"TTL": "600s", "Status": "passing"}"#;
        let body = format!(r#"{{"ID": "{id}", "Name": "sales", "Port": 3000, "Tags": [{tags}], {check}}}"#);
        self.ask("PUT", "/v1/agent/service/register", &body);
    }

    fn open(&self, browser: &Browser, view: &str) {
        browser.open(&format!("http://{}/ui/#/{view}", self.server.address));
    }
}

/// Nothing is wider than the window, so that nobody has to scroll sideways.
fn fits(browser: &Browser) -> bool {
    browser.run("return document.documentElement.scrollWidth <= window.innerWidth").as_bool().unwrap_or_default()
}

#[test]
fn services_keys_and_sessions_are_shown_while_they_change() {
    let catalog = Shown::start(None);
    catalog.register("sales-1", r#""v1""#);
    let browser = Browser::start(1280, 800);
    catalog.open(&browser, "services");
    browser.wait_for_text("1 passing");
    // What changes is shown without a reload.
    catalog.register("sales-2", r#""v2""#);
    browser.wait_for_text("2 passing");
    catalog.ask("PUT", "/v1/agent/check/fail/service:sales-2?note=refused", "");
    browser.wait_for_text("1 critical");
    browser.click("#view a[href='#/services/sales']");
    browser.wait_for_text("refused");
    for seen in ["sales-1", "sales-2", "v2", "test", "Live"] {
        assert!(browser.text().contains(seen), "{seen} is not in: {}", browser.text());
    }
    assert!(fits(&browser));
    catalog.ask("PUT", "/v1/agent/service/deregister/sales-2", "");
    wait_until("sales-2 to disappear", || (!browser.text().contains("sales-2")).then_some(()));

    // Text of the catalog is text, also where it looks like markup.
    catalog.ask("PUT", "/v1/kv/app/greeting", "<b id='markup'>hello</b>");
    catalog.open(&browser, "kv/");
    browser.wait_for_text("app/");
    browser.click("#view a[href='#/kv/app/']");
    browser.wait_for_text("greeting");
    browser.click("#view a[href='#/key/app/greeting']");
    browser.wait_for_text("<b id='markup'>hello</b>");
    assert!(browser.run("return document.getElementById('markup') === null").as_bool().unwrap_or_default());
    catalog.ask("PUT", "/v1/kv/app/greeting", "changed");
    browser.wait_for_text("changed");

    catalog.open(&browser, "sessions");
    browser.wait_for_text("No session exists.");
    catalog.ask("PUT", "/v1/session/create", r#"{"Name": "the lock", "TTL": "60s"}"#);
    browser.wait_for_text("the lock");

    let own = format!("http://{}/", catalog.server.address);
    let requests = browser.requests();
    assert!(!requests.is_empty() && requests.iter().all(|url| url.starts_with(&own)), "{requests:?}");
}

/// The lease of the second member, with the third in sync.
fn lease(term: u64, state: &str) -> String {
    format!(
        r#"{{"cluster": "07", "term": {term}, "change": 9, "holder": 2, "state": "{state}", "primary": {{"member": 2, "data": "0b"}},
            "in_sync": {{"3": "0c"}}, "acks": 1, "alone": false, "forced": false, "beat": 4}}"#
    )
}

fn record(name: &str, position: &str, rest: &str) -> String {
    format!(
        r#"{{"name": "{name}", "address": "10.0.0.9", "port": 3306, "api_port": 3307, "flavour": "mariadb", "cluster": "07", "data": "0b",
            "term": 7, "change": 9, "promise": 7, "executed": "{position}", "received": "{position}", "may_lead": true, "leaving": false, {rest}}}"#
    )
}

#[test]
fn clusters_of_databases_are_shown_while_they_change() {
    let catalog = Shown::start(None);
    let browser = Browser::start(1280, 900);
    catalog.open(&browser, "clusters");
    browser.wait_for_text("No database cluster");
    // A key that only looks like a lease is none, and neither are keys of a cluster whose name begins alike.
    catalog.ask("PUT", "/v1/kv/school-primary", "not a lease");
    catalog.ask("PUT", "/v1/kv/mysql-two/members/4", &record("stranger", "0-4:1-9", r#""following": null"#));
    catalog.ask("PUT", "/v1/kv/mysql-primary", &lease(7, "held"));
    browser.wait_for_text("an acknowledged write is on 2 members");
    browser.wait_for_text("No member has said anything.");
    catalog.ask(
        "PUT",
        "/v1/kv/mysql/members/2",
        &record("anchovy", "0-2:1-70", r#""following": null, "acking": false"#),
    );
    catalog.ask("PUT", "/v1/kv/mysql/members/3", &record("herring", "0-2:1-69", r#""following": 2, "acking": true"#));
    browser.wait_for_text("follows anchovy, acknowledges");
    let check = r#""Check": {"TTL": "600s", "Status": "critical", "Notes": ""}"#;
    let body = format!(r#"{{"ID": "mysql-primary-2", "Name": "mysql-primary", "Port": 3306, {check}}}"#);
    catalog.ask("PUT", "/v1/agent/service/register", &body);
    browser.wait_for_text("critical");
    catalog.ask("PUT", "/v1/agent/check/pass/service:mysql-primary-2?note=takes%20writes", "");
    browser.wait_for_text("takes writes");
    let text = browser.text();
    for seen in [
        "anchovy (2)",
        "herring (3)",
        "held",
        "7, change 9",
        "replica, in sync",
        "0-2:1-70",
        "0-2:1-69",
        "10.0.0.9:3306",
        "s ago",
    ] {
        assert!(text.contains(seen), "{seen} is not in: {text}");
    }
    assert!(!text.contains("stranger") && !text.contains("school"), "{text}");
    assert!(fits(&browser));
    // A renewal that does not come is seen to age, one that comes to be young.
    let renewed = || {
        let text = browser.run("return document.querySelector('[data-since]').textContent");
        text.as_str().and_then(|text| text.strip_suffix(" s ago")?.parse::<u64>().ok())
    };
    wait_until("the lease to age", || (renewed()? >= 3).then_some(()));
    let mut beat = 4;
    wait_until("the lease to be renewed", || {
        beat += 1;
        let lease = lease(7, "held").replace("\"beat\": 4", &format!("\"beat\": {beat}"));
        catalog.ask("PUT", "/v1/kv/mysql-primary", &lease);
        (renewed()? < 3).then_some(())
    });
    catalog.ask("PUT", "/v1/kv/mysql-primary", &lease(8, "released"));
    browser.wait_for_text("released");
    catalog.ask("PUT", "/v1/kv/mysql/orders/pause", "{}");
    browser.wait_for_text("pause");
    // What cannot be understood is said to be there.
    catalog.ask("PUT", "/v1/kv/mysql/members/3", "<b>");
    browser.wait_for_text("its record cannot be understood");
    let uuids = ["3e11fa47-71ca-11e1-9e33-c80aa9429562:1-77"; 5].join(",");
    catalog.ask("PUT", "/v1/kv/mysql/members/3", &record("herring", &uuids, r#""following": 2, "acking": true"#));
    browser.wait_for_text("follows anchovy");
    browser.resize(400, 800);
    assert!(fits(&browser), "it is too wide for a telephone");
    browser.resize(1280, 900);
    assert!(fits(&browser), "it is too wide for a long position");
    catalog.ask("DELETE", "/v1/kv/mysql-primary", "");
    browser.wait_for_text("No database cluster");
}

#[test]
fn a_telephone_and_a_keyboard_are_enough() {
    let catalog = Shown::start(None);
    catalog.register("sales-1", r#""a-tag-that-is-long-enough-to-need-more-than-one-line-of-a-telephone""#);
    let browser = Browser::start(400, 800);
    for view in ["services", "services/sales", "nodes", "nodes/test", "kv/", "sessions", "clusters"] {
        catalog.open(&browser, view);
        browser.wait_for_text("Live");
        assert!(fits(&browser), "{view} is too wide");
    }
    catalog.open(&browser, "services");
    browser.run("document.body.tabIndex = -1; document.body.focus()");
    browser.wait_for_text("1 passing");
    let focused = || browser.run("return document.activeElement.textContent").as_str().map(str::to_owned);
    wait_until("Tab to reach the service", || {
        browser.press(TAB);
        (focused().as_deref() == Some("sales")).then_some(())
    });
    // The list is drawn anew, and whoever stood on a link still does.
    catalog.register("sales-2", "");
    browser.wait_for_text("2 passing");
    assert_eq!(focused().as_deref(), Some("sales"));
    browser.press(ENTER);
    browser.wait_for_text("sales-2");
}

#[test]
fn a_catalog_that_is_gone_or_asks_for_a_token_is_told() {
    let catalog = Shown::start(Some("open sesame"));
    catalog.register("sales-1", "");
    let browser = Browser::start(1280, 800);
    catalog.open(&browser, "services");
    browser.wait_for_text("asks for a token");
    browser.click("#token");
    for key in "open sesame".chars() {
        browser.press(&key.to_string());
    }
    browser.press(ENTER);
    browser.wait_for_text("1 passing");
    drop(catalog);
    browser.wait_for_text("The catalog has not answered since");
    assert!(browser.text().contains("1 passing"), "the last view is gone: {}", browser.text());
}
