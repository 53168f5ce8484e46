"""The status page in a real Chromium, with the real daemon behind it."""

import re
import tempfile
import time
from datetime import datetime, timezone

import pytest

import browser as chromium
from harness import UNAVAILABLE, Site, days_back, today, wait_until

POLICY = {
    "default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "connect-src": "'self'",
    "img-src": "'self' data:", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
}


@pytest.fixture(scope="module")
def window():
    if not chromium.is_installed():
        pytest.skip("Chromium is not installed (Debian: chromium, chromium-driver)")
    with chromium.Browser() as window:
        yield window


@pytest.fixture(scope="module")
def settled(cluster, simulator):
    """An installation whose daemon has nothing to do: for tests that only look.

    It has days of the past in every state: `days` is a date for each.
    """
    days = {"complete": days_back(3)[0], "suspect": days_back(4)[0], "missing": days_back(5)[0]}
    simulator.reset(today=str(today()))
    with tempfile.TemporaryDirectory(prefix="ogdsync-site-") as folder:
        site = Site(cluster, simulator, folder)
        site.history(slice={"lookback": "7d"})
        site.apply()
        simulator.control(resources={"history": {"missing_dates": [str(days["suspect"])]}},
                          faults=[{"kind": "502", "when": {"date": str(days["missing"])}}])
        site.once()
        simulator.reset(today=str(today()))
        site.days = {state: str(date) for state, date in days.items()}
        with site.start() as site.daemon:
            yield site
        cluster.drop(site.database)


@pytest.fixture
def browser(window):
    """The window, light and wide, with nothing in its console."""
    window.open("about:blank")
    window.size(1280, 900)
    window.theme("light")
    window.complaints()
    window.requests()
    return window


def address(site):
    return f"http://127.0.0.1:{site.port}"


def show(browser, site, until="Nothing runs"):
    browser.open(address(site) + "/")
    wait_until(lambda: until in browser.text("#now"), 10, f"{until!r} on the page")


def see(browser, selector, pattern, seconds=15):
    """Wait for a text at a place of the page."""
    try:
        return wait_until(lambda: re.search(pattern, browser.text(selector), re.S), seconds, pattern)
    except AssertionError:
        raise AssertionError(f"{pattern!r} is not in {browser.text(selector)!r}") from None


def test_the_files_and_what_protects_them(site, portal):
    site.live(on_start=False)
    with site.start() as daemon:
        page = daemon.get("/", tcp=True)
        assert page.status == 200 and page.headers["Content-Type"] == "text/html; charset=utf-8"
        for path in ["/", *re.findall(r'"(/page/[^"]+)"', page.text)]:
            reply = daemon.get(path, tcp=True)
            assert reply.status == 200 and reply.body, path
            policy = dict(part.strip().split(" ", 1) for part in reply.headers["Content-Security-Policy"].split(";"))
            assert policy == POLICY
            assert reply.headers["X-Content-Type-Options"] == "nosniff"
            again = daemon.get(path, tcp=True, headers={"If-None-Match": reply.headers["ETag"]})
            assert (again.status, again.body) == (304, b"")
            assert daemon.get(path, method="HEAD").body == b""
            assert not re.search(r"(?:src|href)=\"https?:|url\(|@import|innerHTML|insertAdjacentHTML", reply.text)
        assert daemon.get("/page/none.js").status == 404
        assert daemon.get("/page/../status.js").status == 404
        assert daemon.get("/", method="POST", headers={"Content-Length": "0"}).status == 405


def test_it_shows_how_the_daemon_is(browser, site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 2}}})
    truth = portal.truth()
    with site.start() as daemon:
        status = daemon.wait_syncs(1)
        show(browser, site)
        assert browser.text("#state") == "·Idle"
        see(browser, "#now", rf"Last run: ✓success.*{truth['records']} received = {truth['rows']} new"
                             rf" .* {truth['quarantined']} in quarantine")
        see(browser, "#machine", r"Database\s*✓up since .*Lease\s*✓holder epoch 1.*0 wait for the database, 1 loaded")
        newest = today().strftime("%-d %B %Y")
        assert status["newest_date"] == str(today())
        see(browser, "#datasets", rf"mandi_prices\s+{newest}\s+✓fresh.*mandi_prices/live\s+✓success.*0 of 1")
        assert browser.run("return document.title") == "Idle · ogdsync"


