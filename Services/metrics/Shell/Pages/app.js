// The dashboard. It asks for everything once, then follows /events; what is on the page is drawn from `known` alone.
import { become, bytes, clock, duration, element, sparkline } from "/plots.js";
import { ask } from "/server.js";
import { Timelines } from "/timelines.js";

const find = (selector) => document.querySelector(selector);
const known = { cameras: new Map(), nodes: new Map(), bus: false, ready: false };
const timelines = new Timelines({ play, notice, drawFiles });
const eventsMax = 100;
const busy = new Set();
let shown = null;
let source = null;
let sourceFor;

// MARK: The server

function notice(text) {
  const place = find("#notice");
  place.textContent = text ?? "";
  place.hidden = !text;
}

async function load() {
  try {
    const status = await ask("/api/v1/status");
    known.cameras = new Map(status.cameras.map((camera) => [camera.id, camera]));
    known.nodes = new Map(status.nodes.map((node) => [node.id, node]));
    known.ready = true;
    known.bus = status.bus_connected;
    drawLink();
    draw();
    follow();
  } catch (error) {
    if (error.status !== 401) {
      linked("no connection", true);
      setTimeout(load, 3000);
    }
  }
}

// The server answers; whether it hears the cameras is another matter.
function drawLink() { linked(known.bus ? "live" : "no connection to the broker", !known.bus); }

function linked(text, isLost) {
  find("#link").textContent = text;
  find("#link").classList.toggle("lost", isLost);
}

// MARK: Events

function follow() {
  if (source && sourceFor === shown && source.readyState !== EventSource.CLOSED) return;
  source?.close();
  sourceFor = shown;
  source = new EventSource(shown ? `/events?camera=${encodeURIComponent(shown)}` : "/events");
  source.onopen = drawLink;
  source.onerror = () => {
    linked("connection lost, trying again", true);
    // A refusal is final for an EventSource; asking for the status says why.
    if (source.readyState === EventSource.CLOSED) setTimeout(load, 3000);
  };
  source.addEventListener("reset", load);
  source.addEventListener("bus", (event) => {
    known.bus = JSON.parse(event.data).connected;
    drawLink();
  });
  const states = ["availability", "stream", "recording", "viewing", "snapshot", "rotation", "health", "config", "stats"];
  for (const noun of states) source.addEventListener(noun, (event) => changed(noun, JSON.parse(event.data)));
  for (const noun of ["segment", "gap", "error"]) {
    source.addEventListener(noun, (event) => happened(noun, JSON.parse(event.data)));
  }
  source.addEventListener("storage", (event) => changedNode("storage", JSON.parse(event.data)));
  source.addEventListener("mediamtx", (event) => changedNode("mediamtx", JSON.parse(event.data)));
  source.addEventListener("service", (event) => {
    const told = JSON.parse(event.data);
    note(`${told.service} of ${told.instance} is ${told.data.state}`, told.data.state !== "online");
  });
}

function changed(noun, told) {
  // The configuration's own topic has no camera.
  if (!told?.camera) return;
  const camera = known.cameras.get(told.camera) ?? { id: told.camera, configured: false, online: false };
  const before = camera[noun];
  if (noun === "availability") camera.online = told.data === "online";
  else if (told.data === null) delete camera[noun];
  else camera[noun] = told.data;
  known.cameras.set(camera.id, camera);
  if (noun === "recording" && before && told.data && before.state !== told.data.state) {
    note(`${camera.id}: recording ${told.data.state}`, told.data.state === "failed");
  }
  if (noun === "health" && before && told.data && before.status !== told.data.status) {
    note(`${camera.id}: health ${told.data.status}`, told.data.status !== "ok");
  }
  drawTile(camera.id);
}

function happened(noun, told) {
  const { camera, data } = told;
  if (!data) return;
  if (noun === "segment") {
    if (data.event === "closed") note(`${camera}: file of ${duration(data.duration_seconds)}, ${bytes(data.bytes)}`);
    timelines.drawSoon(camera);
  } else if (noun === "gap") {
    note(`${camera}: gap of ${duration(data.seconds)}, ${data.cause.replaceAll("_", " ")}`, true);
    timelines.drawSoon(camera);
  } else {
    note(`${camera}: ${data.message}`, true);
  }
}

function changedNode(noun, told) {
  const node = known.nodes.get(told.node) ?? { id: told.node };
  if (told.data === null) delete node[noun];
  else node[noun] = told.data;
  known.nodes.set(node.id, node);
  drawNode(node.id);
}

