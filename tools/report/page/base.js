"use strict";
// What all parts of the page share: problems, data, elements, numbers as text, and the state that
// the parts watch.

// --- Problems are shown, and can be read off the page by tests. ---

function report_problem(message) {
  const body = document.body;
  body.dataset.errors = String(Number(body.dataset.errors || 0) + 1);
  const banner = document.getElementById("problem");
  banner.hidden = false;
  banner.textContent = "This page has a problem: " + message;
}
document.body.dataset.errors = "0";
window.addEventListener("error", (event) => report_problem(event.message));
window.addEventListener("unhandledrejection", (event) => report_problem(String(event.reason)));

// --- Elements. Texts of the model only ever become text nodes and attributes. ---

const kSvg = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on"))
      node.addEventListener(name.slice(2), value);
    else
      node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null) node.append(child);
  }
  return node;
}
function html(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}
function svg(tag, attributes, ...children) {
  return fill(document.createElementNS(kSvg, tag), attributes, children);
}

const section_of = (id) => document.getElementById(id);
const chip = (text, kind) => html("span", {class: "chip " + (kind || "")}, text);
const button = (text, kind, onclick, title) =>
    html("button", {class: kind, onclick, title, "aria-label": title}, text);
const empty_text = (text) => html("p", {class: "empty"}, text);
// Names and what they stand for; rows that are false are left out.
const definitions = (rows) =>
    rows.filter(Boolean).map(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]);

// --- Numbers as text ---

function scaled(value, base, units) {
  let unit = 0;
  while (value >= base && unit + 1 < units.length) {
    value /= base;
    ++unit;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return value.toFixed(digits) + " " + units[unit];
}
const bytes_text = (bytes) => scaled(bytes, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]);
const flops_text = (flops) => scaled(flops, 1000, ["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"]);
const time_text = (nanoseconds) => scaled(nanoseconds, 1000, ["ns", "µs", "ms", "s"]);
const count_text = (count) => count.toLocaleString("en-US");
function percent_text(part, whole) {
  if (!whole) return "0 %";
  const percent = (100 * part) / whole;
  return (percent > 0 && percent < 0.1 ? "<0.1" : percent.toFixed(percent < 10 ? 1 : 0)) + " %";
}
const plural = (count, one, many) =>
    `${count_text(count)} ${count === 1 ? one : many || one + "s"}`;

function clipped(text, length) {
  return text.length <= length ? text : text.slice(0, Math.max(1, length - 1)) + "…";
}

// --- Data ---

const data = JSON.parse(document.getElementById("data").textContent);
const text_of = (index) => (index < 0 ? "" : data.strings[index]);

// `gpt.model:11:7` -> {file, line, column}; null for places that are no line of the model's text.
const place_cache = new Map();
function place_of(loc) {
  if (!place_cache.has(loc)) {
    const match = /^(.*):(\d+):(\d+)$/.exec(loc);
    place_cache.set(
        loc, match && {file: match[1], line: Number(match[2]), column: Number(match[3])});
  }
  return place_cache.get(loc);
}
// A node of a graph file without the file's name: `/fc1/Gemm` of `net.onnx:/fc1/Gemm`.
const node_of = (loc) => {
  const file = data.file.split("/").pop() + ":";
  return loc.startsWith(file) ? loc.slice(file.length) : loc;
};
// What fits into the gutter of a column: `11:7`, or the end of a node's name.
const short_place = (loc) => {
  const place = place_of(loc), node = node_of(loc);
  if (place) return `${place.line}:${place.column}`;
  return node.length <= 7 ? node : "…" + node.slice(-6);
};
// What ops of one line have in common: its number, for lines of the model that is shown.
const line_key = (loc) => {
  const place = place_of(loc);
  if (!place) return loc;
  return place.file === data.file ? String(place.line) : `${place.file}:${place.line}`;
};
// The text of a line of the model by its number; "" for other keys.
const source_line = (key) => /^\d+$/.test(key) && data.source[key - 1] !== undefined ?
    text_of(data.source[key - 1]).trim() :
    "";

