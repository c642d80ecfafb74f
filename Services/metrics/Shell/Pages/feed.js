// The event stream of the server: which one is open, and whether it is. Nothing here draws or knows what a camera is.

const states = ["availability", "stream", "recording", "viewing", "snapshot", "rotation", "health", "config", "stats"];
const events = ["segment", "gap", "error"];

export class Feed {
  #source = null;
  #camera;
  #tell;

  // `tell` has `opened()`, when a new stream is open: from then on everything is heard, so it is the moment to ask how
  // things stand; `cameBack()`, when it goes on where it broke; `lost(isFinal)`; `missed()`, when not all of it came;
  // `changed(noun, told)`, `happened(noun, told)`, `changedNode(noun, told)`, `service(told)` and `bus(told)`.
  constructor(tell) { this.#tell = tell; }

  get isOpen() { return this.#source?.readyState === EventSource.OPEN; }

  // `camera` null: all of them, without their telemetry.
  follow(camera) {
    if (this.#source && this.#camera === camera && this.#source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.#camera = camera;
    const source = new EventSource(camera ? `/events?camera=${encodeURIComponent(camera)}` : "/events");
    this.#source = source;
    let isNew = true;
    source.onopen = () => {
      if (isNew) this.#tell.opened();
      else this.#tell.cameBack();
      isNew = false;
    };
    // A refusal is final for an EventSource; anything else it tries again.
    source.onerror = () => this.#tell.lost(source.readyState === EventSource.CLOSED);
    source.addEventListener("reset", () => this.#tell.missed());
    const listen = (name, tell) => source.addEventListener(name, (event) => tell(JSON.parse(event.data)));
    for (const noun of states) listen(noun, (told) => this.#tell.changed(noun, told));
    for (const noun of events) listen(noun, (told) => this.#tell.happened(noun, told));
    for (const noun of ["storage", "mediamtx"]) listen(noun, (told) => this.#tell.changedNode(noun, told));
    listen("service", (told) => this.#tell.service(told));
    listen("bus", (told) => this.#tell.bus(told));
  }

  close() {
    this.#source?.close();
    this.#source = null;
  }
}
