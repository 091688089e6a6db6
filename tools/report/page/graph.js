// The section of the kernels: the graph that graph_layout.js has placed.

const kLabel = 40;        // letters of a layer's name that fit
const kManyReaders = 16;  // what more kernels read, such as a learning rate, is drawn on demand
const kMostEdges = 6000;  // more would make the page slow: then all are drawn on demand
const graph = {
  zoom: 1,
  layout: null
};

function edge_path(a, b) {
  const middle = kGraph.node / 2, from = a.y + middle, to = b.y + middle;
  const rightward = a.x < b.x;
  const x1 = rightward ? a.x + a.width : a.x, x2 = rightward ? b.x : b.x + b.width;
  if (a.kind !== b.kind) {
    const bend = Math.max(24, Math.abs(x2 - x1) / 2) * (rightward ? 1 : -1);
    return `M${x1},${from}C${x1 + bend},${from} ${x2 - bend},${to} ${x2},${to}`;
  }
  const distance = Math.abs(to - from);
  if (distance < 1) return `M${x1},${from}L${x2},${to}`;
  if (distance > 2.6 * kGraph.row) {
    // Around what stands between.
    const x = Math.min(a.x, b.x) - Math.min(kGraph.lane - 16, 10 + distance / 24);
    return `M${a.x},${from}C${x},${from} ${x},${to} ${b.x},${to}`;
  }
  const down = to > from, half = (from + to) / 2;
  const begin = `${a.x + a.width / 2},`, end = `${b.x + b.width / 2},`;
  return `M${begin}${down ? a.y + kGraph.node : a.y}C${begin}${half} ${end}${half} ${end}${
      down ? b.y : b.y + kGraph.node}`;
}

function call_tip(call) {
  const entry = state.entry, kernel = data.kernels[call.kernel];
  const values = (indices) => [...new Set(indices)].map((index) => entry.values[index]);
  const list = (indices) =>
      values(indices).map((value) => `%${text_of(value.name)}: ${text_of(value.type)}`).join(", ");
  const moved =
      values([...call.operands, ...call.results]).reduce((sum, {bytes}) => sum + bytes, 0);
  const step = kPhases.reduce((sum, kind) => sum + entry[kind].nanoseconds, 0);
  const time = `${time_text(call.nanoseconds)} by the cost table`;
  return [
    `@${call.name}`,
    ["kernel", `${call.time} of ${entry.calls.length}, ${call.kind}, class ${kernel.class}`],
    text_of(call.layer) && ["layer", text_of(call.layer)],
    text_of(call.loc) && ["model", text_of(call.loc)],
    ["reads", clipped(list(call.operands), 220) || "nothing"],
    ["makes", clipped(list(call.results), 220)],
    ["bytes", `${bytes_text(moved)} moved, ${bytes_text(kernel.scratch_bytes)} of scratch`],
    ["work", `${flops_text(call.flops)}, ${time} (${percent_text(call.nanoseconds, step)})`],
    ["live", bytes_text(entry.live[call.time])]
  ];
}

function select_call(call, more) {
  show_call(call);
  if (call.results.length)
    select(value_key(state.entry.values[call.results[0]].id), more, "kernels");
}

// `most` is the time that the longest bar stands for.
function draw_node(node, most) {
  const {call, kind, x, y, width} = node, height = kGraph.node;
  const letters = Math.floor((width - 16) / 6.7);
  const load = Math.max(1, (width * call.nanoseconds) / most);
  const again = kind === "recomputed";
  node.group =
      svg("g", {
        class: "node " + kind,
        tabindex: 0,
        role: "button",
        transform: `translate(${x},${y})`,
        "aria-label": "@" + call.name,
        onclick: (event) => select_call(call, event.shiftKey),
        onkeydown: (event) => event.key === "Enter" && select_call(call, event.shiftKey),
        onpointerenter: () => light_edges(node, true),
        onpointerleave: () => light_edges(node, false),
      },
          svg("rect", {class: "box", width, height, rx: 4}),
          again ? svg("rect", {class: "hatched", fill: "url(#hatch)", width, height, rx: 4}) : null,
          svg("text", {x: 8, y: 16}, clipped(kernel_label(call.name), letters)),
          svg("rect", {class: "load", x: 0, y: height - 3, width: load, height: 3}));
  return with_tip(node.group, () => call_tip(call));
}

function light_edges(node, on) {
  for (const edge of node.edges) edge.path.classList.toggle("near", on);
}

// A layer's name without what the band above has said.
function band_label(band, before) {
  if (!band.layer) return ["", "no layer"];
  const parts = band.layer.split(".");
  const shared = before ? shared_parts(parts, before.layer.split(".")) : 0;
  const rest = shared === parts.length ? band.layer : parts.slice(shared).join(".");
  const lead = shared > 0 && shared < parts.length ? "… " : "";
  if (rest.length <= kLabel) return [lead, rest];
  const end = rest.slice(rest.length - kLabel), dot = end.indexOf(".");
  return ["… ", dot < 0 ? end : end.slice(dot + 1)];
}

function draw_band(band, before, index, width) {
  const [lead, label] = band_label(band, before);
  const place = {x: 0, y: band.top - kGraph.band / 2, width, height: band.height + kGraph.band};
  const name = svg(
      "text", {class: "band-label", x: kGraph.label - 18, y: band.top + 20, "text-anchor": "end"},
      lead, label);
  return [
    svg("rect", {class: "band" + (index % 2 ? " odd" : ""), ...place}),
    with_tip(name, () => [band.layer || "kernels that belong to no layer"])
  ];
}