def test_a_run_is_seen_with_its_progress(browser, site, portal):
    site.live(page_size=50)
    portal.control(latency={"base": 0.5, "per_row": 0, "scale": 1})
    with site.start():
        show(browser, site, "mandi_prices/live")
        see(browser, "#now", r"▶mandi_prices/live\s+Slice all, page \d+ of 8, \d+ rows, run \d+")
        assert browser.run("return document.querySelector('progress').max") == 8
        assert "Running mandi_prices/live" in browser.text("#state")
        see(browser, "#now", "Nothing runs.*Last run: ✓success", 20)


def test_a_daemon_that_goes_and_comes_back(browser, site, portal):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        show(browser, site)
        assert browser.text("#alerts") == ""
        daemon.stop()
        see(browser, "#alerts", r"The daemon does not answer since \d\d:\d\d:\d\d\. What you see is of then")
        assert browser.text("#state") == "✕No answer"
        assert "Last run" in browser.text("#now")
    with site.start():
        wait_until(lambda: browser.text("#alerts") == "", 20, "the alert to go")
        see(browser, "#state", "Idle|Running")


def test_a_database_that_is_down(browser, cluster, site, portal):
    with site.start() as daemon:
        daemon.wait_syncs(1)
        show(browser, site)
        see(browser, "#runs", "mandi_prices/live")
        cluster.stop()
        see(browser, "#alerts", "The database is down")
        see(browser, "#machine", r"Database\s*✕down since")
        for part in ("#runs", "#quarantine"):
            see(browser, part, r"Not available: .+\. What is shown is of \d\d:\d\d:\d\d\.")
        assert "mandi_prices/live" in browser.text("#runs")
        browser.open(address(site) + "/")
        see(browser, "#runs", r"Not available: [^.]+\.$")
        cluster.start()
        wait_until(lambda: browser.text("#alerts") == "", 20, "the alert to go")
        see(browser, "#runs", "mandi_prices/live")
        assert browser.text("#runs .note") == ""


def test_recent_runs_with_their_counts_and_errors(browser, site, portal):
    portal.control(resources={"daily": {"bad": {"junk_price": 2}, "duplicates": 3}})
    site.sync()
    portal.control(faults=[{"kind": "502"}])
    site.sync(UNAVAILABLE)
    with site.start():
        show(browser, site)
        see(browser, "#runs", "✕failed.*✓success")
        heads = browser.run("return [...document.querySelectorAll('#runs thead th')].map((e) => e.innerText)")
        rows = browser.run("return [...document.querySelectorAll('#runs tbody tr')]"
                           ".map((r) => [...r.children].map((c) => c.innerText))")
        failed, good = (dict(zip(heads, row)) for row in rows)
        assert "502" in failed["Error"] and failed["Received"] == "0"
        truth = portal.truth()
        assert [good[name] for name in ("Received", "New", "Changed", "Unchanged", "Twice", "Quarantine", "Error")] == [
            str(truth["records"]), str(truth["rows"]), "0", "0", str(truth["duplicates"]), "2", ""]
        see(browser, "#quarantine", r"bad_number\s+mandi_prices\s+2\s+2 in all")
        browser.click("#runs tbody tr:nth-child(2) button")
        see(browser, "#runs .slices", rf"all\s+✓proven\s+{truth['records']}\s+{truth['rows']}\s+0\s+0\s+3\s+2\s+")
        browser.press("Enter")
        wait_until(lambda: browser.text("#runs .slices") == "", 5, "the slices to fold up")


def test_names_of_the_portal_stay_text(browser, site, portal):
    site.sync()
    with site.connect() as db:
        db.execute("UPDATE ogdsync.run_slice SET slice = '2026-11-20/<b onclick=\"x\">केरल</b>'")
    with site.start():
        show(browser, site)
        see(browser, "#runs", "✓success")
        browser.click("#runs tbody button")
        see(browser, "#runs .slices", '2026-11-20/<b onclick="x">केरल</b>')
        assert browser.run("return document.querySelector('.slices b')") is None
        assert browser.text(".slices [lang=hi]") == "केरल"
        assert any("Devanagari" in family for family in browser.fonts(".slices [lang=hi]"))


def test_stale_data_are_said_to_be_stale(browser, site, portal):
    old = days_back(6)[0]
    portal.control(today=str(old))
    with site.start() as daemon:
        daemon.wait_syncs(1)
        show(browser, site)
        see(browser, "#alerts", f"mandi_prices is stale: its newest date is {old.strftime('%-d %B %Y')}")
        see(browser, "#datasets", "!stale")


