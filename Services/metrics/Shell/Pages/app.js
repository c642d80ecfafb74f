// The dashboard. It follows /events and asks for everything once the stream is open, so that nothing falls between the
// two; what is on the page is drawn from `known` alone.
import { Feed } from "/feed.js";
import { become, bytes, clock, duration, element, sparkline } from "/plots.js";
import { ask } from "/server.js";
import { tile } from "/tiles.js";
import { Timelines } from "/timelines.js";

const find = (selector) => document.querySelector(selector);
const known = { node: null, cameras: new Map(), nodes: new Map(), bus: false, isReadOnly: false, ready: false };
const timelines = new Timelines({ play, notice, drawFiles, elsewhere, isWatched });
const feed = new Feed({
  opened: load, cameBack: drawLink, lost, missed: load, changed, happened, changedNode,
  service: (told) => note(`${told.service} of ${told.instance} is ${told.data.state}`, told.data.state !== "online"),
  bus: ({ connected }) => {
    hear(() => { known.bus = connected; });
    drawLink();
  },
});
const eventsMax = 100;
const busy = new Set();
let shown = null;

// MARK: The server

// Whether somebody looks: a page behind others, or one that asks for the token, leaves the server alone.
function isWatched() { return !document.hidden && !find("#signin").open; }

function notice(text) {
  const place = find("#notice");
  place.textContent = text ?? "";
  place.hidden = !text;
}

function follow() {
  if (isWatched()) feed.follow(known.ready ? shown : wanted());
  else feed.close();
}

function lost(isFinal) {
  drawLink();
  if (!isFinal) return;
  // The answer to a question says why.
  look().catch(() => { /* It is tried again. */ });
  setTimeout(follow, 3000);
}

// How things stand, and what happened since somebody listened last.
async function load() {
  try {
    await look();
    drawTimelines();
  } catch (error) {
    if (error.status === 401) return;
    linked("no connection", true);
    setTimeout(() => { if (feed.isOpen) load(); }, 3000);
  }
}

// What was heard since a question was asked is newer than its answer may be, and holds after it too.
const heardSince = new Set();
let asked = 0;
let answered = 0;

function hear(apply) {
  apply();
  for (const heard of heardSince) heard.push(apply);
}

async function look() {
  const heard = [];
  heardSince.add(heard);
  asked += 1;
  const number = asked;
  try {
    const status = await ask("/api/v1/status");
    if (number < answered) return;
    answered = number;
    take(status);
    for (const apply of heard) apply();
  } finally {
    heardSince.delete(heard);
  }
  if (known.ready) return drawAgain();
  known.ready = true;
  draw();
  drawLink();
  follow();
}

function take(status) {
  known.node = status.node;
  known.cameras = new Map(status.cameras.map((camera) => [camera.id, camera]));
  known.nodes = new Map(status.nodes.map((node) => [node.id, node]));
  known.bus = status.bus_connected;
  known.isReadOnly = status.read_only;
  find("#signout").hidden = !status.token_required;
}

// The server answers; whether it hears the cameras is another matter.
function drawLink() {
  if (!feed.isOpen) linked("connection lost, trying again", true);
  else linked(known.bus ? "live" : "no connection to the broker", !known.bus);
}

function linked(text, isLost) {
  if (find("#link").textContent !== text) find("#link").textContent = text;
  find("#link").classList.toggle("lost", isLost);
}

// MARK: Events

function changed(noun, told) {
  // The configuration's own topic has no camera.
  if (!told?.camera) return;
  const id = told.camera;
  const before = known.cameras.get(id)?.[noun];
  hear(() => keep(noun, told));
  if (noun === "recording" && before && told.data && before.state !== told.data.state) {
    note(`${id}: recording ${told.data.state}`, told.data.state === "failed");
  }
  if (noun === "health" && before && told.data && before.status !== told.data.status) {
    note(`${id}: health ${told.data.status}`, told.data.status !== "ok");
  }
  if (!known.ready) return;
  drawTile(id);
  if (id === shown) drawFacts();
  // Of which node the recordings are.
  if (noun === "config") timelines.drawSoon(id);
}