const kPhases = ["forward", "recomputed", "backward", "update"];
// A kernel's name without its number: `dot_add_relu` of `dot_add_relu_3`.
const kernel_label = (name) => name.replace(/_\d+$/, "");

// What else is known of an entry's plan, worked out once.
function index_entry(entry) {
  entry.made_by = new Map();  // value -> time
  entry.uses = new Map();     // id -> {made, inside, read}: times
  const use = (id) => {
    if (!entry.uses.has(id)) entry.uses.set(id, {made: [], inside: [], read: []});
    return entry.uses.get(id);
  };
  entry.calls.forEach((call, time) => {
    call.time = time;
    call.name = data.kernels[call.kernel].name;
    call.kind = call.recomputed ? "recomputed" : call.phase;
    for (const value of call.results) {
      entry.made_by.set(value, time);
      use(entry.values[value].id).made.push(time);
    }
    const read = new Set(call.operands.map((value) => entry.values[value].id));
    for (const id of read) use(id).read.push(time);
    // A kernel's parameters are among its values.
    for (const id of new Set(call.inside))
      if (!read.has(id)) use(id).inside.push(time);
  });
  entry.lifetimes.forEach((lifetime, index) => {
    lifetime.index = index;
    lifetime.text = text_of(lifetime.name);
    lifetime.kind = lifetime.value < 0 ? "scratch" : entry.calls[lifetime.first].kind;
    lifetime.id = lifetime.value < 0 ? -1 : entry.values[lifetime.value].id;
  });
  // Names of each id, by stage, and the last one.
  entry.name_of_id = new Map();
  for (const stage of entry.stages) {
    stage.name_of_id = new Map();
    for (const fn of stage.functions) {
      fn.id_of_name = new Map();
      for (let i = 0; i < fn.names.length; i += 2) {
        const name = text_of(fn.names[i]);
        fn.id_of_name.set(name, fn.names[i + 1]);
        if (!stage.name_of_id.has(fn.names[i + 1])) stage.name_of_id.set(fn.names[i + 1], name);
      }
    }
    for (const [id, name] of stage.name_of_id) entry.name_of_id.set(id, name);
  }
  // What ends up inside of a kernel keeps the name that it has there.
  for (const call of entry.calls) {
    const names = data.kernels[call.kernel].names;
    call.inside.forEach((id, value) => {
      if (id >= 0 && !entry.name_of_id.has(id)) entry.name_of_id.set(id, text_of(names[value]));
    });
  }
}
data.entries.forEach(index_entry);

// Of what the entry takes without any recomputation.
function share_of_time(entry, nanoseconds) {
  const base = entry.forward.nanoseconds + entry.backward.nanoseconds + entry.update.nanoseconds;
  return `${((100 * nanoseconds) / Math.max(base, 1)).toFixed(2)} %`;
}

// Bytes that each lifetime counts for while kernel `time` runs, largest first. What is made in the
// place of an operand counts once, for the result, so that the sum is what is live.
function holders_at(entry, time) {
  const counted = new Map();
  for (const lifetime of entry.lifetimes)
    if (lifetime.first <= time && time <= lifetime.last)
      counted.set(lifetime.index, lifetime.bytes);
  for (const lifetime of entry.lifetimes)
    if (lifetime.first === time && lifetime.in_place_of >= 0) {
      const operand = entry.lifetimes[lifetime.in_place_of];
      const shared = Math.min(operand.bytes, lifetime.bytes);
      counted.set(operand.index, counted.get(operand.index) - shared);
    }
  return [...counted]
      .filter(([, bytes]) => bytes > 0)
      .map(([index, bytes]) => ({lifetime: entry.lifetimes[index], bytes}))
      .sort((a, b) => b.bytes - a.bytes || a.lifetime.first - b.lifetime.first);
}

// --- State. Parts call watch(what, callback) and change it through the functions below. ---

