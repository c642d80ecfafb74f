#!/usr/bin/env python3
"""Looks at the dashboard of a running node as a person does, in headless Chromium, and says what it saw.

Usage: dashboard.py URL --state FOLDER [--screenshots FOLDER]
       dashboard.py URL --read-only --token TOKEN [--screenshots FOLDER]

The node needs the cameras `front` and `hall`, idle, painted, rotating seldom, and `yard`, whose source fails. FOLDER is its
state_dir: the worker of `front` is killed once, for a gap, and so is the broker that it runs. A node with
`metrics.read_only` and a token is looked at, and no more; it needs `front`, and `shed`, which another node records. Exit
status 0 only if everything held.
"""

import argparse
import datetime
import json
import os
import signal
import sys
import time
import urllib.parse

sys.dont_write_bytecode = True
from webdriver import Browser, Failed  # noqa: E402

TAB, ENTER = "\ue004", "\ue007"
PHONE, DESKTOP = (390, 844), (1280, 900)


def check(what, holds, detail=""):
    if not holds:
        raise Failed(f"{what} {detail}")
    print(f"ok {what} {detail}".rstrip(), flush=True)


# A server of many files in the place of the real one, for as long as this runs.
CROWD = """
const { gapsOf, Questions, recordingsOf } = await import("/server.js");
const real = window.fetch;
const seen = { refused: 0, waited: 0, most: 0, asked: 0 };
const midnight = new Date(new Date().setHours(0, 0, 0, 0)).getTime();
const at = (index) => new Date(midnight + index * 20000).toISOString();
const camera = "front";
const file = (index) => ({ id: `x_${index}`, camera, state: "closed", started_at: at(index), ended_at: at(index + 1) });
const gap = (index) => ({ camera, session: "x", from: at(index), to: at(index + 0.5), seconds: 10, cause: "overrun" });
const page = (key, count, row, from) => {
  // As the ledger answers: what reaches beyond the moment, earliest first.
  const first = Math.max(0, Math.floor((Date.parse(from) - midnight) / 20000));
  const rows = Array.from({ length: count - first }, (_, place) => row(first + place));
  return { [key]: rows.slice(0, 1000), more: rows.length > 1000 };
};
window.fetch = async (path, options) => {
  const { pathname, searchParams: query } = new URL(path, location);
  if (pathname === "/api/v1/gaps") return Response.json(page("gaps", 1500, gap, query.get("from")));
  if (pathname !== "/api/v1/recordings") return real(path, options);
  if (seen.refused === 0) {
    seen.refused += 1;
    return Response.json({ error: { message: "too many" } }, { status: 429, headers: { "Retry-After": "1" } });
  }
  return Response.json(page("recordings", 2500, file, query.get("from")));
};
try {
  const query = { camera, from: at(0), to: at(4320) };
  const begin = performance.now();
  seen.files = (await recordingsOf(query)).length;
  seen.waited = (performance.now() - begin) / 1000;
  seen.gaps = (await gapsOf(query)).length;
  document.querySelector("#zoom").dispatchEvent(new Event("change"));
  const line = () => document.querySelector(".timeline[data-camera=front]").ariaLabel ?? "";
  while (!line().includes("2500 files") && performance.now() - begin < 10000) await new Promise(requestAnimationFrame);
  seen.label = line();
} finally {
  window.fetch = real;
}
document.querySelector("#zoom").dispatchEvent(new Event("change"));
const questions = new Questions(4);
let running = 0;
await Promise.all(Array.from({ length: 200 }, (_, subject) => [0, 1].map((round) => new Promise((resolve) => {
  const isReplaced = round === 0 && subject >= 4;
  questions.wish(subject, async () => {
    running += 1;
    seen.asked += 1;
    seen.most = Math.max(seen.most, running);
    if (isReplaced) seen.asked = Infinity;
    await new Promise((done) => { setTimeout(done, 5); });
    running -= 1;
    resolve();
  });
  if (isReplaced) resolve();
}))).flat());
return seen;
"""