def colors(browser):
    return browser.run("const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]")


def luminance(color):
    parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


CONTRASTS = """
const ground = (e) => {
    for (; e; e = e.parentElement) {
        const color = getComputedStyle(e).backgroundColor;
        if (!/, 0\\)$|transparent/.test(color)) { return color; }
    }
    return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll("body *")]
    .filter((e) => e.checkVisibility() && [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim())
        && !e.disabled && !e.classList.contains("nothing"))
    .map((e) => [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, ground(e)]);
"""


def test_light_and_dark_can_be_read(browser, settled):
    show(browser, settled)
    light = colors(browser)
    for theme in ("light", "dark"):
        browser.theme(theme)
        for text, color, ground in browser.run(CONTRASTS):
            bright, dim = sorted((luminance(color), luminance(ground)), reverse=True)
            assert (bright + 0.05) / (dim + 0.05) >= 4.5, (theme, text, color, ground)
    dark = colors(browser)
    assert luminance(light[0]) < luminance(light[1]) and luminance(dark[0]) > luminance(dark[1])


OVERFLOW = """
return [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() &&
    !e.classList.contains("skip") && !e.closest(".unseen") && e.getBoundingClientRect().right > innerWidth + 0.5)
    .map((e) => e.outerHTML.slice(0, 120));
"""


@pytest.mark.parametrize("width", [360, 800, 1190])
def test_nothing_is_wider_than_the_screen(browser, settled, width):
    browser.size(width, 740)
    show(browser, settled)
    see(browser, "#datasets", "mandi_prices/live")
    assert browser.run("return innerWidth") == width
    assert browser.run("const e = document.documentElement; return e.scrollWidth - e.clientWidth") == 0
    assert browser.run(OVERFLOW) == []


NAMED = {"button", "link", "combobox", "progressbar", "meter", "table", "region", "columnheader", "rowheader",
         "heading", "image", "list"}


