// The timelines: one span of time, and what each camera recorded and lost in it. Owns the span and its controls.
import { become, element, timeline } from "/plots.js";
import { gapsOf, Questions, recordingsOf } from "/server.js";

const find = (selector) => document.querySelector(selector);
const questionsAtOnce = 4;
// Several events in a moment are one question.
const soonMilliseconds = 400;
// How often the span moves on with time, and the files that are being written grow.
const pace = 60000;

function midnight(date) { return new Date(date.getFullYear(), date.getMonth(), date.getDate()); }

export class Timelines {
  #from = midnight(new Date());
  #hours = 24;
  // Whether the span moves on with time: until somebody looks at another one.
  #isFollowing = true;
  #place = null;
  #cameras = [];
  // The cameras with a file that is being written.
  #growing = new Set();
  #soon = new Map();
  #questions = new Questions(questionsAtOnce);
  #tell;

  // `tell` has `play(file)`, `notice(text)`, `drawFiles(camera, recordings)`, `elsewhere(camera)`, the other node that
  // records it, and `isWatched()`.
  constructor(tell) {
    this.#tell = tell;
    find("#day").addEventListener("change", (event) => this.#choose(event.target.value));
    find("#zoom").addEventListener("change", (event) => this.#zoom(Number(event.target.value)));
    for (const button of document.querySelectorAll("[data-step]")) {
      button.addEventListener("click", () => this.#step(Number(button.dataset.step)));
    }
    const moveOn = () => { if (this.#tell.isWatched()) this.#moveOn(); };
    setInterval(moveOn, pace);
    document.addEventListener("visibilitychange", moveOn);
  }

  // Shows these cameras, in this order, in this place; what stands there already stays until the answers come.
  show(cameras, place) {
    if (this.#place !== place) this.#place?.replaceChildren();
    this.#place = place;
    this.#cameras = cameras;
    this.#follow();
    this.#draw();
  }

  drawSoon(camera) {
    clearTimeout(this.#soon.get(camera));
    this.#soon.set(camera, setTimeout(() => this.#wish(camera), soonMilliseconds));
  }

  // MARK: The span

  // Days are of 23 to 25 hours.
  get #end() {
    const from = this.#from;
    return this.#hours === 24 ? new Date(from.getFullYear(), from.getMonth(), from.getDate() + 1)
      : new Date(from.getTime() + this.#hours * 3600000);
  }

  // Today, or what has just been.
  #follow() {
    if (!this.#isFollowing) return;
    const now = new Date();
    const from = this.#hours === 24 ? midnight(now) : new Date(now.getTime() - this.#hours * 3600000 * 0.95);
    if (from.getTime() !== this.#from.getTime()) this.#from = from;
  }

  #choose(day) {
    const [year, month, date] = day.split("-").map(Number);
    if (date) this.#look(new Date(year, month - 1, date));
  }

  #step(step) {
    const from = this.#from;
    this.#look(this.#hours === 24 ? new Date(from.getFullYear(), from.getMonth(), from.getDate() + step)
      : new Date(from.getTime() + step * this.#hours * 3600000));
  }

  #zoom(hours) {
    this.#isFollowing ||= midnight(this.#from).getTime() === midnight(new Date()).getTime();
    this.#hours = hours;
    this.#from = midnight(this.#from);
    this.#follow();
    this.#drawAnew();
  }

  // A span that holds the present follows it.
  #look(from) {
    this.#from = from;
    const now = new Date();
    this.#isFollowing = from <= now && now < this.#end;
    this.#follow();
    this.#drawAnew();
  }

  #moveOn() {
    if (!this.#place) return;
    const before = this.#from;
    this.#follow();
    if (this.#from !== before) this.#draw();
    else for (const camera of this.#growing) this.#wish(camera);
  }

  // MARK: Drawing

  // What stands there is of another span.
  #drawAnew() {
    this.#place?.replaceChildren();
    this.#draw();
  }

  #draw() {
    const from = this.#from;
    const two = (number) => String(number).padStart(2, "0");
    find("#day").value = `${from.getFullYear()}-${two(from.getMonth() + 1)}-${two(from.getDate())}`;
    this.#arrange();
    for (const camera of this.#cameras) this.#wish(camera);
  }

  // Places in the order of the cameras; answers come in any.
  #arrange() {
    if (!this.#place) return;
    const there = [...this.#place.children];
    const wanted = this.#cameras.map((camera) => there.find((line) => line.dataset.camera === camera)
      ?? element("div", { class: "timeline", "data-camera": camera }));
    const isSame = there.length === wanted.length && wanted.every((line, index) => line === there[index]);
    if (!isSame) this.#place.replaceChildren(...wanted);
  }

  #wish(camera) { this.#questions.wish(camera, () => this.#ask(camera)); }

  async #ask(camera) {
    const [from, end, place] = [this.#from, this.#end, this.#place];
    if (!this.#cameras.includes(camera)) return;
    const query = { camera, from: from.toISOString(), to: end.toISOString() };
    try {
      const [recordings, gaps] = [await recordingsOf(query), await gapsOf(query)];
      const old = place.querySelector(`[data-camera="${CSS.escape(camera)}"]`);
      if (from !== this.#from || place !== this.#place || !old) return;
      become(old, timeline(camera, from, end, recordings, gaps, this.#tell.play, this.#tell.elsewhere(camera)));
      if (recordings.some((file) => file.state === "open")) this.#growing.add(camera);
      else this.#growing.delete(camera);
      this.#tell.drawFiles(camera, recordings);
    } catch (error) {
      this.#tell.notice(`The recordings of ${camera} cannot be shown: ${error.message}`);
    }
  }
}
