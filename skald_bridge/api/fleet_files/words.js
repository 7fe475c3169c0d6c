// Amounts, times and elements. Text from outside only ever becomes text.

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function size(bytes) {
  let count = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (count < 1000) return `${short(count)} ${unit}`;
    count /= 1000;
  }
  return `${short(count)} TB`;
}

function short(count) {
  return count >= 100 || Number.isInteger(count) ? String(Math.round(count)) : count.toFixed(1);
}

export function counted(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

function span(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole}s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}m${String(whole % 60).padStart(2, "0")}s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${String(minutes % 60).padStart(2, "0")}m`;
  return `${Math.floor(hours / 24)}d${String(hours % 24).padStart(2, "0")}h`;
}

// The bridge's clock is ahead of this machine's by so many milliseconds.
let ahead = 0;

export function setClock(at) {
  ahead = at - Date.now();
}

// How long ago a moment of the bridge's is; kept up to date by `tick`.
export function age(at, before = "", after = "") {
  const made = element("time", "age");
  made.dateTime = new Date(at).toISOString();
  Object.assign(made.dataset, { at, before, after });
  show(made);
  return made;
}

export function moment(at) {
  const made = element("time", "", new Date(at).toLocaleString());
  made.dateTime = new Date(at).toISOString();
  return made;
}

function show(time) {
  const seconds = (Date.now() + ahead - Number(time.dataset.at)) / 1000;
  setText(time, `${time.dataset.before}${span(seconds)}${time.dataset.after}`);
}

export function tick() {
  document.querySelectorAll("time[data-at]").forEach(show);
}