# What the page asks and opens, in its order, and its event streams.
WITNESS = """
window.order = [];
window.streams = [];
const fetched = window.fetch;
window.fetch = (path, options) => {
  window.order.push(new URL(path, location).pathname);
  return fetched(path, options);
};
const Stream = window.EventSource;
window.EventSource = class extends Stream {
  constructor(path) {
    super(path);
    window.streams.push(this);
    this.addEventListener("open", () => window.order.push("open"));
  }
};
"""


class Visit:
    def __init__(self, browser, options):
        self.browser = browser
        self.url = options.url.rstrip("/")
        self.state = options.state
        self.token = options.token
        self.shots = options.screenshots
        self.requests = []

    # Steps

    def everything(self):
        self.noon()
        self.browser.open(self.url + "/")
        self.tiles(["front", "hall", "yard"])
        self.record()
        self.snapshot()
        self.rotate()
        self.gap()
        self.moves()
        self.crowd()
        self.gone()
        self.play()
        self.keyboard()
        self.readable()
        self.detail()
        self.layouts()
        self.storage()
        self.hidden()
        self.failing()
        self.stop()
        self.broker()
        self.quiet()

    def glance(self):
        self.browser.open(self.url + "/")
        self.sign_in()
        self.tiles(["front", "shed"])
        check("there is nothing to press", not self.browser.run(
            "return document.querySelector('#tiles [data-action]')"))
        self.browser.wait("recordings of another node are not said to be none", lambda: self.browser.run(
            "return document.querySelector('.timeline[data-camera=shed]').ariaLabel"
            " === 'shed: its recordings are on barn'"))
        print("ok another node's recordings are said to be there", flush=True)
        self.shot("read-only-desktop", DESKTOP, "light")
        check("who came with a token can sign out", self.browser.run(
            "return !document.querySelector('#signout').hidden"))
        self.quiet()

    def noon(self):
        """Days begin at midnight, and what was just recorded is of one day: it is about noon here, whenever this runs."""
        ahead = 12 - datetime.datetime.now(datetime.timezone.utc).hour
        self.browser.cdp("Emulation.setTimezoneOverride", timezoneId=f"Etc/GMT{-ahead:+d}")

    def sign_in(self):
        self.browser.wait("the dialog asks for the token", lambda: self.browser.run(
            "return document.querySelector('#signin').open"))
        self.browser.run("document.querySelector('#token').value = arguments[0]", "a-wrong-token-of-length")
        self.browser.click("#signin button.main")
        self.browser.wait("a wrong token is refused", lambda: self.text("#signin-note"))
        self.browser.run("document.querySelector('#token').value = arguments[0]", self.token)
        self.browser.click("#signin button.main")
        self.browser.wait("the dialog is gone", lambda: not self.browser.run(
            "return document.querySelector('#signin').open"))
        print("ok signed in", flush=True)
        # The refusals of before the sign-in are in the console, as they should be.
        self.browser.entries("browser")

    def tiles(self, cameras):
        _, took = self.browser.wait("a tile of each camera", lambda: self.browser.run(
            "return [...document.querySelectorAll('#tiles .tile')].map((tile) => tile.dataset.camera)") == cameras)
        check("tiles appear", True, f"after {took:.2f} s")
        self.browser.wait("events are followed", lambda: self.text("#link") == "live")

    def record(self):
        self.browser.click(self.button("record"))
        _, took = self.browser.wait("the tile shows the recording", lambda: self.browser.run(
            "const tile = document.querySelector('[data-camera=front].tile');"
            "return tile.querySelector('.badge.recording') !== null"
            " && tile.querySelector('[data-action=record]').ariaPressed === 'true'"))
        check("the tile shows the recording within 1 s", took < 1, f"({took:.2f} s)")
        self.browser.wait("the tile shows the leases", lambda: "Leases: recording 1" in self.text(
            "[data-camera=front].tile .facts"))
        # It fails while the rest is looked at.
        self.browser.click(self.button("record", "yard"))

    def snapshot(self):
        self.browser.click(self.button("snapshot"))
        size, _ = self.browser.wait("the picture is there", lambda: self.browser.run(
            "return document.querySelector('[data-camera=front].tile img')?.naturalWidth"))
        check("the tile shows the snapshot", size == 320, f"({size} pixels wide)")

    def rotate(self):
        self.browser.wait("the button is free", lambda: self.browser.run(
            "const button = document.querySelector(arguments[0]);"
            "return !button.disabled && button.ariaDisabled !== 'true'", self.button("rotate")))
        # Long enough that the file is something to play.
        self.files(lambda: True, "a file of 2 s", after=2)
        self.browser.click(self.button("rotate"))
        self.files(lambda: len(self.segments("closed")) >= 1 and len(self.segments("open")) == 1,
                   "the timeline shows the closed and the open file")
        print("ok the timeline shows segments", flush=True)
        self.zoom()

    def zoom(self):
        width = "return document.querySelector('.timeline[data-camera=front] button.closed').getBoundingClientRect().width"
        before = self.browser.run(width)
        self.browser.run("const zoom = document.querySelector('#zoom'); zoom.value = '1';"
                         "zoom.dispatchEvent(new Event('change'))")
        self.browser.wait("an hour is wider", lambda: self.browser.run(width) > 0
                          and self.browser.run("return document.querySelector('.hours').textContent") != ""
                          and self.browser.run("return !document.querySelector('.hours').textContent.includes('24:00')"
                                               " && document.querySelectorAll('.timeline').length === 3"))
        check("an hour can be looked at closely", self.browser.run(width) >= before)

    def files(self, look, what, after=0):
        started = time.monotonic()
        self.browser.wait(what, lambda: time.monotonic() - started >= after and look(), 20 + after)

    def kill(self, name):
        with open(os.path.join(self.state, "run", f"{name}.pid"), encoding="utf-8") as file:
            os.kill(int(file.read().split()[0]), signal.SIGKILL)

    def watch(self, what):
        """From now on `window.held` says whether this has held on the overview: it may pass before somebody looks."""
        self.browser.run(
            "window.held = false; window.watcher?.disconnect();"
            f"window.watcher = new MutationObserver(() => {{ window.held ||= {what}; }});"
            "window.watcher.observe(document.querySelector('#overview'),"
            " { subtree: true, childList: true, attributes: true, characterData: true })")

    def gap(self):
        self.watch("document.querySelector('[data-camera=front].tile .badge.offline') !== null")
        self.kill("capture-worker.front")
        self.browser.wait("the tile shows that the worker went", lambda: self.browser.run("return window.held"))
        self.browser.wait("the tile shows that it records again", lambda: self.browser.run(
            "const tile = document.querySelector('[data-camera=front].tile');"
            "return tile.querySelector('.badge.offline') === null && tile.querySelector('.badge.recording') !== null"),
            40)
        gap, _ = self.browser.wait("the timeline shows the gap", lambda: self.browser.run(
            "return document.querySelector('.timeline[data-camera=front] .gap')?.ariaLabel"), 40)
        check("the timeline shows a gap with its cause", "worker died" in gap, f"({gap})")
        events = self.text("#events")
        check("the events tell it", "gap of" in events)

    def moves(self):
        """What the page does every minute it also does when it is seen again."""
        again = "document.dispatchEvent(new Event('visibilitychange'));"
        look = (again + "const file = document.querySelector('.timeline[data-camera=front] button.%s');"
                "return Number.parseFloat(file.style.%s)")
        before = self.browser.run(look % ("closed", "left"))
        self.browser.wait("an hour moves on with time", lambda: self.browser.run(look % ("closed", "left")) < before)
        self.browser.run("const zoom = document.querySelector('#zoom'); zoom.value = '24';"
                         "zoom.dispatchEvent(new Event('change'))")
        first, _ = self.browser.wait("the day is there", lambda: self.browser.run(
            "return document.querySelectorAll('.timeline button.open').length === 1"
            " && document.querySelector('.hours').textContent.slice(0, 5)"))
        check("a day begins at 00:00", first == "00:00", first)
        width = self.browser.run(look % ("open", "width"))
        self.browser.wait("the open file grows", lambda: self.browser.run(look % ("open", "width")) > width)
        print("ok timelines move with time", flush=True)

    def crowd(self):
        """More files than one answer holds, a server that has had enough, and more cameras than may ask at once."""
        seen = self.browser.run(CROWD)
        check("a day of 2500 files is shown whole", seen["files"] == 2500 and "2500 files" in seen["label"], str(seen))
        check("gaps too", seen["gaps"] == 1500)
        check("an answer of 429 is waited for", seen["refused"] == 1 and seen["waited"] >= 1)
        check("four questions at a time, the newest of each camera", seen["most"] == 4 and seen["asked"] == 204,
              str(seen))
        self.browser.wait("the real day is there again", lambda: "2500" not in self.browser.run(
            "return document.querySelector('.timeline[data-camera=front]').ariaLabel ?? '2500'"))
        check("pictures are asked for when they are seen", self.browser.run(
            "return document.querySelector('.tile img').loading === 'lazy'"))

    def gone(self):
        """A camera that the service does not know any more, and then does again."""
        places = "document.querySelectorAll('#tiles [data-camera=hall], #timelines [data-camera=hall]').length"
        # What it says itself meanwhile brings it back.
        self.watch(places + " === 0")
        self.browser.run(
            "window.real = window.fetch;"
            "window.fetch = async (path, options) => {"
            " const answer = await window.real(path, options);"
            " if (path !== '/api/v1/status' || !answer.ok) return answer;"
            " const status = await answer.json();"
            " status.cameras = status.cameras.filter(({ id }) => id !== 'hall');"
            " return Response.json(status); };"
            "document.dispatchEvent(new Event('visibilitychange'))")
        self.browser.wait("the camera has gone", lambda: self.browser.run("return window.held"))
        self.browser.run("window.fetch = window.real; document.dispatchEvent(new Event('visibilitychange'))")
        self.browser.wait("it is there again", lambda: self.browser.run(f"return {places} === 2"))
        print("ok a camera that is gone has no tile and no timeline", flush=True)

    def play(self):
        self.browser.run(
            "document.querySelector('.timeline[data-camera=front] button.closed').click()")
        seconds, _ = self.browser.wait("the video knows its duration", lambda: self.browser.run(
            "const video = document.querySelector('#player video');"
            "return video.readyState >= 2 && Number.isFinite(video.duration) && video.duration"))
        check("a file plays", seconds > 1.5, f"(duration {seconds:.2f} s)")
        self.browser.wait("the picture moves", lambda: self.browser.run(
            "return document.querySelector('#player video').currentTime > 0.2"))
        self.shot("player-desktop", DESKTOP, "light")
        self.browser.click("#player-close")
        check("the player closes", not self.browser.run("return document.querySelector('#player').open"))

    def keyboard(self):
        self.browser.run("document.querySelector('.skip').focus()")
        seen = ["To the cameras"]
        for _ in range(40):
            self.browser.keys(TAB)
            seen.append(self.browser.run(
                "const e = document.activeElement;"
                "return e.ariaLabel || e.textContent.trim() || e.id || e.tagName"))
            if seen[-1] == "Snapshot: hall":
                break
        check("the keyboard reaches every button of the tiles", {
            "To the cameras", "Stop recording: front", "Snapshot: front", "New file: front", "Record: hall"
        } <= set(seen), f"({len(seen)} steps)")
        self.browser.keys(ENTER)
        self.browser.wait("Enter takes a snapshot of hall", lambda: self.browser.run(
            "return document.querySelector('[data-camera=hall].tile img')?.naturalWidth"))
        label = self.browser.run("return document.activeElement.ariaLabel")
        check("the focus stays where it was", label == "Snapshot: hall", f"({label})")

    def readable(self):
        nameless = self.browser.run(
            "return [...document.querySelectorAll('button, a, input, select, img, [role=img], meter')]"
            ".filter((e) => e.checkVisibility() && !(e.ariaLabel || e.textContent.trim() || e.alt"
            " || e.labels?.length)).map((e) => e.outerHTML.slice(0, 80))")
        check("everything has a name", nameless == [], str(nameless))
        check("a screen reader hears the tile", self.browser.label("[data-camera=front].tile") == "front")
        check("and its button", self.browser.label(self.button("record")) == "Stop recording: front")
        levels = self.browser.run(
            "return [...document.querySelectorAll('h1, h2, h3')].filter((e) => e.checkVisibility())"
            ".map((e) => Number(e.tagName[1]))")
        check("headings are in order", levels[0] == 1 and all(
            after - before <= 1 for before, after in zip(levels, levels[1:])), str(levels))

    def detail(self):
        self.browser.run(WITNESS)
        self.browser.click("[data-camera=front].tile h3 a")
        self.asked("how things stand is asked when the camera's own events are heard")
        self.browser.wait("the page of the camera", lambda: self.browser.run(
            "return !document.querySelector('#detail').hidden"))
        self.browser.wait("plots with something in them", lambda: self.browser.run(
            "document.querySelector('#span').dispatchEvent(new Event('change'));"
            "return [...document.querySelectorAll('#plots svg')]"
            ".filter((plot) => !plot.ariaLabel.includes('nothing')).length >= 3"), 40)
        self.browser.wait("its files", lambda: self.browser.run(
            "return document.querySelectorAll('#files tbody tr').length >= 2"))
        print("ok the camera's page has plots and files", flush=True)

    def layouts(self):
        for colours in ("light", "dark"):
            self.shot(f"camera-desktop-{colours}", DESKTOP, colours)
        self.shot("camera-phone-light", PHONE, "light")
        self.browser.open(self.url + "/#/")
        self.browser.wait("the overview", lambda: self.browser.run(
            "return !document.querySelector('#overview').hidden"
            " && document.querySelectorAll('.timeline button.closed').length > 0"))
        for colours in ("light", "dark"):
            self.shot(f"overview-desktop-{colours}", DESKTOP, colours)
            self.shot(f"overview-phone-{colours}", PHONE, colours)
        print("ok nothing is wider than a phone or a desktop", flush=True)

    def storage(self):
        part, _ = self.browser.wait("how full the disk is", lambda: self.browser.run(
            "const meter = document.querySelector('#nodes [data-node] meter');"
            "return meter && meter.value / meter.max"))
        check("storage is shown", 0 < part <= 1 and "free" in self.text("#nodes .facts"), f"({part:.0%} taken)")
        # The page asks for it when it is drawn, and every 30 s.
        self.browser.wait("the trend of the free space", lambda: self.browser.run(
            "return /B now/.test(document.querySelector('#nodes figure svg')?.ariaLabel)"), 40)
        print("ok storage has a trend", flush=True)

    def hidden(self):
        """A page that nobody sees gives its connection back, and knows everything when it is seen again."""
        look = ("Object.defineProperty(document, 'hidden', { value: arguments[0], configurable: true });"
                "window.order = []; document.dispatchEvent(new Event('visibilitychange'));"
                "return window.streams.map((stream) => stream.readyState)")
        check("a hidden page listens to nothing", set(self.browser.run(look, True)) == {2})
        self.browser.run(look, False)
        self.asked("what is seen again asks how things stand")
        self.browser.run("delete document.hidden")

    def asked(self, what):
        self.browser.wait(what, lambda: self.browser.run(
            "const opened = window.order.indexOf('open');"
            "return opened >= 0 && window.order.indexOf('/api/v1/status', opened) > opened"), 5)
        print(f"ok {what}", flush=True)

    def failing(self):
        """A camera whose source fails: why, and an end of it."""
        label = f"return document.querySelector({json.dumps(self.button('record', 'yard'))}).ariaLabel"
        badges = ("return ['recording', 'health'].map((noun) => [...document.querySelectorAll("
                  "'[data-camera=yard].tile .badge')].map((badge) => badge.textContent)"
                  ".some((text) => noun === 'health' ? text.startsWith('health ') : text === 'failed')).every(Boolean)")
        self.browser.wait("it has failed and is not well", lambda: self.browser.run(badges), 60)
        why = self.text("[data-camera=yard].tile .facts.bad")
        check("the tile says why", why, f"({why})")
        check("what has failed can be stopped", self.browser.run(label) == "Stop recording: yard")
        self.browser.wait("the start has its answer", lambda: self.browser.run(
            "return document.querySelector(arguments[0]).ariaDisabled !== 'true'", self.button("record", "yard")))
        self.browser.click(self.button("record", "yard"))
        self.browser.wait("it has no lease any more", lambda: self.browser.run(
            "return document.querySelector('[data-camera=yard].tile .badge.off') !== null")
            and self.browser.run(label) == "Record: yard")
        print("ok a failed recording is stopped", flush=True)

    def stop(self):
        self.browser.click(self.button("record"))
        self.browser.wait("the recording has stopped", lambda: self.browser.run(
            "return document.querySelector('[data-camera=front].tile .badge.off') !== null"))

    def broker(self):
        # It may be back sooner than a look takes.
        self.browser.run(
            "window.seen = []; new MutationObserver(() => window.seen.push(document.querySelector('#link').textContent))"
            ".observe(document.querySelector('#link'), { childList: true })")
        self.kill("broker")
        self.browser.wait("the page says that the broker is gone, and that it is back", lambda: self.browser.run(
            "return window.seen.slice(-2).join()") == "no connection to the broker,live", 40)
        print("ok the page says when the broker is gone", flush=True)

    def quiet(self):
        # That yard's source fails is an answer, and stands in the console as it should.
        problems = [entry["message"] for entry in self.browser.entries("browser") if entry["level"] == "SEVERE"
                    and "/api/v1/cameras/yard/recording" not in entry["message"]]
        check("no error in the console", problems == [], str(problems))
        for entry in self.browser.entries("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
        here = urllib.parse.urlsplit(self.url).netloc
        foreign = [url for url in self.requests
                   if url.startswith("http") and urllib.parse.urlsplit(url).netloc != here]
        check("no request goes elsewhere", foreign == [] and self.requests, f"({len(self.requests)} requests)")

    # Looking

    @staticmethod
    def button(action, camera="front"):
        return f"[data-camera={camera}].tile [data-action={action}]"

    def text(self, selector):
        return self.browser.run("return document.querySelector(arguments[0]).textContent", selector)

    def segments(self, state):
        return self.browser.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.ariaLabel)",
            f".timeline[data-camera=front] button.{state}")

    def shot(self, name, size, colours):
        width, height = size
        self.browser.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                         mobile=width < 600)
        self.browser.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": colours}])
        overflow = self.browser.run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if overflow > 0:
            raise Failed(f"{name}: the page is {overflow} pixels too wide")
        if self.shots:
            self.browser.screenshot(os.path.join(self.shots, f"{name}.png"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("url")
    parser.add_argument("--state")
    parser.add_argument("--read-only", action="store_true")
    parser.add_argument("--token")
    parser.add_argument("--screenshots")
    options = parser.parse_args()
    started = time.monotonic()
    if options.screenshots:
        os.makedirs(options.screenshots, exist_ok=True)
    try:
        with Browser() as browser:
            visit = Visit(browser, options)
            try:
                visit.glance() if options.read_only else visit.everything()
            except Failed:
                print("console:", browser.entries("browser"), file=sys.stderr)
                if options.screenshots:
                    browser.screenshot(os.path.join(options.screenshots, "failed.png"))
                raise
    except Failed as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print(f"all of it in {time.monotonic() - started:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