function keep(noun, told) {
  const camera = known.cameras.get(told.camera) ?? { id: told.camera, configured: false, online: false };
  if (noun === "availability") camera.online = told.data === "online";
  else if (told.data === null) delete camera[noun];
  else camera[noun] = told.data;
  known.cameras.set(camera.id, camera);
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
  hear(() => {
    const node = known.nodes.get(told.node) ?? { id: told.node };
    if (told.data === null) delete node[noun];
    else node[noun] = told.data;
    known.nodes.set(node.id, node);
  });
  if (known.ready) drawNode(told.node);
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

function tileOf(camera) {
  return tile(camera, { isShown: camera.id === shown, isReadOnly: known.isReadOnly, busy, command });
}

function drawTile(id) {
  const camera = known.cameras.get(id);
  for (const place of [find("#tiles"), find("#detail-tile")]) {
    const old = place.querySelector(`[data-camera="${CSS.escape(id)}"]`);
    if (old) become(old, tileOf(camera));
  }
  if (known.cameras.has(id) && !shown && !find("#tiles").querySelector(`[data-camera="${CSS.escape(id)}"]`)) draw();
}

// The answer to a question, without taking from anybody what they hold or look at.
function drawAgain() {
  if (shown && !known.cameras.has(shown)) {
    draw();
    return follow();
  }
  const gone = [...find("#tiles").children].filter((place) => !known.cameras.has(place.dataset.camera));
  gone.forEach((place) => place.remove());
  if (gone.length) drawTimelines();
  for (const id of known.cameras.keys()) drawTile(id);
  find("#nothing").hidden = known.cameras.size > 0;
  for (const place of [...find("#nodes").children]) if (!known.nodes.has(place.dataset.node)) place.remove();
  for (const id of known.nodes.keys()) drawNode(id);
  if (shown) drawFacts();
  drawLink();
}

// MARK: Recordings

// The node that has a camera's recordings, if it is another one: this one knows its own alone.
function elsewhere(id) {
  const node = known.cameras.get(id)?.config?.node;
  return node && node !== known.node ? node : null;
}

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

function drawNode(id) {
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

function drawFacts() {
  const camera = known.cameras.get(shown);
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
  become(find("#facts"), element("dl", { id: "facts" }, ...rows));
}

// MARK: The page

// The camera that the address names.
function wanted() {
  return /^#\/camera\/([a-z0-9][a-z0-9_-]{0,62})$/.exec(decodeURIComponent(location.hash))?.[1] ?? null;
}

function draw() {
  shown = known.cameras.has(wanted()) ? wanted() : null;
  find("#overview").hidden = Boolean(shown);
  find("#detail").hidden = !shown;
  document.title = shown ? `${shown} - Framekeeper` : "Framekeeper";
  if (shown) {
    const camera = known.cameras.get(shown);
    find("#detail-title").textContent = shown;
    find("#detail-tile").replaceChildren(tileOf(camera));
    find("#files tbody").replaceChildren();
    drawFacts();
    drawPlots();
  } else {
    const names = [...known.cameras.keys()].sort();
    find("#tiles").replaceChildren(...names.map((id) => tileOf(known.cameras.get(id))));
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
  feed.close();
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
  follow();
});
find("#signin").addEventListener("cancel", (event) => event.preventDefault());
find("#signout").addEventListener("click", async () => {
  await fetch("/api/v1/session", { method: "DELETE" });
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
// The overview hears no telemetry; it looks now and then.
async function refresh() {
  if (!known.ready || shown || !isWatched()) return;
  try {
    await look();
  } catch (error) {
    // The line at the top says when the connection is lost.
    if (error.status) notice(error.message);
  }
}

// A browser opens six connections to a server, and each stream holds one: a page that nobody sees gives its own back.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && feed.isOpen) refresh();
  else follow();
});
setInterval(refresh, 10000);
setInterval(() => {
  if (!known.ready || !isWatched()) return;
  drawPlots();
  if (!shown) drawTrend();
}, 30000);
follow();
