// The fleet's page: one stream of frames, first all of it, then what has changed.

import { Tiles } from "./tiles.js";
import { age, counted, element, moment, setClock, setText, tick } from "./words.js";

const AGAIN = 5000;
const at = (id) => document.getElementById(id);
const tiles = new Tiles(at("tiles"));
let totals = null;

function connect() {
  const events = new EventSource("../api/events/fleet");
  events.onopen = () => connection("live", "Live");
  events.onmessage = (event) => apply(JSON.parse(event.data));
  events.onerror = () => {
    connection("waiting", "Connection lost; trying again…");
    if (events.readyState !== EventSource.CLOSED) return;
    events.close();
    setTimeout(connect, AGAIN);
  };
}

function connection(state, text) {
  at("connection").dataset.state = state;
  setText(at("connection"), text);
}

function apply(frame) {
  setClock(frame.at);
  const nodes = new Map(Object.entries(frame.nodes ?? {}));
  if (frame.whole) tiles.keys.filter((key) => !nodes.has(key)).forEach((key) => tiles.remove(key));
  for (const [key, facts] of nodes) {
    if (facts === null) tiles.remove(key);
    else tiles.put(key, facts);
  }
  if ("totals" in frame) showTotals(frame.totals);
  if ("queue" in frame) showQueue(frame.queue);
  if ("placements" in frame) showPlacements(frame.placements);
  if ("problem" in frame) showProblem(frame.problem);
  filter();
}

function showTotals(found) {
  totals = found;
  const parts = [`${found.online} of ${counted(found.nodes, "node")} online`, `${counted(found.atWork, "task")} at work`];
  if (found.elsewhere) parts.push(`${found.elsewhere} under other workers`);
  setText(at("totals"), parts.join(" · "));
  at("hidden-nodes").hidden = !found.hidden;
  setText(at("hidden-nodes"), `${counted(found.hidden, "node")} more: skald nodes --all`);
}

function showQueue(queue) {
  const count = queue.total + queue.totalRequests;
  const parts = [count ? `${count} waiting` : "", queue.later ? `${queue.later} to start later` : ""];
  setText(at("queue-totals"), parts.filter(Boolean).join(" · "));
  const shown = [...queue.tasks, ...queue.requests];
  at("waiting").replaceChildren(...shown.map(waiting));
  if (count > shown.length) at("waiting").append(element("li", "more", `and ${count - shown.length} more: skald queue`));
  at("no-queue").hidden = count > 0;
}

function waiting(facts) {
  const row = element("li");
  const line = element("p", "line");
  line.append(element("strong", "", facts.type || facts.id));
  if (facts.type) line.append(element("span", "", facts.name));
  if (facts.since !== null) line.append(age(facts.since, "waits "));
  const more = [
    facts.pool ?? "dtask",
    facts.place ? `place ${facts.place}` : "",
    facts.priority ? `priority ${facts.priority}` : "",
    facts.needs ? `needs ${facts.needs}` : "",
  ];
  row.append(line, element("p", "more", more.filter(Boolean).join(" · ")));
  if (facts.expected !== null) {
    const start = element("p", "more", "expected to start ");
    start.append(moment(facts.expected));
    row.append(start);
  }
  row.append(...facts.why.map((reason) => element("p", "", reason)));
  return row;
}

function showPlacements(found) {
  at("placements").replaceChildren(...found.map(placement));
  at("no-placement").hidden = found.length > 0;
}

function placement(facts) {
  const row = element("li");
  const line = element("p", "line");
  line.append(element("strong", "", facts.type), element("span", "", facts.name), age(facts.at, "", " ago"));
  row.append(line, element("p", "more", `on ${facts.node} · ${facts.status}`));
  return row;
}

function showProblem(text) {
  at("problem").hidden = text === null;
  setText(at("problem"), text === null ? "" : `What is shown may be old: ${text}`);
}

function filter() {
  const words = at("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = tiles.filter(words, at("only-online").checked);
  at("no-node").hidden = totals === null || totals.online > 0;
  at("no-match").hidden = shown > 0 || tiles.keys.length === 0;
}

at("filter").addEventListener("input", filter);
at("only-online").addEventListener("change", filter);
setInterval(tick, 1000);
connect();
