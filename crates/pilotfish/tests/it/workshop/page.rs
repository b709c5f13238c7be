//! The page, as a person sees it in a browser.

use pilotfish_testing::{Browser, wait_until};

use super::{Vocabulary, Workshop};

/// Waits until the part of the page about a service shows what is wanted.
#[track_caller]
fn wait_for_section(browser: &Browser, service: &str, what: &str, shown: impl Fn(&str) -> bool) {
    let script = format!("return document.getElementById('{service}').innerText");
    let section = || browser.run(&script).as_str().unwrap_or_default().to_owned();
    wait_until(&format!("{service} on the page: {what}"), || shown(&section()).then_some(()));
}

#[test]
fn a_person_sees_both_services_and_who_answers_while_instances_come_and_go() {
    let mut workshop = Workshop::start(Vocabulary::V3);
    let browser = Browser::start(1280, 800);
    browser.open(&format!("http://{}/", workshop.address));

    // Its own rows, and those of the other.
    wait_for_section(&browser, "sales", "orders, and whose they are", |text| {
        ["answered by sales-", "order", "120", "customers asked of customers-", "Ada"]
            .iter()
            .all(|part| text.contains(part))
    });
    wait_for_section(&browser, "customers", "names, and what they bought", |text| {
        ["answered by customers-", "name", "Ada", "sales asked of sales-", "120"].iter().all(|part| text.contains(part))
    });
    wait_for_section(&browser, "sales", "both instances", |text| {
        text.contains(" sales-1") && text.contains(" sales-2")
    });

    workshop.scale_one("sales", 4);
    workshop.wait_for_upstreams();
    wait_for_section(&browser, "sales", "the new ones", |text| text.contains(" sales-3") && text.contains(" sales-4"));

    workshop.kill("sales-1");
    workshop.wait_for_upstreams();
    wait_for_section(&browser, "sales", "the killed one no longer", |text| {
        text.contains("the last 20 answers") && !text.contains("sales-1") && text.contains(" sales-4")
    });

    let text = browser.text();
    assert!(text.contains(" requests answered, 0 failed"), "{text}");
    assert!(
        browser.requests().iter().all(|url| url.contains(&workshop.address.to_string())),
        "{:?}",
        browser.requests()
    );
}
