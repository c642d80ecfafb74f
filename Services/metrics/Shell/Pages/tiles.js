// A camera's tile: its picture, its state and why, its buttons. Nothing here asks the server or keeps a state.
import { bytes, clock, element } from "/plots.js";

const colours = {
  recording: "bad", active: "good", starting: "warn", stopping: "warn", closing: "warn", failed: "bad",
  ok: "good", degraded: "warn", failing: "bad", offline: "bad",
};

function badge(text, state) { return element("li", { class: `badge ${colours[state] ?? ""} ${state}` }, text); }

// `page` has `isShown`, whether this camera has the page to itself; `isReadOnly`, without buttons; `busy`, the names of
// commands that wait for their answers; and `command(camera, noun, body)`.
export function tile(camera, page) {
  const { id, stream, recording, health, snapshot, stats } = camera;
  const isRecording = ["starting", "recording"].includes(recording?.state);
  // Also what has failed: its leases wait for the source, and only a stop ends that.
  const isWanted = isRecording || recording?.state === "failed" || recording?.leases?.length > 0;
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
  const link = page.isShown ? element("span", {}, id)
    : element("a", { href: `#/camera/${encodeURIComponent(id)}` }, id);
  return element("article", { class: "tile", "data-camera": id, "aria-label": id },
    picture(id, snapshot),
    element("div", { class: "body" }, element("h3", {}, link), badges,
      // There even if empty, so that what follows keeps its place.
      element("p", { class: "facts" }, facts.join(". ")), element("p", { class: "facts bad" }, reasons.join(". ")),
      page.isReadOnly ? null : element("div", { class: "actions" },
        action(page, id, "record", "recording", isWanted ? "Stop recording" : "Record", isWanted,
          { command: isWanted ? "stop" : "start" }),
        action(page, id, "snapshot", "snapshot", "Snapshot", null, {}),
        action(page, id, "rotate", "rotation", "New file", null, { command: "rotate" }, !isRecording))));
}

function action(page, camera, name, noun, text, pressed, body, disabled = false) {
  return element("button", {
    type: "button", "data-action": name, disabled, "aria-label": `${text}: ${camera}`,
    "aria-disabled": page.busy.has(`${camera}/${noun}`) ? "true" : undefined,
    "aria-pressed": pressed === null ? undefined : String(pressed), onclick: () => page.command(camera, noun, body),
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
