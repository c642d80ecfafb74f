// Questions to the server: nothing here draws.

export class Refused extends Error {
  constructor(status, message, waitSeconds) {
    super(message);
    this.status = status;
    this.waitSeconds = waitSeconds;
  }
}

// A token that is missing or wrong is told to the window as `unauthorized`.
export async function ask(path, options) {
  const answer = await fetch(path, { credentials: "same-origin", ...options });
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  let message = `${answer.status} ${answer.statusText}`;
  try { message = (await answer.json()).error.message; } catch { /* Not in the envelope: the status has to do. */ }
  if (answer.status === 401) window.dispatchEvent(new Event("unauthorized"));
  throw new Refused(answer.status, message, Number(answer.headers.get("Retry-After")) || 1);
}

const attemptsMax = 5;
const pageRows = 1000;
// A file a second for a day, and gaps as often.
const pagesMax = 100;

function pause(seconds) { return new Promise((resolve) => { setTimeout(resolve, seconds * 1000); }); }

// Asks again when the server has had enough for now.
async function askPatiently(path) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(path);
    } catch (error) {
      if (error.status !== 429 || attempt === attemptsMax) throw error;
      await pause(error.waitSeconds);
    }
  }
}

// All rows of a span of time, page after page. A page begins where the last row of the one before it did, so some rows
// come twice. `begin` gives a row's beginning, `name` what no other row has.
async function rows(path, key, query, begin, name) {
  const found = new Map();
  let from = query.from;
  for (let number = 0; number < pagesMax; number += 1) {
    const page = await askPatiently(`${path}?${new URLSearchParams({ ...query, from, limit: pageRows })}`);
    const before = found.size;
    for (const row of page[key]) found.set(name(row), row);
    // Without a new one among them, more rows are of one moment than a page holds; there is no way past them.
    if (!page.more || found.size === before) break;
    from = begin(page[key].at(-1));
  }
  return [...found.values()];
}

// `query` has a camera, from and to.
export function recordingsOf(query) {
  return rows("/api/v1/recordings", "recordings", query, (row) => row.started_at, (row) => row.id);
}

export function gapsOf(query) {
  return rows("/api/v1/gaps", "gaps", query, (row) => row.from, (row) => `${row.session} ${row.from}`);
}

// A few questions at a time. Of one subject one runs and one waits: a newer wish takes the place of the one that waits.
export class Questions {
  #most;
  #waiting = new Map();
  #running = new Set();

  constructor(most) { this.#most = most; }

  wish(subject, question) {
    this.#waiting.set(subject, question);
    this.#next();
  }

  #next() {
    for (const [subject, question] of this.#waiting) {
      if (this.#running.size >= this.#most) return;
      if (this.#running.has(subject)) continue;
      this.#waiting.delete(subject);
      this.#running.add(subject);
      question().finally(() => {
        this.#running.delete(subject);
        this.#next();
      });
    }
  }
}