function note(text, isBad = false) {
  const list = find("#events");
  const now = new Date();
  list.prepend(element("li", { class: isBad ? "bad" : undefined },
    element("time", { datetime: now.toISOString() }, clock(now)), text));
  while (list.children.length > eventsMax) list.lastElementChild.remove();
}

// MARK: Commands

// The button keeps the focus meanwhile, so it is not disabled; a second press is not heard.
async function command(camera, noun, body) {
  const key = `${camera}/${noun}`;
  if (busy.has(key)) return;
  busy.add(key);
  drawTile(camera);
  try {
    await ask(`/api/v1/cameras/${encodeURIComponent(camera)}/${noun}`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
    });
    notice(null);
  } catch (error) {
    notice(`${camera}: ${error.message}`);
  } finally {
    busy.delete(key);
    drawTile(camera);
  }
}

// MARK: Tiles

const colours = {
  recording: "bad", active: "good", starting: "warn", stopping: "warn", closing: "warn", failed: "bad",
  ok: "good", degraded: "warn", failing: "bad", offline: "bad",
};

function badge(text, state) { return element("li", { class: `badge ${colours[state] ?? ""} ${state}` }, text); }

function tile(camera) {
  const { id, stream, recording, health, snapshot, stats } = camera;
  const isRecording = ["starting", "recording"].includes(recording?.state);
  const badges = element("ul", { class: "badges", "aria-label": "State" });
  if (!camera.online) badges.append(badge("worker offline", "offline"));
  if (stream) badges.append(badge(`stream ${stream.state}`, stream.state));
  if (recording) badges.append(badge(recording.state === "off" ? "not recording" : recording.state, recording.state));
  if (health && health.status !== "unknown") badges.append(badge(`health ${health.status}`, health.status));
  const facts = [];
  const leases = Object.entries(stream?.leases ?? {}).filter(([, count]) => count > 0);
  if (leases.length) facts.push(`Leases: ${leases.map(([use, count]) => `${use} ${count}`).join(", ")}`);
  if (stats && stream?.state === "active") {
    facts.push(`${Number(stats.fps).toFixed(1)} fps, ${bytes(stats.bitrate_bps / 8)}/s`);
  }
  const reasons = (health?.reasons ?? []).map((reason) => reason.message ?? String(reason));
  const error = recording?.error?.message ?? stream?.error?.message;
  if (error) reasons.push(error);
  const link = id === shown ? element("span", {}, id) : element("a", { href: `#/camera/${encodeURIComponent(id)}` }, id);
  return element("article", { class: "tile", "data-camera": id, "aria-label": id },
    picture(id, snapshot),
    element("div", { class: "body" }, element("h3", {}, link), badges,
      // There even if empty, so that what follows keeps its place.
      element("p", { class: "facts" }, facts.join(". ")), element("p", { class: "facts bad" }, reasons.join(". ")),
      element("div", { class: "actions" },
        action(id, "record", "recording", isRecording ? "Stop recording" : "Record", isRecording,
          { command: isRecording ? "stop" : "start" }),
        action(id, "snapshot", "snapshot", "Snapshot", null, {}),
        action(id, "rotate", "rotation", "New file", null, { command: "rotate" }, !isRecording))));
}

function action(camera, name, noun, text, pressed, body, disabled = false) {
  return element("button", {
    type: "button", "data-action": name, disabled, "aria-label": `${text}: ${camera}`,
    "aria-disabled": busy.has(`${camera}/${noun}`) ? "true" : undefined,
    "aria-pressed": pressed === null ? undefined : String(pressed), onclick: () => command(camera, noun, body),
  }, text);
}

function picture(id, snapshot) {
  if (!snapshot) return element("div", { class: "picture" }, "no snapshot yet");
  const at = encodeURIComponent(snapshot.captured_at);
  return element("div", { class: "picture" }, element("img", {
    // Before the address: of many cameras only the pictures are asked for that somebody sees.
    loading: "lazy", src: `/snapshots/${id}.jpg?at=${at}`, alt: `${id} at ${clock(snapshot.captured_at, true)}`,
  }));
}

function drawTile(id) {
  const camera = known.cameras.get(id);
  for (const place of [find("#tiles"), find("#detail-tile")]) {
    const old = place.querySelector(`[data-camera="${CSS.escape(id)}"]`);
    if (old) become(old, tile(camera));
  }
  if (known.cameras.has(id) && !shown && !find("#tiles").querySelector(`[data-camera="${CSS.escape(id)}"]`)) draw();
}

