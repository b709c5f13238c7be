//! The browser that tests drive shows pages, and takes mouse and keys.

use pilotfish_testing::Browser;

const PAGE: &str =
    "data:text/html,<button onclick='document.title = innerWidth; this.textContent = document.title'>press</button>";

#[test]
fn a_page_is_shown_and_answers_mouse_and_keyboard() {
    let browser = Browser::start(400, 800);
    browser.open(PAGE);
    browser.wait_for_text("press");
    browser.click("button");
    browser.wait_for_text("400");
    browser.resize(1280, 800);
    browser.open(PAGE);
    browser.press("\u{E004}");
    browser.press("\u{E007}");
    browser.wait_for_text("1280");
    assert!(browser.screenshot().starts_with("iVBOR"), "not a PNG");
    assert!(browser.requests().is_empty());
}
