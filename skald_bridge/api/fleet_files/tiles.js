// Tiles of nodes: each is made once, and changed in place, so that what is open or focused stays so.

import { age, counted, element, setText, size } from "./words.js";

const BARS = [
  ["slots", "Tasks", (use) => `${use.taken} of ${use.total}`],
  ["cpus", "CPUs", (use) => `${use.taken} of ${use.total}`],
  ["memory", "Memory", (use) => `${size(use.taken)} of ${size(use.total)}`],
  ["gpuMemory", "GPU memory", (use) => `${size(use.taken)} of ${size(use.total)}`],
];
const NEARLY_FULL = 0.9;

export class Tiles {
  #folder;
  #tiles = new Map();
  #order = [];

  constructor(folder) {
    this.#folder = folder;
  }

  get keys() {
    return [...this.#tiles.keys()];
  }

  put(key, facts) {
    let tile = this.#tiles.get(key);
    if (tile === undefined) {
      tile = new Tile(facts);
      this.#tiles.set(key, tile);
      this.#insert(tile);
    }
    tile.show(facts);
  }

  remove(key) {
    const tile = this.#tiles.get(key);
    if (tile === undefined) return;
    this.#tiles.delete(key);
    this.#order.splice(this.#order.indexOf(tile), 1);
    tile.root.remove();
  }

  // How many are shown.
  filter(words, onlyOnline) {
    let shown = 0;
    for (const tile of this.#order) {
      const matches = words.every((word) => tile.words.includes(word)) && (!onlyOnline || tile.online);
      if (tile.root.hidden === matches) tile.root.hidden = !matches;
      shown += matches ? 1 : 0;
    }
    return shown;
  }

  #insert(tile) {
    let low = 0;
    let high = this.#order.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#order[middle].place.localeCompare(tile.place) < 0) low = middle + 1;
      else high = middle;
    }
    this.#folder.insertBefore(tile.root, this.#order[low]?.root ?? null);
    this.#order.splice(low, 0, tile);
  }
}

let numbered = 0;

class Tile {
  root = element("article", "tile");
  words = "";
  online = false;
  #name = element("h3");
  #status = element("span", "status");
  #where = element("p", "where");
  #bars = element("dl", "bars");
  #tasks = element("ul", "tasks");
  #more = element("details");
  #about = element("p");
  #meters = new Map();

  constructor(facts) {
    this.place = `${facts.kind}\n${facts.pool}\n${facts.name}`;
    const head = element("header");
    head.append(this.#name, this.#status);
    this.#name.id = `node-${++numbered}`;
    this.root.setAttribute("aria-labelledby", this.#name.id);
    this.#more.append(element("summary", "", "More"), this.#about);
    this.root.append(head, this.#where, this.#bars, this.#tasks, this.#more);
  }

  show(facts) {
    this.online = facts.status === "online";
    setText(this.#name, facts.name);
    setText(this.#status, facts.status);
    this.#status.dataset.status = facts.status;
    this.#where.replaceChildren(placeOf(facts));
    if (facts.seen !== null) this.#where.append(" · ", age(facts.seen, "heard ", " ago"));
    for (const bar of BARS) this.#showBar(facts, ...bar);
    this.#tasks.replaceChildren(...facts.tasks.map(task), ...unnamed(facts));
    const about = aboutOf(facts);
    setText(this.#about, about);
    this.words = `${facts.name} ${facts.pool} ${facts.host} ${facts.status} ${about}`.toLowerCase();
  }

  #showBar(facts, name, label, words) {
    const use = facts[name];
    let bar = this.#meters.get(name);
    if (!use.total) {
      bar?.row.remove();
      this.#meters.delete(name);
      return;
    }
    if (bar === undefined) {
      bar = meter(label);
      this.#meters.set(name, bar);
      this.#bars.append(bar.row);
    }
    const share = Math.min(1, use.taken / use.total);
    bar.fill.style.width = `${100 * share}%`;
    bar.track.dataset.full = String(share >= NEARLY_FULL);
    bar.track.setAttribute("aria-valuenow", String(Math.round(100 * share)));
    bar.track.setAttribute("aria-valuetext", `${words(use)} reserved`);
    setText(bar.amount, words(use));
  }
}

function meter(label) {
  const row = element("div", "bar");
  const value = element("dd");
  const track = element("span", "meter");
  const fill = element("span");
  const amount = element("dd", "amount");
  track.setAttribute("role", "meter");
  track.setAttribute("aria-label", label);
  track.setAttribute("aria-valuemin", "0");
  track.setAttribute("aria-valuemax", "100");
  track.append(fill);
  value.append(track);
  row.append(element("dt", "", label), amount, value);
  return { row, track, fill, amount };
}

function task(facts) {
  const row = element("li");
  row.append(element("strong", "", facts.type || facts.name));
  if (facts.type) row.append(element("span", "", facts.name));
  if (facts.state && facts.state !== "Running") row.append(element("em", "", facts.state));
  if (facts.since !== null) row.append(age(facts.since));
  return row;
}

function unnamed(facts) {
  const count = facts.taskCount - facts.tasks.length;
  if (count > 0) return [element("li", "", facts.tasks.length ? `and ${count} more` : counted(count, "task"))];
  return facts.taskCount ? [] : [element("li", "where", "Idle.")];
}

function placeOf(facts) {
  const kind = facts.kind === "worker" ? "dtask worker" : facts.pool;
  return facts.host && facts.host !== facts.name ? `${kind} · ${facts.host}` : kind;
}

function aboutOf(facts) {
  const gpus = facts.gpus.map((gpu) => `${gpu.count} × ${gpu.name} (${size(gpu.memory)})`).join(", ");
  return [
    gpus ? `${gpus}.` : "",
    facts.types.length ? `Runs: ${facts.types.join(", ")}.` : "",
    facts.tags.length ? `Tags: ${facts.tags.join(", ")}.` : "",
    facts.version ? `Version ${facts.version}.` : "",
  ].filter(Boolean).join(" ") || "It says no more of itself.";
}