const kColors = 6;
const state = {
  entry: data.entries[0],
  selected: new Map(),  // key -> color; keys are v<id>, s<state>, l<line>
  current: null,        // the key selected last
  kernel: null,         // {index, ids, time}: a kernel whose loops are shown
  time: null,           // the kernel whose holders are listed; null for the peak
  search: "",
};
const watchers = {};
function watch(what, callback) {
  (watchers[what] = watchers[what] || []).push(callback);
}
function changed(what, detail) {
  for (const callback of watchers[what] || []) callback(detail);
}

const value_key = (id) => "v" + id;
const state_key = (name) => "s" + name;
const color_class = (key) => (state.selected.has(key) ? "lit lit" + state.selected.get(key) : "");

// A click selects one thing, and deselects it when it is the only one; with `more`, beside others.
// `origin` is the part that was clicked, which need not move to show it.
function select(key, more, origin) {
  const was = state.selected.has(key);
  const alone = was && state.selected.size === 1;
  if (!more) state.selected.clear();
  if (was && (more || alone)) {
    state.selected.delete(key);
    state.current = [...state.selected.keys()].pop() || null;
  } else {
    const taken = new Set(state.selected.values());
    let color = 0;
    while (taken.has(color)) ++color;
    state.selected.set(key, color % kColors);
    state.current = key;
  }
  changed("select", {origin});
}
function clear_selection() {
  state.selected.clear();
  state.current = null;
  changed("select", {});
}
function show_entry(name) {
  const entry = data.entries.find((candidate) => candidate.name === name);
  if (!entry || entry === state.entry) return;
  state.entry = entry;
  state.time = null;
  state.kernel = null;
  for (const key of [...state.selected.keys()])
    if (key[0] === "v") state.selected.delete(key);
  state.current = [...state.selected.keys()].pop() || null;
  changed("entry");
}
// `ids` are those of the kernel's values in the call that runs as number `time`. With `go`, the
// page moves to it.
function show_kernel(index, ids, time, go) {
  state.kernel = {index, ids, time};
  changed("kernel", {go});
}
function show_call(call, go) {
  show_kernel(call.kernel, call.inside, call.time, go);
}
function show_time(time) {
  state.time = time;
  changed("time");
}

// --- Tips ---

const tip = document.getElementById("tip");
// `make` gives the lines of the tip: [name, text] pairs below a title.
function with_tip(node, make) {
  node.addEventListener("pointermove", (event) => show_tip(event, make()));
  node.addEventListener("pointerleave", hide_tip);
  return node;
}
function show_tip(event, [title, ...lines]) {
  tip.replaceChildren(
      html("b", {}, title),
      html("dl", {}, definitions(lines)),
  );
  tip.hidden = false;
  const box = tip.getBoundingClientRect();
  const right = event.clientX + 16 + box.width > window.innerWidth;
  const below = event.clientY + 16 + box.height > window.innerHeight;
  tip.style.left =
      (right ? Math.max(4, event.clientX - 12 - box.width) : event.clientX + 16) + "px";
  tip.style.top =
      (below ? Math.max(4, event.clientY - 12 - box.height) : event.clientY + 16) + "px";
}
function hide_tip() {
  tip.hidden = true;
}

// A section's heading with what stands at its right.
function heading(title, explanation, ...controls) {
  return html(
      "div", {class: "heading"}, html("h2", {}, title), html("p", {}, explanation),
      html("div", {class: "controls"}, controls));
}
function legend(kinds) {
  return html(
      "div", {class: "legend"},
      kinds.map((kind) => html("span", {}, html("i", {class: "swatch " + kind}), kind)));
}
// Buttons of which one is on. `choices` are [value, label] pairs.
function segments(choices, value, choose) {
  const group = html("div", {class: "segments", role: "group"});
  const press = (event, choice) => {
    for (const other of group.children)
      other.setAttribute("aria-pressed", String(other === event.currentTarget));
    choose(choice);
  };
  for (const [choice, label] of choices) {
    const pressed = String(choice === value);
    const attributes = {"aria-pressed": pressed, onclick: (event) => press(event, choice)};
    group.append(html("button", attributes, label));
  }
  return group;
}
