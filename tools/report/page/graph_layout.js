// Where the kernels and what they pass on are drawn. Bands from top to bottom are layers, in the
// order of the forward pass, which runs down the left lane; the backward pass runs up beside it, so
// that a gradient stands next to what it is the gradient of.

const kGraph = {
  label: 288,
  row: 32,
  node: 26,
  band: 12,
  lane: 56,
  gap: 12
};
const kLanes = {
  forward: {title: "forward ↓", node: 176, columns: 2},
  recomputed: {title: "recomputed", node: 160, columns: 2},
  backward: {title: "backward ↑", node: 176, columns: 2},
  update: {title: "update", node: 128, columns: 2},
};

// Producers and consumers of each kernel, views seen through.
function graph_edges(entry) {
  const edges = [];
  for (const call of entry.calls) {
    const producers = new Set();
    for (const operand of call.operands) {
      const producer = entry.made_by.get(entry.values[operand].root);
      if (producer !== undefined) producers.add(producer);
    }
    for (const producer of producers) edges.push({from: producer, to: call.time});
  }
  return edges;
}

const shared_parts = (a, b) => {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) ++count;
  return count;
};

// Layers in the order of the forward pass; one that has only other kernels stands at the layer
// whose name is nearest.
function ordered_layers(entry) {
  const layers = [];
  const add = (call) => {
    const layer = text_of(call.layer);
    if (layers.includes(layer)) return;
    const parts = layer.split(".");
    const likeness = layers.map((other) => shared_parts(parts, other.split(".")));
    const best = Math.max(0, ...likeness);
    if (call.kind === "forward")
      layers.push(layer);
    else if (layer === "")
      layers.push(layer);
    else
      layers.splice(best > 0 ? likeness.indexOf(best) : 0, 0, layer);
  };
  entry.calls.filter((call) => call.kind === "forward").forEach(add);
  entry.calls.filter((call) => call.kind !== "forward").forEach(add);
  return layers;
}

// Places the kernels of one layer and lane in rows: independent ones side by side.
function rows_of(calls, columns, edges_between) {
  const rows = [];
  for (const call of calls) {
    const last = rows[rows.length - 1];
    const free = last && last.length < columns &&
        last.every((other) => !edges_between(other.time, call.time));
    if (free)
      last.push(call);
    else
      rows.push([call]);
  }
  return rows;
}

function layout_graph(entry) {
  const edges = graph_edges(entry);
  const connected =
      new Set(edges.flatMap((edge) => [`${edge.from} ${edge.to}`, `${edge.to} ${edge.from}`]));
  const between = (a, b) => connected.has(`${a} ${b}`);
  const layers = ordered_layers(entry);
  const by_place = new Map(
      layers.map((layer) => [layer, {forward: [], recomputed: [], backward: [], update: []}]));
  for (const call of entry.calls) by_place.get(text_of(call.layer))[call.kind].push(call);
  const lanes = {};
  let left = kGraph.label;
  const placed = new Map();  // layer -> lane -> rows
  const used = {forward: 0, recomputed: 0, backward: 0, update: 0};
  for (const [layer, place] of by_place) {
    const rows = {};
    for (const kind of kPhases) {
      // The backward pass runs upwards.
      const calls = kind === "backward" ? [...place[kind]].reverse() : place[kind];
      rows[kind] = rows_of(calls, kLanes[kind].columns, between);
      used[kind] = Math.max(used[kind], ...rows[kind].map((row) => row.length), 0);
    }
    placed.set(layer, rows);
  }
  for (const kind of kPhases) {
    if (!used[kind]) continue;
    const width = used[kind] * kLanes[kind].node + (used[kind] - 1) * kGraph.gap;
    lanes[kind] = {left, width};
    left += width + kGraph.lane;
  }
  const nodes = [], bands = [];
  let top = 8;
  for (const layer of layers) {
    const rows = placed.get(layer);
    const height = Math.max(1, ...kPhases.map((kind) => rows[kind].length)) * kGraph.row;
    bands.push({layer, top, height});
    for (const kind of kPhases)
      rows[kind].forEach((row, r) => row.forEach((call, column) => {
        const x = lanes[kind].left + column * (kLanes[kind].node + kGraph.gap);
        nodes[call.time] = {
          call,
          kind,
          x,
          y: top + r * kGraph.row + (kGraph.row - kGraph.node) / 2,
          width: kLanes[kind].node
        };
      }));
    top += height + kGraph.band;
  }
  return {nodes, edges, bands, lanes, width: left - kGraph.lane + 16, height: top};
}