// MARK: Recordings

function drawFiles(camera, recordings) {
  if (camera !== shown) return;
  become(find("#files tbody"), element("tbody", {}, ...recordings.toReversed().map((file) => element("tr", {},
    element("td", {}, clock(file.started_at)), element("td", {}, duration(file.duration_seconds ?? NaN)),
    element("td", {}, bytes(file.bytes ?? NaN)), element("td", {}, file.state),
    element("td", {}, file.url ? element("button", {
      type: "button", "aria-label": `Play the file of ${clock(file.started_at)}`, onclick: () => play(file),
    }, "Play") : null)))));
}

function play(file) {
  const video = find("#player video");
  find("#player-title").textContent = `${file.camera}, ${clock(file.started_at, true)}`;
  find("#player-note").textContent = file.state === "open" ? "This file is still being written." : "";
  video.onerror = () => { find("#player-note").textContent = "This browser cannot play the file."; };
  video.src = file.url;
  find("#player").showModal();
  video.play().catch(() => { /* It waits for a click then. */ });
}

// MARK: Storage

async function drawNode(id) {
  const node = known.nodes.get(id);
  const old = find("#nodes").querySelector(`[data-node="${CSS.escape(id)}"]`);
  if (!node?.storage) return old?.remove();
  const { storage } = node;
  const taken = storage.total_bytes - storage.free_bytes;
  const left = node.storage_left_seconds ? `, full in ${duration(node.storage_left_seconds)} at this rate` : "";
  const text = `${bytes(storage.free_bytes)} of ${bytes(storage.total_bytes)} free${left}. Recordings take `
    + `${bytes(storage.used_bytes)}${storage.oldest_at ? `, the oldest is of ${clock(storage.oldest_at, true)}` : ""}.`;
  const fresh = element("div", { class: "node", "data-node": id },
    element("div", { class: "bar" }, element("h3", {}, id),
      element("span", { class: `badge ${storage.status === "ok" ? "good" : "bad"}` }, `storage ${storage.status}`)),
    element("meter", {
      min: 0, max: storage.total_bytes, value: taken, high: storage.total_bytes * 0.9, "aria-label": `Taken on ${id}`,
    }), element("p", { class: "facts" }, text));
  const trend = old?.querySelector("figure");
  if (trend) fresh.append(trend);
  if (old) old.replaceWith(fresh);
  else find("#nodes").append(fresh);
}

async function drawTrend() {
  try {
    const history = await ask("/api/v1/history?step=1m");
    const place = find(`#nodes [data-node="${CSS.escape(history.subject.slice("node/".length))}"]`);
    place?.querySelector("figure")?.remove();
    place?.append(sparkline("Free space over the last six hours", spread(history, "free_bytes"), bytes));
  } catch (error) {
    // Without a history there is no trend, and nothing is wrong.
    if (error.status !== 409) notice(`The history cannot be shown: ${error.message}`);
  }
}

// One value per step, null where the history has none.
function spread(history, column) {
  const step = history.step_seconds * 1000;
  const times = history.at.map((at) => Date.parse(at));
  if (!times.length) return [];
  const values = new Array(Math.round((times[times.length - 1] - times[0]) / step) + 1).fill(null);
  times.forEach((time, index) => { values[Math.round((time - times[0]) / step)] = history[column][index]; });
  return values;
}

// MARK: One camera

async function drawPlots() {
  const camera = shown;
  if (!camera) return;
  try {
    const history = await ask(`/api/v1/history?camera=${encodeURIComponent(camera)}&step=${find("#span").value}`);
    if (camera !== shown) return;
    const milliseconds = (value) => `${(value * 1000).toFixed(1)} ms`;
    find("#plots").replaceChildren(
      sparkline("Frames per second", spread(history, "fps"), (value) => value.toFixed(1)),
      sparkline("Bitrate", spread(history, "bitrate_bps"), (value) => `${bytes(value / 8)}/s`),
      sparkline("Time to write a part", spread(history, "part_write_seconds"), milliseconds),
      sparkline("Dropped frames", spread(history, "dropped_frames"), (value) => String(Math.round(value))));
  } catch (error) {
    if (error.status !== 409) notice(`The history cannot be shown: ${error.message}`);
  }
}