@pytest.mark.parametrize("width", [360, 1280])
def test_what_a_screen_reader_meets(browser, settled, width):
    browser.size(width, 900)
    show(browser, settled)
    see(browser, "#runs", "mandi_prices/live")
    tree = browser.accessible()
    assert [role for role, name in tree if role in NAMED and not name] == []
    roles = [role for role, _ in tree]
    assert {"banner", "main", "contentinfo", "status", "alert"} <= set(roles)
    assert ("heading", "Recent runs") in tree and ("table", "Recent runs") in tree
    for column in ("Source", "State", "Received", "New", "Changed", "Unchanged", "Twice", "Quarantine", "Error"):
        assert ("columnheader", column) in tree
    levels = browser.run("return [...document.querySelectorAll('h1, h2, h3')].filter((e) => e.checkVisibility())"
                         ".map((e) => Number(e.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))


def test_the_keyboard_reaches_everything(browser, settled):
    show(browser, settled)
    browser.press("Tab")
    assert browser.run("return document.activeElement.className") == "skip"
    assert browser.run("return document.activeElement.getBoundingClientRect().left") >= 0
    browser.press("Enter")
    assert browser.run("return document.activeElement.id") == "main"
    expected = browser.run(
        "return [...document.querySelectorAll('main button, main select, footer a')]"
        ".filter((e) => !e.disabled && e.tabIndex >= 0 && e.checkVisibility()).map((e) => e.id || e.href)")
    reached = []
    for _ in expected:
        browser.press("Tab")
        reached.append(browser.run("return document.activeElement.id || document.activeElement.href"))
        assert browser.run("const s = getComputedStyle(document.activeElement);"
                           " return s.outlineStyle !== 'none' && s.outlineWidth !== '0px'")
    assert reached == expected and len(expected) >= 5


def test_a_page_that_nobody_sees_asks_rarely(browser, settled):
    show(browser, settled)
    see(browser, "#runs", "mandi_prices/live")
    browser.run("Object.defineProperty(document, 'hidden', {value: true, configurable: true});"
                "document.dispatchEvent(new Event('visibilitychange'))")
    time.sleep(1)  # what was on its way
    browser.requests()
    time.sleep(4)  # more than the pause of a page that is seen
    assert browser.requests() == []
    browser.run("Object.defineProperty(document, 'hidden', {value: false});"
                "document.dispatchEvent(new Event('visibilitychange'))")
    wait_until(lambda: (f"{address(settled)}/sync/status", None) in browser.requests(), 2, "a request at once")


def test_nothing_from_elsewhere_and_no_complaint(browser, settled):
    show(browser, settled)
    see(browser, "#runs", "mandi_prices/live")
    asked = []
    wait_until(lambda: asked.extend(browser.requests()) or (f"{address(settled)}/sync/status", 304) in asked, 10,
               "an answer without news")
    assert [url for url, _ in asked if not url.startswith((address(settled) + "/", "data:"))] == []
    assert browser.complaints() == []


def day(date):
    return f'#coverage-months button[data-date="{date}"]'


def test_the_calendar_says_the_state_of_each_day(browser, settled):
    show(browser, settled)
    for state, date in settled.days.items():
        wait_until(lambda date=date: browser.text(day(date)), 10, f"the day {date}")
        label = browser.run("return document.querySelector(arguments[0]).getAttribute('aria-label')", day(date))
        assert label.startswith(f"{date_words(date)}: {state}"), label
        assert ("button", label) in browser.accessible()
    see(browser, "#coverage-summary", r"complete.*1 suspect.*missing")
    assert browser.text(day(settled.days["complete"])).endswith("✓") and browser.text(day(settled.days["missing"])).endswith("✕")
    assert {("table", month) for month in months(settled.days.values())} <= set(browser.accessible())


def date_words(date):
    return datetime.fromisoformat(date).strftime("%-d %B %Y")


def months(dates):
    return {datetime.fromisoformat(date).strftime("%B %Y") for date in dates}


def test_a_click_on_a_day_tells_why(browser, settled):
    show(browser, settled)
    wait_until(lambda: browser.text(day(settled.days["missing"])), 10, "the calendar")
    for state, date in settled.days.items():
        browser.click(day(date))
        why = settled.daemon.get(f"/sync/why?dataset=mandi_prices&date={date}").json["text"]
        wait_until(lambda: browser.text("#why-text"), 5, "an answer")
        see(browser, "#why", rf"{date_words(date)}: {state}")
        wait_until(lambda why=why: " ".join(browser.text("#why-text").split()) == " ".join(why.split()), 5, why)
        see(browser, "#why", rf"State\s+{state}\s+Source")
    browser.click("#why-close")
    assert browser.text("#why") == ""
    assert browser.run("return document.activeElement.dataset.date") == settled.days["missing"]


def test_the_calendar_by_keyboard(browser, settled):
    def focus():
        return browser.run("return document.activeElement.dataset.date")

    show(browser, settled)
    wait_until(lambda: browser.text(day(settled.days["missing"])), 10, "the calendar")
    dates = browser.run("return [...document.querySelectorAll('#coverage-months button')].map((e) => e.dataset.date)")
    assert dates == sorted(dates) and set(settled.days.values()) <= set(dates)
    browser.run("document.getElementById('coverage-earlier').focus()")
    browser.press("Tab")
    assert focus() == dates[-1]
    browser.press("Left")
    assert focus() == dates[-2]
    while focus() != settled.days["suspect"]:
        browser.press("Left")
    browser.press("Enter")
    see(browser, "#why", rf"{date_words(settled.days['suspect'])}: suspect")
    assert browser.run("return document.activeElement.id") == "why-title"
    browser.press("Escape")
    assert focus() == settled.days["suspect"] and browser.text("#why") == ""
    browser.press("Right", "Tab")
    assert focus() is None
    browser.run("document.getElementById('coverage-earlier').focus()")
    browser.press("Tab")
    assert focus() == settled.days["complete"]


def test_the_months_before(browser, settled):
    show(browser, settled)
    wait_until(lambda: browser.text(day(settled.days["missing"])), 10, "the calendar")
    now = today().strftime("%B %Y")
    assert now in browser.text("#coverage-months")
    browser.click("#coverage-earlier")
    wait_until(lambda: now not in browser.text("#coverage-months") and browser.text(".month"), 5, "earlier months")
    browser.click("#coverage-later")
    see(browser, "#coverage-months", now)
    assert browser.run("return document.getElementById('coverage-later').disabled") is True


def test_what_is_next(browser, settled):
    show(browser, settled)
    first = settled.daemon.get("/sync/schedule?n=10").json["schedule"][0]
    at = datetime.fromisoformat(first["at"]).astimezone(timezone.utc).strftime("%-d %b, %H:%M")
    see(browser, "#schedule", rf"{first['dataset']}/{first['source']}\s+{at} in .*{first['trigger']}")
