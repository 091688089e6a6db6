// The section of the memory map: the map, and beside it who holds the bytes at one time.

// `zoom` is the range that is shown, as MemoryMap takes it.
const memory = {
  zoom: null,
  map: null
};

function lifetime_tip(lifetime) {
  const entry = state.entry;
  const {bytes, offset, first, last} = lifetime;
  const value = lifetime.value >= 0 ? entry.values[lifetime.value] : null;
  const call = entry.calls[first];
  return [
    lifetime.text, value && ["type", text_of(value.type)],
    ["bytes", `${count_text(bytes)} (${bytes_text(bytes)})`],
    ["address", `${count_text(offset)} … ${count_text(offset + bytes)}`],
    ["kernels", first === last ? String(first) : `${first} … ${last}`],
    ["made by", `@${call.name}, ${call.inverted ? "inverted" : call.kind}`],
    call.recomputed && ["costs", `${share_of_time(entry, call.nanoseconds)} more time`],
    lifetime.in_place_of >= 0 && ["in place of", entry.lifetimes[lifetime.in_place_of].text],
    text_of(call.layer) && ["layer", text_of(call.layer)],
    text_of(call.loc) && ["model", text_of(call.loc)]
  ];
}

function select_lifetime(lifetime, more) {
  if (lifetime.id >= 0) select(value_key(lifetime.id), more, "memory");
  const call = state.entry.calls[lifetime.first];
  if (lifetime.id < 0) show_call(call);
}

function zoom_memory(range) {
  memory.zoom = range;
  draw_map();
}

function draw_map() {
  const box = memory.box, width = box.clientWidth;
  if (!width) return;  // not on the page
  memory.map = new MemoryMap(state.entry, width, memory.zoom);
  memory.reset.hidden = !memory.zoom;
  box.replaceChildren(memory.map.root);
  memory.map.refresh();
}

function holder_row({lifetime, bytes}, most, total) {
  const lit = lifetime.id >= 0 ? color_class(value_key(lifetime.id)) : "";
  const pick = (event) => select_lifetime(lifetime, event.shiftKey);
  const row = html(
      "button", {class: "holder " + lit, onclick: pick},
      html("span", {class: "bar", style: `width:${(100 * bytes) / most}%`}),
      html("i", {class: "swatch " + lifetime.kind}), html("span", {class: "name"}, lifetime.text),
      html("span", {class: "size"}, bytes_text(bytes)),
      html("span", {class: "share"}, percent_text(bytes, total)));
  return with_tip(row, () => lifetime_tip(lifetime));
}

function draw_holders() {
  const entry = state.entry;
  if (!entry.calls.length) return;
  const time = state.time === null ? entry.peak.time : state.time,
        at_peak = time === entry.peak.time;
  const call = entry.calls[time], holders = holders_at(entry, time);
  const total = holders.reduce((sum, holder) => sum + holder.bytes, 0);
  const rows = holders.map((holder) => holder_row(holder, holders[0].bytes, total));
  const kernel = button("@" + call.name, "link", () => show_call(call));
  memory.holders.replaceChildren(
      html(
          "header", {}, html("h3", {}, at_peak ? "At the peak" : `At kernel ${time}`),
          at_peak ? null : button("go to the peak", "small", () => show_time(null)),
          html("p", {}, kernel, `, kernel ${time} of ${entry.calls.length}, ${call.kind}`),
          html(
              "p", {}, html("b", {}, bytes_text(total)),
              ` live in ${plural(rows.length, "place")}`)),
      html(
          "div", {class: "rows"},
          rows.length ? rows : empty_text("Nothing of the arena is in use here.")));
}

function draw_memory() {
  const lifetimes = state.entry.lifetimes;
  memory.zoom = memory.map = null;
  memory.box = html("div", {class: "map-box"});
  memory.holders = html("aside", {class: "holders"});
  memory.reset = button("whole map", "small", () => zoom_memory(null));
  memory.reset.hidden = true;
  const kinds = [...kPhases, "scratch"].filter(
      (kind) => lifetimes.some((lifetime) => lifetime.kind === kind));
  section_of("memory").replaceChildren(
      heading(
          "Memory map",
          "Who has which bytes of the arena, and when. Click for all that is live at one time; " +
              "drag to enlarge.",
          memory.reset, legend(kinds)),
      lifetimes.length ?
          html("div", {class: "map-and-holders"}, memory.box, memory.holders) :
          empty_text(
              "No arena is needed: all values live in the state, the inputs and the outputs."));
  draw_map();
  draw_holders();
}
function refresh_memory() {
  if (memory.map) memory.map.refresh();
  draw_holders();
}
watch("entry", draw_memory);
watch("select", refresh_memory);
watch("time", refresh_memory);
watch("resize", draw_map);