function draw_edges({nodes, edges}) {
  const readers = new Array(nodes.length).fill(0);
  for (const edge of edges) ++readers[edge.from];
  for (const node of nodes) node.edges = [];
  for (const edge of edges) {
    const from = nodes[edge.from], to = nodes[edge.to];
    const kind = from.kind === to.kind ? to.kind : to.kind === "update" ? "update" : "saved";
    const on_demand = readers[edge.from] > kManyReaders || edges.length > kMostEdges;
    const name = `edge ${kind}${on_demand ? " on-demand" : ""}`;
    edge.path = svg("path", {class: name, d: edge_path(from, to)});
    from.edges.push(edge);
    to.edges.push(edge);
  }
  return svg("g", {class: "edges"}, edges.map((edge) => edge.path));
}

function draw_graph({width, height}) {
  const {nodes, bands} = graph.layout;
  const most = nodes.reduce((longest, node) => Math.max(longest, node.call.nanoseconds), 1);
  return svg(
      "svg", {class: "graph", viewBox: `0 0 ${width} ${height}`},
      bands.map((band, i) => draw_band(band, bands[i - 1], i, width)), draw_edges(graph.layout),
      nodes.map((node) => draw_node(node, most)));
}
function draw_lane_titles({width, lanes}) {
  const title = ([kind, lane]) =>
      svg("text", {class: "lane-title " + kind, x: lane.left, y: 17}, kLanes[kind].title);
  return svg("svg", {class: "lanes", viewBox: `0 0 ${width} 26`}, Object.entries(lanes).map(title));
}

const fitting_zoom = () => (graph.pane.clientWidth - 4) / graph.layout.width;
function zoom_graph(zoom) {
  graph.zoom = Math.min(2, Math.max(0.25, zoom));
  const width = graph.layout.width * graph.zoom;
  fill(graph.root, {width, height: graph.layout.height * graph.zoom}, []);
  fill(graph.titles, {width, height: 26 * Math.min(1, graph.zoom)}, []);
}

// The kernels that a selected key lights up: {time: class}, and the one to look at first.
function kernels_of(key) {
  const entry = state.entry, what = key.slice(1), lit = {};
  if (key[0] === "v") {
    const {made, inside} = entry.uses.get(Number(what)) || {made: [], inside: []};
    for (const time of inside) lit[time] = "holds";
    for (const time of made) lit[time] = "makes";
    return {lit, first: made[0] ?? inside[0]};
  }
  const has_state = (value) => text_of(entry.values[value].state) === what;
  const matches = key[0] === "s" ? (call) => [...call.operands, ...call.results].some(has_state) :
                                   (call) => line_key(text_of(call.loc)) === what;
  const times = entry.calls.filter(matches).map((call) => call.time);
  for (const time of times) lit[time] = "makes";
  return {lit, first: times[0]};
}

function refresh_graph(origin) {
  if (!graph.layout) return;
  const {nodes, edges} = graph.layout, classes = new Array(nodes.length).fill("");
  let look = undefined;
  for (const key of state.selected.keys()) {
    const {lit, first} = kernels_of(key);
    for (const [time, what] of Object.entries(lit)) classes[time] = `${what} ${color_class(key)}`;
    if (key === state.current) look = first;
  }
  const query = state.search.toLowerCase();
  const found = ({
    name,
    results
  }) => ["@" + name, ...results.map((value) => "%" + text_of(state.entry.values[value].name))]
            .some((text) => text.toLowerCase().includes(query));
  nodes.forEach(({call, kind, group}, time) => {
    const open = state.kernel && state.kernel.time === time ? " open" : "";
    const hit = query && found(call) ? " found" : "";
    group.setAttribute("class", `node ${kind} ${classes[time]}${open}${hit}`);
  });
  const makes = (time) => classes[time].startsWith("makes");
  for (const {from, to, path} of edges) path.classList.toggle("lit", makes(from) || makes(to));
  if (look !== undefined && origin !== "kernels") look_at(nodes[look]);
}
function look_at(node) {
  const pane = graph.pane, y = node.y * graph.zoom;
  if (y < pane.scrollTop + 40 || y > pane.scrollTop + pane.clientHeight - 60)
    pane.scrollTop = Math.max(0, y - pane.clientHeight / 2);
}

function draw_kernels() {
  const entry = state.entry;
  graph.layout = entry.calls.length ? layout_graph(entry) : null;
  const intro =
      "Each box is a call of a kernel; the bar in it is its share of the time. Click to " +
      "follow what it makes through all views.";
  if (!graph.layout) {
    section_of("kernels").replaceChildren(
        heading("Kernels", intro), empty_text("No kernel runs in this entry."));
    return;
  }
  graph.root = draw_graph(graph.layout);
  graph.titles = draw_lane_titles(graph.layout);
  graph.pane = html("div", {class: "graph-pane"}, graph.titles, graph.root);
  const kinds = kPhases.filter((kind) => entry.calls.some((call) => call.kind === kind));
  section_of("kernels").replaceChildren(
      heading(
          "Kernels", intro,
          html(
              "div", {class: "segments"},
              button("−", "", () => zoom_graph(graph.zoom / 1.25), "smaller"),
              button("fit", "", () => zoom_graph(fitting_zoom()), "as wide as the page"),
              button("+", "", () => zoom_graph(graph.zoom * 1.25), "larger")),
          legend(kinds)),
      graph.pane);
  zoom_graph(Math.min(1.25, Math.max(0.7, fitting_zoom())));
  refresh_graph();
}
watch("entry", draw_kernels);
watch("select", (detail) => refresh_graph(detail && detail.origin));
watch("kernel", () => refresh_graph("kernels"));
watch("search", () => refresh_graph("kernels"));
