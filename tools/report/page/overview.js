// The first section: the figures that people ask for.

function figure(value, label) {
  return html("div", {class: "figure"}, html("strong", {}, value), html("span", {}, label));
}
function card(title, ...children) {
  return html("article", {class: "card"}, html("h3", {}, title), children);
}
function facts(...rows) {
  return html("dl", {class: "facts"}, definitions(rows));
}

// A bar of parts; `parts` are {kind, value, label}.
function stacked_bar(parts, total, title) {
  const bar = html("div", {class: "stack", role: "img", "aria-label": title});
  for (const part of parts)
    if (part.value > 0) {
      const piece =
          html("span", {class: "fill " + part.kind, style: `flex-grow:${part.value / total}`});
      with_tip(piece, () => [part.label, [percent_text(part.value, total), title]]);
      bar.append(piece);
    }
  return bar;
}

// How far the arena reaches between the floor and the budget.
function arena_gauge(entry) {
  const budget = entry.budget_bytes;
  const most = Math.max(entry.arena_bytes, budget || 0, entry.floor_bytes, 1);
  const at = (bytes) => `${(100 * bytes) / most}%`;
  const mark = (kind, bytes, what) => html(
      "span",
      {class: "mark " + kind, style: `left:${at(bytes)}`, title: `${what}: ${bytes_text(bytes)}`});
  return html(
      "div", {class: "gauge", role: "img", "aria-label": "arena"},
      html("span", {class: "level", style: `width:${at(entry.arena_bytes)}`}),
      mark("floor", entry.floor_bytes, "the most demanding op"),
      budget ? mark("budget", budget, "budget") : null);
}

function arena_card(entry, title) {
  const {arena_bytes, floor_bytes, state_bytes, input_bytes, output_bytes} = entry;
  const times = (arena_bytes / Math.max(floor_bytes, 1)).toFixed(2);
  const where = entry.calls.length ? `, kernel ${entry.peak.time} of ${entry.calls.length}` : "";
  const outside = state_bytes + input_bytes + output_bytes;
  const parts = `state ${bytes_text(state_bytes)}, inputs ${bytes_text(input_bytes)}, outputs ${
      bytes_text(output_bytes)}`;
  const budget = entry.budget_bytes, total_budget = data.total_budget_bytes;
  const all = bytes_text(outside + arena_bytes);
  return card(
      title, figure(bytes_text(arena_bytes), "arena: activations, gradients, scratch"),
      arena_gauge(entry),
      facts(
          ["most demanding op", `${bytes_text(floor_bytes)} (arena is ${times}×)`],
          budget && ["budget", bytes_text(budget)],
          ["live at the peak", bytes_text(entry.peak_bytes) + where],
          ["outside of the arena", `${bytes_text(outside)}: ${parts}`],
          total_budget && ["all together", `${all} of ${bytes_text(total_budget)}`]));
}

function work_card(entry) {
  const parts = kPhases.map((kind) => ({kind, value: entry[kind].flops, label: kind}));
  const total = parts.reduce((sum, part) => sum + part.value, 0);
  const training = entry.backward.flops > 0;
  const row = ({kind, value, label}) => {
    const ratio = kind === "backward" && entry.forward.flops ?
        ` · ${(value / entry.forward.flops).toFixed(2)}× forward` :
        "";
    const name = [html("i", {class: "swatch " + kind}), label];
    return (value > 0 || training) &&
        [name, `${flops_text(value)} · ${percent_text(value, total)}${ratio}`];
  };
  return card(
      training ? "Work of a step" : "Work of a run",
      figure(flops_text(total), "floating point operations"),
      stacked_bar(parts, total, "of all operations"), facts(...parts.map(row)));
}

// The values that cost most to make again, with what that takes of the time.
function dearest_again(entry) {
  const sums = new Map();
  for (const call of entry.calls)
    if (call.recomputed) {
      const id = entry.values[call.results[0]].id;
      sums.set(id, (sums.get(id) || 0) + call.nanoseconds);
    }
  return [...sums]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 3)
      .map(([id, time]) => `%${entry.name_of_id.get(id)} ${share_of_time(entry, time)}`)
      .join(", ");
}

