// Operations by layer, as a tree of the layers' names, or by line of the model.

const kRowsAtFirst = 26;
const flops = {
  by: "layer",
  open: new Set()
};

const flops_of_row = (row) => kPhases.reduce((sum, kind) => sum + row[kind], 0);

function empty_row(label, path) {
  const none = {forward: 0, recomputed: 0, backward: 0, update: 0, nanoseconds: 0};
  return {label, path, ...none, children: []};
}
function add_row(into, row) {
  for (const kind of kPhases) into[kind] += row[kind];
  into.nanoseconds += row.nanoseconds;
}

// `a.b.c` below `a.b` below `a`; a node with one child and nothing of its own is one with it.
function layer_tree(rows) {
  const root = empty_row("", "");
  const last = (row) => (text_of(row.name) === "" ? 1 : 0);
  for (const row of [...rows].sort((a, b) => last(a) - last(b))) {
    let node = root, so_far = "";
    for (const part of (text_of(row.name) || "outside of all layers").split(".")) {
      so_far = so_far ? so_far + "." + part : part;
      let child = node.children.find((candidate) => candidate.label === part);
      if (!child) {
        child = empty_row(part, so_far);
        node.children.push(child);
      }
      node = child;
    }
    node.own = node.own || empty_row("", "");
    add_row(node.own, row);
  }
  const settle = (node) => {
    node.children = node.children.map(settle);
    if (node.own) {
      if (node.children.length && flops_of_row(node.own) > 0)
        node.children.unshift(
            {...node.own, label: "shared by these", path: node.path + ".", children: []});
      else
        add_row(node, node.own);
    }
    node.children.forEach((child) => add_row(node, child));
    if (node.children.length === 1 && node.label) {
      const [child] = node.children;
      return {...child, label: node.label + "." + child.label};
    }
    return node;
  };
  return settle(root).children;
}

function line_rows(rows) {
  const described = rows.map((row) => {
    const name = text_of(row.name), key = line_key(name + ":0");
    const is_line = key !== name + ":0";
    const number = /^\d+$/.test(key) ? Number(key) : Infinity;
    const label = source_line(key) || node_of(name) || "no place in the model";
    return {...row, label, number, key: is_line ? key : name, children: []};
  });
  // Lines of the model, then nodes as they come, then what has no place.
  const rank = (row) => row.key ? Math.min(row.number, 1e9) : 2e9;
  return described.filter((row) => flops_of_row(row) > 0).sort((a, b) => rank(a) - rank(b));
}

// Opens the tree level by level while it stays short.
function open_at_first(tree) {
  flops.open = new Set();
  let level = tree, shown = tree.length;
  while (true) {
    const more = level.reduce((sum, node) => sum + node.children.length, 0);
    if (!more || shown + more > kRowsAtFirst) break;
    level.forEach((node) => node.children.length && flops.open.add(node.path));
    shown += more;
    level = level.flatMap((node) => node.children);
  }
}

function flops_tip(node) {
  const sum = flops_of_row(node), line = node.number < Infinity ? `line ${node.number}: ` : "";
  const parts = kPhases.map(
      (kind) =>
          node[kind] > 0 && [kind, `${flops_text(node[kind])} (${percent_text(node[kind], sum)})`]);
  return [
    line + (node.path || node.label), ...parts, ["together", flops_text(sum)],
    node.path && node.nanoseconds > 0 && ["time by the cost table", time_text(node.nanoseconds)]
  ];
}

function pick_row(node, event) {
  if (!node.children.length) {
    if (node.key) select("l" + node.key, event.shiftKey, "flops");
    return;
  }
  if (!flops.open.delete(node.path)) flops.open.add(node.path);
  draw_flops_rows();
}

// `most` is what the longest bar stands for. A row that is open leaves the bars to those below it.
function flops_row(node, depth, most, total) {
  const sum = flops_of_row(node), tree = node.children.length > 0;
  const open = tree && flops.open.has(node.path);
  const kinds = open ? [] : kPhases.filter((kind) => node[kind] > 0);
  const width = (kind) => `width:${(100 * node[kind]) / most}%`;
  const lit = node.key ? color_class("l" + node.key) : "";
  const row = html(
      "button", {
        class: `flops-row ${open ? "opened" : ""} ${lit}`,
        "aria-expanded": tree ? String(open) : null,
        onclick: (event) => pick_row(node, event),
      },
      html(
          "span", {class: "label", style: `padding-left:${depth * 16}px`},
          html(
              "span", {class: "twist"},
              !tree    ? "" :
                  open ? "▾" :
                         "▸"),
          node.number < Infinity ? html("span", {class: "line-number"}, String(node.number)) : null,
          html("span", {class: "text"}, node.label)),
      html(
          "div", {class: "bar"},
          kinds.map((kind) => html("span", {class: "fill " + kind, style: width(kind)}))),
      html("span", {class: "number"}, flops_text(sum)),
      html("span", {class: "share"}, percent_text(sum, total)));
  return with_tip(row, () => flops_tip(node));
}

function draw_flops_rows() {
  const rows = [];
  const walk = (nodes, depth) => nodes.forEach((node) => {
    rows.push([node, depth]);
    if (flops.open.has(node.path)) walk(node.children, depth + 1);
  });
  walk(flops.tree, 0);
  const bars = rows.filter(([node]) => !(node.children.length && flops.open.has(node.path)));
  const most = Math.max(1, ...bars.map(([node]) => flops_of_row(node)));
  const total = flops.tree.reduce((sum, node) => sum + flops_of_row(node), 0);
  const nothing = "This entry computes nothing that counts as a floating point operation.";
  flops.list.replaceChildren(
      ...rows.map(([node, depth]) => flops_row(node, depth, most, total)),
      rows.length ? "" : empty_text(nothing));
}

function set_flops(by) {
  flops.by = by;
  flops.tree = by === "layer" ?
      layer_tree(state.entry.by_layer).filter((node) => flops_of_row(node) > 0) :
      line_rows(state.entry.by_line);
  open_at_first(flops.tree);
  draw_flops_rows();
}

function draw_flops() {
  flops.list = html("div", {class: "flops-list"});
  const kinds = kPhases.filter((kind) => state.entry[kind].flops > 0);
  section_of("flops").replaceChildren(
      heading(
          "FLOPs", "Floating point operations; a multiplication with its addition counts as two.",
          segments(
              [["layer", "by layer"], ["line", data.source.length ? "by line" : "by node"]],
              flops.by, set_flops),
          legend(kinds)),
      flops.list);
  set_flops(flops.by);
}
watch("entry", draw_flops);
watch("select", () => flops.by === "line" && draw_flops_rows());
