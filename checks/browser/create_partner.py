"""Opens the reference in a headless Chromium under its policy, signs in, tries Create Partner, and sees
the answer and then the request in the list of recent ones. Leaves a screenshot at the path given."""
import json
import os
import re
import shutil
import sys

from playwright.sync_api import expect, sync_playwright

OPERATION = "v1PartnersPostRoute"
# What the page may say: a library in the bundle tries whether it may evaluate text, may not, and goes on.
EXPECTED_VIOLATIONS = {("script-src", "eval")}

WATCH = """
window.violations = [];
window.addEventListener('securitypolicyviolation', (event) => {
  window.violations.push([event.violatedDirective, event.blockedURI]);
});
"""


def main(screenshot):
    with open(os.environ["TIDELOCK_CAST"], encoding="utf-8") as file:
        cast = json.load(file)
    partner = {
        "name": "Harbour Exchange",
        "broker": False,
        "institutionIdentifier": cast["institution"],
        "connectionKeySchema": "token",
    }
    with sync_playwright() as playwright:
        # Root has no sandbox to put it into.
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        chromium = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        page = browser.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        asked, errors = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.add_init_script(WATCH)

        opened = page.goto(f"{cast['network']}/reference#tag/partners/{OPERATION}")
        policy = opened.headers["content-security-policy"]
        assert policy.startswith("default-src 'self';"), policy
        page.fill("#token", cast["partner"]["token"])
        page.click("#sign-in button")
        expect(page.locator("#signed-in")).to_be_visible()

        # The operation at hand is the one in the address.
        section = page.locator(f"section[id$='/{OPERATION}'], [id$='/{OPERATION}']").first
        section.scroll_into_view_if_needed()
        expect(page.get_by_role("heading", name="Create Partner").first).to_be_visible()
        expect(page.locator("#at-hand")).to_have_text("At hand: Create Partner")
        section.get_by_role("button", name=re.compile("Test Request")).first.click()

        modal = page.get_by_role("dialog").first
        expect(modal).to_be_visible()
        fill_editor(page, path_value(modal), cast["partner"]["enterprise"])
        fill_editor(page, body_editor(modal), json.dumps(partner))
        with page.expect_response(lambda r: r.request.method == "POST") as sent:
            modal.get_by_role("button", name=re.compile("Send")).first.click()
        answer = sent.value
        assert answer.status == 200, f"{answer.url}: {answer.status} {answer.text()}"
        assert answer.json()["partner"]["institutionIdentifier"] == cast["institution"]
        expect(modal.get_by_text("200").first).to_be_visible()
        page.keyboard.press("Escape")

        # And there it is.
        page.click("#open-requests")
        page.select_option("#which", "operation")
        page.select_option("#status", "2xx")
        request_id = answer.headers["request-id"]
        row = page.locator(f"#list tr[data-operation='{OPERATION}'][data-status='200']").first
        expect(row).to_be_visible()
        page.wait_for_function("""() => document.querySelectorAll('#list tr').length >= 2""")
        row.click()
        expect(page.locator("#facts")).to_contain_text(request_id)
        page.screenshot(path=screenshot)

        elsewhere = [url for url in asked if not url.startswith((cast["network"], "data:", "blob:"))]
        assert not elsewhere, f"the page asked elsewhere: {elsewhere}"
        violations = {tuple(violation) for violation in page.evaluate("window.violations")}
        assert violations <= EXPECTED_VIOLATIONS, violations
        assert not errors, errors
        browser.close()
    print(f"Create Partner: 200, request {request_id}; screenshot: {screenshot}")


def path_value(modal):
    """The cell beside the variable of the path: checkbox, name, value."""
    return modal.get_by_role("row").filter(has_text="enterpriseId").last.locator("td").nth(2)


def body_editor(modal):
    return modal.locator(".cm-content").last


def fill_editor(page, editor, text):
    editor.click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)


if __name__ == "__main__":
    main(sys.argv[1])