function recompute_card(entry) {
  const again = entry.calls.filter((call) => call.recomputed).length;
  const estimate = kPhases.reduce((sum, kind) => sum + entry[kind].nanoseconds, 0);
  const overhead = (100 * entry.overhead).toFixed(again && entry.overhead < 0.1 ? 2 : 0) + " %";
  const bound = entry.bound === null ? null : 100 * entry.bound;
  const inverted = entry.calls.filter((call) => call.inverted).length;
  const what = again ? `${plural(again, "kernel")}, ${flops_text(entry.recomputed.flops)}` :
                       "nothing: all values are kept";
  return card(
      "Recomputation",
      figure(overhead, again ? "more time, to stay within the budget" : "of the time"),
      facts(
          ["recomputed", what], inverted > 0 && ["of these, inverses", count_text(inverted)],
          again > 0 && ["dearest", dearest_again(entry)],
          bound !== null &&
              [
                "at least",
                `${bound.toFixed(2)} % in any plan, gap ` +
                    `${(100 * entry.overhead - bound).toFixed(2)} points`
              ],
          ["kernels run", count_text(entry.calls.length)],
          ["time by the cost table", `${time_text(estimate)}, one thread`]));
}

function parameter_card() {
  const of_role = (role) => data.states.filter((tensor) => tensor.role === role);
  const sum = (tensors) => tensors.reduce((bytes, tensor) => bytes + tensor.bytes, 0);
  const row = (label, tensors) => tensors.length &&
      [label, `${bytes_text(sum(tensors))} in ${plural(tensors.length, "tensor")}`];
  return card(
      "Parameters", figure(count_text(data.parameters), "numbers in the model's parameters"),
      facts(
          row("parameters", of_role("param")), row("running statistics", of_role("buffer")),
          row("optimizer state", of_role("optimizer"))));
}

function pipeline_card(entry) {
  const stages = entry.stages.slice(1);
  const total = stages.reduce((sum, stage) => sum + stage.seconds, 0);
  const ops_of = (fn) => fn.lines.filter((value, i) => i % 4 === 3 && value >= 0).length;
  const written = entry.stages.filter((stage) => stage.functions.length);
  const ops = written.map((stage) => ops_of(stage.functions[0]));
  const different = new Set(entry.calls.map((call) => call.kernel)).size;
  const slowest = stages.reduce((a, b) => (b.seconds > a.seconds ? b : a), entry.stages[0]);
  const longest = `${slowest.pass} took ${time_text(slowest.seconds * 1e9)}`;
  const times = stages.length ? `${stages.length} in ${time_text(total * 1e9)}; ${longest}` :
                                "none: it was planned already";
  return card(
      "Compilation",
      figure(
          `${count_text(ops[0])} → ${count_text(entry.calls.length)}`,
          "ops as written become kernels"),
      facts(
          ["before fusion", plural(Math.max(...ops), "op")],
          ["different kernels", count_text(different)], ["passes", times]));
}

function draw_overview() {
  const entry = state.entry;
  const named = (name) => data.entries.find((candidate) => candidate.name === name);
  const training = named("train_step"), inference = named("infer");
  const other = entry !== training && entry !== inference ? entry : null;
  const settings = data.settings.map(
      ([name, value]) => html("span", {class: "chip"}, html("i", {}, name), " " + value));
  section_of("overview")
      .replaceChildren(
          html(
              "div", {class: "title"}, html("h1", {}, data.model),
              html("span", {class: "file"}, data.file),
              html("div", {class: "chips"}, chip("gradc " + data.gradc, "strong"), settings)),
          html(
              "div", {class: "cards"}, training ? arena_card(training, "Memory to train") : null,
              inference ? arena_card(inference, "Memory to infer") : null,
              other ? arena_card(other, "Memory of " + other.name) : null, work_card(entry),
              recompute_card(entry), parameter_card(), pipeline_card(entry)));
}
watch("entry", draw_overview);
