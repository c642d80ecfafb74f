"""A browser, driven over WebDriver (W3C) with nothing but Python's own library."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Failed(Exception):
    """What was awaited did not happen, or the browser refused."""


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Browser:
    """A headless Chromium with a profile of its own. Ends with its `with` block, by process id."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="framekeeper-browser-")
        self.port = free_port()
        self.log = open(os.path.join(self.folder, "driver.log"), "wb")
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={self.port}"], stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        self.session = None

    def __enter__(self):
        try:
            self.wait("chromedriver answers", lambda: self.call("GET", "/status")["ready"], 20)
            options = {
                "args": [
                    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
                    "--autoplay-policy=no-user-gesture-required", "--force-color-profile=srgb",
                    "--disable-background-networking", f"--user-data-dir={self.folder}/profile",
                ],
                "perfLoggingPrefs": {"enableNetwork": True, "enablePage": False},
            }
            wanted = {
                "browserName": "chrome", "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            }
            made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session = made["sessionId"]
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.session:
            with contextlib.suppress(Exception):
                self.call("DELETE", f"/session/{self.session}")
        # The driver leads a process group of its own: its browser goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.driver.pid, signal.SIGKILL)
        self.driver.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The protocol

    def call(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, method=method,
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise Failed(json.load(error)["value"].get("message", "").split("\n")[0]) from None

    def ask(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """A function's body in the page; its result as JSON."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def cdp(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def element(self, selector):
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"/element/{self.element(selector)}/click")

    def keys(self, text):
        actions = []
        for key in text:
            actions += [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def label(self, selector):
        """What a screen reader calls it."""
        return self.ask("GET", f"/element/{self.element(selector)}/computedlabel")

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.ask("GET", "/screenshot")))

    def entries(self, kind):
        return self.ask("POST", "/se/log", {"type": kind})

    # Waiting

    @staticmethod
    def wait(what, look, seconds=20):
        """Looks every 10 ms until `look` finds something; returns it and how long that took."""
        started = time.monotonic()
        while True:
            try:
                found = look()
            except (Failed, OSError):
                found = None
            if found:
                return found, time.monotonic() - started
            if time.monotonic() - started > seconds:
                raise Failed(f"within {seconds} s: {what}")
            time.sleep(0.01)
