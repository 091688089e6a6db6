// The bar at the top, the details of what is selected, and the address of what is shown.

// --- Details ---

function details_of_line(line) {
  const code = source_line(line);
  const calls = state.entry.calls.filter((call) => line_key(text_of(call.loc)) === line);
  return {
    name: code ? "line " + line : line,
    rows: [code && ["", code], ["kernels", count_text(calls.length)]]
  };
}
function details_of_state(name) {
  const tensor = data.states.find((candidate) => candidate.name === name);
  const rows = [["", tensor.type], ["role", tensor.role], ["bytes", bytes_text(tensor.bytes)]];
  return {name: "@" + name, rows};
}

// Where the value is while the entry runs.
function home_of(id, value, call) {
  const lives = state.entry.lifetimes.filter((lifetime) => lifetime.id === id);
  const life = ({offset, first, last}) => `@${count_text(offset)} for kernels ${first} … ${last}`;
  if (lives.length) return clipped(lives.map(life).join(", again "), 120);
  if (!value) return call ? "registers and caches of its kernel" : "";
  if (value.region === "arena") return "";
  return `the ${value.region}${value.state >= 0 ? " @" + text_of(value.state) : ""}`;
}
function details_of_value(id) {
  const entry = state.entry, uses = entry.uses.get(id);
  const time = uses ? uses.made[0] ?? uses.inside[0] : undefined;
  const call = time === undefined ? null : entry.calls[time];
  const value = entry.values.find((candidate) => candidate.id === id);
  const home = home_of(id, value, call);
  const stages = entry.stages.filter((stage) => stage.name_of_id.has(id));
  const names = [...new Set(stages.map((stage) => "%" + stage.name_of_id.get(id)))];
  const first = stages.length && stages[0].pass, last = stages.length && stages.at(-1).pass;
  return {
    name: "%" + (entry.name_of_id.get(id) || "value"),
    call,
    rows: [
      value && ["", text_of(value.type)], value && ["bytes", bytes_text(value.bytes)],
      home && ["lives in", home],
      call && ["made in", `@${call.name}, kernel ${call.time}, ${call.kind}`],
      call && text_of(call.loc) && ["model", text_of(call.loc)],
      call && text_of(call.layer) && ["layer", text_of(call.layer)],
      first && ["a line of its own", first === last ? first : `${first} … ${last}`],
      names.length > 1 && ["also called", clipped(names.slice(0, -1).join(", "), 60)]
    ]
  };
}
function details_of(key) {
  if (key[0] === "v") return details_of_value(Number(key.slice(1)));
  return key[0] === "l" ? details_of_line(key.slice(1)) : details_of_state(key.slice(1));
}

function draw_details() {
  const panel = section_of("details");
  panel.hidden = !state.current;
  document.body.classList.toggle("with-details", Boolean(state.current));
  if (!state.current) return panel.replaceChildren();
  const {name, rows, call} = details_of(state.current);
  const others = [...state.selected.keys()].filter((key) => key !== state.current);
  const other = (key) => button(details_of(key).name, "chip " + color_class(key), () => {
    state.current = key;
    draw_details();
  });
  const show_kernel_of = () => {
    show_call(call, true);
    section_of("passes").scrollIntoView();
  };
  const go = (id) => button(id, "small", () => section_of(id).scrollIntoView());
  panel.replaceChildren(
      html(
          "div", {class: "who"},
          html("span", {class: "t-value " + color_class(state.current)}, name), others.map(other)),
      html("dl", {}, rows.filter(Boolean).map((row) => html("div", {}, definitions([row])))),
      html(
          "div", {class: "controls"}, call ? button("its kernel", "small", show_kernel_of) : null,
          ["memory", "kernels", "passes"].map(go),
          html("span", {class: "hint"}, "shift-click: one more"),
          button("×", "icon", clear_selection, "deselect (Esc)")));
}
watch("select", draw_details);
watch("entry", draw_details);

// --- The bar at the top ---

function draw_entries() {
  const choices = data.entries.map((entry) => [entry.name, entry.name]);
  section_of("entries").replaceChildren(
      ...segments(choices, state.entry.name, show_entry).children);
}
watch("entry", draw_entries);

function search_for(text) {
  const query = text.trim();
  if (query === state.search) return;
  state.search = query;
  changed("search");
}
function listen_to_search() {
  const box = section_of("search");
  let timer = 0;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => search_for(box.value), 120);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      search_for(box.value);
      next_hit(event.shiftKey ? -1 : 1);
      event.preventDefault();
    } else if (event.key === "Escape") {
      box.value = "";
      search_for("");
      box.blur();
    }
  });
}

function switch_theme() {
  const root = document.documentElement;
  const theme =
      root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  root.dataset.theme = theme === "dark" ? "light" : "dark";
  changed("resize");
}

function listen() {
  section_of("model-name").textContent = data.model;
  section_of("theme").addEventListener("click", switch_theme);
  listen_to_search();
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input")) return;
    if (event.key === "Escape") clear_selection();
    if (event.key !== "/") return;
    section_of("search").focus();
    event.preventDefault();
  });
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => changed("resize"), 100);
  });
}

function listen_to_bar() {
  document.getElementById("model-name").textContent = data.model;
  const box = document.getElementById("search");
  let timer = 0;
  box.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      state.search = box.value.trim();
      changed("search");
    }, 120);
  });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter") {
      clearTimeout(timer);
      if (state.search !== box.value.trim()) {
        state.search = box.value.trim();
        changed("search");
      }
      next_hit(event.shiftKey ? -1 : 1);
      event.preventDefault();
    } else if (event.key === "Escape") {
      box.value = state.search = "";
      changed("search");
      box.blur();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input")) return;
    if (event.key === "/") {
      box.focus();
      event.preventDefault();
    } else if (event.key === "Escape")
      clear_selection();
  });
  document.getElementById("theme").addEventListener("click", () => {
    const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark") &&
            !document.documentElement.dataset.theme ?
        matchMedia("(prefers-color-scheme: dark)").matches :
        document.documentElement.dataset.theme === "dark";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    changed("resize");
  });
  let waiting = 0;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => changed("resize"), 100);
  });
}

// --- The address: report.html#entry=infer&value=logits&kernel=conv_2&find=relu&theme=dark ---

function follow_address() {
  if (!location.hash.includes("=")) return;
  const wish = new URLSearchParams(location.hash.slice(1));
  if (wish.get("theme")) document.documentElement.dataset.theme = wish.get("theme");
  show_entry(wish.get("entry"));
  const {calls, name_of_id} = state.entry;
  const call = calls.find((candidate) => candidate.name === wish.get("kernel"));
  if (call) show_call(call, true);
  if (wish.get("at")) show_time(Math.min(Number(wish.get("at")) || 0, calls.length - 1));
  if (wish.get("value")) state.selected.clear();
  for (const name of wish.getAll("value")) {
    const found = [...name_of_id].find(([, candidate]) => candidate === name.replace(/^%/, ""));
    if (found) select(value_key(found[0]), true);
  }
  if (wish.get("find")) search_for((section_of("search").value = wish.get("find")));
  const section = section_of(wish.get("show"));
  if (section) section.scrollIntoView();
}

listen();
changed("entry");
follow_address();
window.addEventListener("hashchange", follow_address);
document.body.dataset.ready = "true";
