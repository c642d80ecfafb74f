// Text and pictures from data: nothing here asks the server or keeps a state. Whatever came over the bus goes into
// textContent or an attribute, never into markup.

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made[name] = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Makes `old` look like `fresh` and keeps of it what is the same: the focus, a picture, a button that is being pressed.
export function become(old, fresh) {
  if (old.nodeName !== fresh.nodeName) return old.replaceWith(fresh);
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const name of fresh.getAttributeNames()) {
    const value = fresh.getAttribute(name);
    if (old.getAttribute(name) === value) continue;
    // The page's policy allows no style attribute but by this way.
    if (name === "style") old.style.cssText = value;
    else old.setAttribute(name, value);
  }
  old.onclick = fresh.onclick;
  const [there, wanted] = [[...old.childNodes], [...fresh.childNodes]];
  wanted.forEach((child, place) => { there[place] ? become(there[place], child) : old.append(child); });
  there.slice(wanted.length).forEach((child) => child.remove());
}

export function bytes(count) {
  if (!Number.isFinite(count)) return "?";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) { count /= 1000; unit += 1; }
  return `${count >= 100 || unit === 0 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}

export function duration(seconds) {
  if (!Number.isFinite(seconds)) return "?";
  if (seconds < 60) return `${seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)} s`;
  const parts = [[86400, "d"], [3600, "h"], [60, "min"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  const [size, unit] = parts[first];
  const rest = parts[first + 1];
  const more = rest ? Math.floor((seconds % size) / rest[0]) : 0;
  return `${Math.floor(seconds / size)} ${unit}${more ? ` ${more} ${rest[1]}` : ""}`;
}

export function clock(time, withDay = false) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  if (withDay) Object.assign(options, { day: "numeric", month: "short" });
  return new Date(time).toLocaleString(undefined, options);
}

export function counted(count, noun) { return `${count} ${noun}${count === 1 ? "" : "s"}`; }

// One line of time. `files` and `gaps` as the interface lists them; `play` is called with a file; `elsewhere`, if any,
// is the node that has what is missing here.
export function timeline(name, begin, end, files, gaps, play, elsewhere) {
  const from = begin.getTime();
  const length = end.getTime() - from;
  const place = (mark, start, stop) => {
    const left = Math.max(0, (start - from) / length);
    const right = Math.min(1, (stop - from) / length);
    mark.style.left = `${left * 100}%`;
    mark.style.width = `${Math.max(0, right - left) * 100}%`;
    return mark;
  };
  const track = element("div", { class: "track" });
  for (const file of files) {
    const start = Date.parse(file.started_at);
    const stop = file.ended_at ? Date.parse(file.ended_at) : Date.now();
    const label = `${clock(start)} to ${file.ended_at ? clock(stop) : "now"}, ${bytes(file.bytes ?? NaN)}`;
    const mark = element("button", {
      type: "button", class: file.url ? file.state : "gone", title: label, disabled: !file.url,
      "aria-label": file.url ? `Play ${name}, ${label}` : `${name}, ${label}, ${file.state}`,
      onclick: () => play(file),
    });
    track.append(place(mark, start, stop));
  }
  for (const gap of gaps) {
    const label = `Gap of ${duration(gap.seconds)} from ${clock(gap.from)}: ${gap.cause.replaceAll("_", " ")}`;
    track.append(place(element("div", { class: "gap", title: label, role: "img", "aria-label": label }),
      Date.parse(gap.from), Date.parse(gap.to)));
  }
  const told = elsewhere && !files.length && !gaps.length ? `its recordings are on ${elsewhere}`
    : `${counted(files.length, "file")}, ${counted(gaps.length, "gap")}`;
  return element("div", { class: "timeline", "data-camera": name, role: "group", "aria-label": `${name}: ${told}` },
    element("span", { class: "name" }, `${name}: ${told}`), track,
    element("div", { class: "hours", "aria-hidden": "true" },
      ...[0, 1, 2, 3, 4].map((quarter) => element("span", {}, clock(from + (quarter * length) / 4).slice(0, 5)))));
}

// A line over time. Where nothing was measured the line has a hole.
export function sparkline(title, values, print) {
  const known = values.filter((value) => value !== null);
  const most = Math.max(...known, 0);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const last = known.length ? known[known.length - 1] : null;
  const told = known.length
    ? `${print(last)} now, ${print(Math.min(...known))} to ${print(most)}` : "nothing was measured";
  svg.setAttribute("viewBox", "0 0 1000 100");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `${title}: ${told}`);
  let line = "";
  let isDrawing = false;
  values.forEach((value, index) => {
    if (value === null) { isDrawing = false; return; }
    const x = values.length > 1 ? (index / (values.length - 1)) * 1000 : 500;
    const y = most > 0 ? 97 - (value / most) * 94 : 97;
    line += `${isDrawing ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}${isDrawing ? "" : "h3"}`;
    isDrawing = true;
  });
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", line);
  svg.append(path);
  return element("figure", { class: "plot", "data-plot": title },
    element("figcaption", {}, element("span", {}, title), element("span", {}, told)), svg);
}
