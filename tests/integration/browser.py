"""A real Chromium, steered by chromedriver over plain HTTP (WebDriver and the DevTools protocol)."""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
FLAGS = [
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
]
KEYS = {"Enter": "\ue007", "Tab": "\ue004", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013",
        "Right": "\ue014", "Down": "\ue015", "PageUp": "\ue00e", "PageDown": "\ue00f", "Home": "\ue011"}
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def is_installed():
    return bool(CHROMIUM and DRIVER)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Browser:
    """One window; use it in a with statement."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="ogdsync-browser-", ignore_cleanup_errors=True)
        self._base = f"http://127.0.0.1:{free_port()}"
        self._driver = subprocess.Popen([DRIVER, f"--port={self._base.rsplit(':', 1)[1]}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        try:
            self._wait_for_driver()
            self._session = ""
            self._session = "/session/" + self._ask("POST", "/session", {"capabilities": {"alwaysMatch": {
                "browserName": "chrome",
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
                "goog:chromeOptions": {"binary": CHROMIUM,
                                       "args": [*FLAGS, f"--user-data-dir={self._folder.name}"]},
            }}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def close(self):
        if getattr(self, "_session", ""):
            self._ask("DELETE", "")
        self._driver.terminate()
        self._driver.wait(10)
        self._folder.cleanup()

    def _wait_for_driver(self):
        end = time.monotonic() + 20
        while True:
            try:
                urllib.request.urlopen(self._base + "/status", timeout=5).close()
                return
            except OSError:
                assert self._driver.poll() is None and time.monotonic() < end, "chromedriver does not answer"
                time.sleep(0.05)

    def _ask(self, method, path, body=None):
        request = urllib.request.Request(
            self._base + self._session + path, method=method,
            data=None if body is None else json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{method} {path}: {json.load(error)['value']['message']}") from None

    def devtools(self, command, **params):
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    def run(self, script, *args):
        """What the body of a function gives."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": args})

    def text(self, selector):
        """What can be read there; "" when it is not there or not shown."""
        return self.run("const e = document.querySelector(arguments[0]);"
                        "return e && e.checkVisibility() ? e.innerText : ''", selector)

    def click(self, selector):
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{found[ELEMENT]}/click", {})

    def press(self, *keys):
        """Where the focus is."""
        focus = self._ask("GET", "/element/active")[ELEMENT]
        for key in keys:
            self._ask("POST", f"/element/{focus}/value", {"text": KEYS.get(key, key)})
            focus = self._ask("GET", "/element/active")[ELEMENT]

    def size(self, width, height):
        """Of what is shown, in CSS pixels, as a phone or a screen of that size."""
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                      mobile=width < 600)

    def theme(self, name):
        self.devtools("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, height=None):
        """A PNG of the window, or of the page down to `height`."""
        clip = {"x": 0, "y": 0, "width": self.run("return innerWidth"), "height": height, "scale": 1}
        answer = self.devtools("Page.captureScreenshot", format="png", captureBeyondViewport=height is not None,
                               **({"clip": clip} if height else {}))
        return base64.b64decode(answer["data"])

    def complaints(self):
        """What stands in the console since the last call: errors, warnings, violated policies."""
        return [entry for entry in self._ask("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """(URL, status) of the answers since the last call; a status of None: was sent."""
        seen = []
        for entry in self._ask("POST", "/se/log", {"type": "performance"}):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                seen.append((message["params"]["request"]["url"], None))
            elif message["method"] == "Network.responseReceived":
                seen.append((message["params"]["response"]["url"], message["params"]["response"]["status"]))
        return seen

    def fonts(self, selector):
        """The families that the text there is drawn with."""
        self.devtools("DOM.enable")
        self.devtools("CSS.enable")
        root = self.devtools("DOM.getDocument")["root"]["nodeId"]
        node = self.devtools("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        return {font["familyName"] for font in self.devtools("CSS.getPlatformFontsForNode", nodeId=node)["fonts"]}

    def accessible(self):
        """(role, name) of everything that a screen reader meets."""
        nodes = self.devtools("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "").strip())
                for node in nodes if not node["ignored"]]