function drawFacts(camera) {
  const rows = [];
  const add = (name, value) => {
    if (value === undefined || value === null || value === "") return;
    rows.push(element("dt", {}, name), element("dd", {}, String(value)));
  };
  add("Source", camera.stream?.source ?? camera.config?.source);
  if (camera.stream?.width) add("Picture", `${camera.stream.width} x ${camera.stream.height}, ${camera.stream.codec}`);
  add("Node", camera.config?.node);
  add("Groups", camera.config?.groups?.join(", "));
  add("Records", camera.config?.record?.replaceAll("_", " "));
  if (camera.rotation) add("A new file every", duration(camera.rotation.interval_seconds));
  if (camera.rotation?.next_at) add("The next one", clock(camera.rotation.next_at));
  for (const url of camera.viewing?.urls ?? []) add("Live view", url);
  find("#facts").replaceChildren(...rows);
}

// MARK: The page

function draw() {
  const match = /^#\/camera\/([a-z0-9][a-z0-9_-]{0,62})$/.exec(decodeURIComponent(location.hash));
  shown = match && known.cameras.has(match[1]) ? match[1] : null;
  find("#overview").hidden = Boolean(shown);
  find("#detail").hidden = !shown;
  document.title = shown ? `${shown} - Framekeeper` : "Framekeeper";
  if (shown) {
    const camera = known.cameras.get(shown);
    find("#detail-title").textContent = shown;
    find("#detail-tile").replaceChildren(tile(camera));
    find("#files tbody").replaceChildren();
    drawFacts(camera);
    drawPlots();
  } else {
    const names = [...known.cameras.keys()].sort();
    find("#tiles").replaceChildren(...names.map((id) => tile(known.cameras.get(id))));
    find("#nothing").hidden = names.length > 0;
    find("#nodes").replaceChildren();
    for (const node of known.nodes.keys()) drawNode(node);
    drawTrend();
  }
  drawTimelines();
}

function drawTimelines() {
  if (shown) timelines.show([shown], find("#detail-timeline"));
  else timelines.show([...known.cameras.keys()].sort(), find("#timelines"));
}

function signIn() {
  if (!find("#signin").open) find("#signin").showModal();
}

window.addEventListener("unauthorized", signIn);
find("#signin form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await fetch("/api/v1/session", {
    method: "POST", headers: { Authorization: `Bearer ${find("#token").value}` },
  });
  if (answer.status !== 204) {
    find("#signin-note").textContent = answer.status === 429 ? "Too many attempts; wait a minute." : "That is not it.";
    return;
  }
  find("#token").value = "";
  find("#signin-note").textContent = "";
  find("#signin").close();
  sessionStorage.setItem("signed-in", "yes");
  find("#signout").hidden = false;
  load();
});
find("#signin").addEventListener("cancel", (event) => event.preventDefault());
find("#signout").addEventListener("click", async () => {
  await fetch("/api/v1/session", { method: "DELETE" });
  sessionStorage.removeItem("signed-in");
  location.reload();
});
find("#player-close").addEventListener("click", () => find("#player").close());
find("#player").addEventListener("close", () => {
  const video = find("#player video");
  video.onerror = null;
  video.pause();
  video.removeAttribute("src");
  video.load();
});
find("#span").addEventListener("change", drawPlots);
window.addEventListener("hashchange", () => {
  if (!known.ready) return;
  draw();
  follow();
  find("#main").focus();
});
find("#signout").hidden = sessionStorage.getItem("signed-in") === null;

// Of what has taken everything back that it had said, nothing is left.
function forgetAllBut(ids) {
  const gone = [...known.cameras.keys()].filter((id) => !ids.has(id));
  for (const id of gone) {
    known.cameras.delete(id);
    find("#tiles").querySelector(`[data-camera="${CSS.escape(id)}"]`)?.remove();
  }
  if (!gone.length) return;
  find("#nothing").hidden = ids.size > 0;
  drawTimelines();
}

// The overview hears no telemetry; it looks now and then.
async function refresh() {
  if (!known.ready || shown || document.hidden) return;
  try {
    const { cameras } = await ask("/api/v1/cameras");
    forgetAllBut(new Set(cameras.map((camera) => camera.id)));
    for (const camera of cameras) {
      known.cameras.set(camera.id, camera);
      drawTile(camera.id);
    }
  } catch (error) {
    // The line at the top says when the connection is lost.
    if (error.status) notice(error.message);
  }
}

setInterval(refresh, 10000);
document.addEventListener("visibilitychange", refresh);
setInterval(() => { if (known.ready) { drawPlots(); if (!shown) drawTrend(); } }, 30000);
load();
