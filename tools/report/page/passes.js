// The section of the passes: what the columns hold, and the search through them.

// --- Rows of a stage ---

function stage_rows(stage) {
  if (stage.rows) return stage.rows;
  stage.rows = [];
  stage.functions.forEach((fn, f) => {
    if (f > 0) stage.rows.push({text: "", mark: kSame});
    const inside = new Map(fn.inside.map((call) => [call.op, call.ids]));
    const ids_in = (text) => values_in(text).map((name) => fn.id_of_name.get(name));
    for (let i = 0; i < fn.lines.length; i += 4) {
      const [, loc, mark, op] = fn.lines.slice(i, i + 4), text = text_of(fn.lines[i]);
      const row = {text, loc: text_of(loc), mark, op, ids: fn.id_of_name};
      const is_parameter = /^ {4}%[^>]*$/.test(text);
      row.makes = ids_in(op >= 0 ? text.slice(0, text.indexOf(" = ")) : is_parameter ? text : "");
      if (inside.has(op)) {
        const named = new Set(ids_in(text));
        row.inside = inside.get(op);
        row.holds = new Set(row.inside.filter((id) => !named.has(id)));
      }
      stage.rows.push(row);
    }
  });
  return stage.rows;
}

// Rows of the stage with those between that the pass took away from the stage before.
function with_ghosts(rows, before) {
  const last_made = new Map();
  rows.forEach((row, index) => (row.makes || []).forEach((id) => last_made.set(id, index)));
  const after = new Map();  // row -> ghosts
  let anchor = 0;
  for (const row of before) {
    if (!(row.op >= 0)) continue;
    if (row.mark & kGoneNext) {
      if (!after.has(anchor)) after.set(anchor, []);
      after.get(anchor).push({...row, ghost: true, mark: kSame});
    } else {
      for (const id of row.makes)
        if (last_made.has(id)) anchor = last_made.get(id);
    }
  }
  return rows.flatMap((row, index) => [row, ...(after.get(index) || [])]);
}

// With only what changed and a little around it; runs of the rest become gaps.
function folded_rows(rows, opened) {
  const kAround = 2;
  const keep = new Array(rows.length).fill(false);
  rows.forEach((row, index) => {
    if (!row.ghost && !(row.mark & (kNew | kChanged)) && !opened.has(row)) return;
    for (let i = Math.max(0, index - kAround); i <= Math.min(rows.length - 1, index + kAround); ++i)
      keep[i] = true;
  });
  const result = [];
  for (let i = 0; i < rows.length;) {
    if (keep[i]) {
      result.push(rows[i++]);
      continue;
    }
    const begin = i;
    while (i < rows.length && !keep[i]) ++i;
    if (i - begin < 3)
      result.push(...rows.slice(begin, i));
    else
      result.push({gap: i - begin, hidden: rows.slice(begin, i), mark: kSame});
  }
  return result;
}

// How many lines of a stage are new and changed, and how many of the one before are gone.
function changes_of(stage, before) {
  const every_fourth = (fn, first) => fn.lines.filter((value, i) => i % 4 === first);
  const marks = stage.functions.flatMap((fn) => every_fourth(fn, 2));
  const gone = (before ? before.functions : []).flatMap((fn) => {
    const ops = every_fourth(fn, 3);
    return every_fourth(fn, 2).filter((mark, i) => mark & kGoneNext && ops[i] >= 0);
  });
  const count = (bit) => marks.filter((mark) => mark & bit).length;
  return {lines: marks.length, added: count(kNew), altered: count(kChanged), gone: gone.length};
}

function stage_column(stage, index, entry) {
  const before = index > 0 ? entry.stages[index - 1] : null;
  const {lines, added, altered, gone} = changes_of(stage, before);
  const is_plan = index === entry.stages.length - 1;
  const column = new Column(stage.pass, {note: stage.reason, is_plan, stage, before});
  column.idle = !lines || (before && !added && !altered && !gone);
  column.empty = "A later pass makes this entry.";
  const show_ghosts = (event) => {
    column.ghosts = !column.ghosts;
    event.currentTarget.setAttribute("aria-pressed", String(column.ghosts));
    set_stage_rows(column);
  };
  const changes = [
    added && html("span", {class: "chip new", title: "new lines"}, "+" + count_text(added)),
    altered &&
        html("span", {class: "chip changed", title: "changed lines"}, "~" + count_text(altered)),
    gone && button("−" + count_text(gone), "chip gone", show_ghosts, "lines that are gone"),
    column.idle && lines && chip("unchanged")
  ];
  if (before) column.chips.append(...changes.filter(Boolean));
  column.chips.append(chip(plural(lines, "line"), "plain"));
  if (before) column.chips.append(chip(time_text(stage.seconds * 1e9), "plain"));
  set_stage_rows(column);
  return column;
}
function set_stage_rows(column) {
  const rows = stage_rows(column.stage);
  column.all_rows = column.ghosts ? with_ghosts(rows, stage_rows(column.before)) : rows;
  const fold = passes.only_changes && column.before;
  column.set_rows(fold ? folded_rows(column.all_rows, column.opened) : column.all_rows);
  column.search(state.search.toLowerCase());
}

function source_column() {
  const note = "The model as it is written. Click a line's number to light up what came of it.";
  const column = new Column("model", {note, width: 380, is_source: true});
  const row = (text, i) =>
      ({text: text_of(text), loc: `${data.file}:${i + 1}:1`, number: String(i + 1), mark: kSame});
  column.chips.append(chip(clipped(data.file.split("/").pop(), 30), "plain"));
  column.set_rows(data.source.map(row));
  return column;
}

// The line of the model that a value comes from, by the first stage that has it.
passes.line_of_key = (key) => {
  for (const column of passes.columns.filter((candidate) => candidate.stage))
    for (const index of column.rows_of_key.get(key) || [])
      if (column.rows[index].loc) return line_key(column.rows[index].loc);
  return "";
};

// --- The kernel that was clicked ---

const kernel_ids = (kernel, ids) => new Map(kernel.names.map((name, i) => [text_of(name), ids[i]]));

function kernel_rows(kernel, ids) {
  const names = kernel_ids(kernel, ids), rows = [];
  for (let i = 0; i < kernel.lines.length; i += 2) {
    const text = text_of(kernel.lines[i]), loc = text_of(kernel.lines[i + 1]);
    const left = text.includes(" = ") ? text.slice(0, text.indexOf(" = ")) : "";
    const makes = values_in(left).map((name) => names.get(name)).filter((id) => id !== undefined);
    rows.push({text, loc, mark: kSame, ids: names, makes});
  }
  return rows;
}
// In loops only buffers are values of the kernel; registers may have the same names.
function loop_rows(kernel, ids) {
  const names = kernel_ids(kernel, ids), buffers = new Map();
  const header = kernel.loops.length ? text_of(kernel.loops[0]) : "";
  for (const [, name] of header.matchAll(new RegExp(`\\b(?:operand|result) %(${kName})`, "g")))
    if (names.has(name)) buffers.set(name, names.get(name));
  return kernel.loops.map((line) => ({text: text_of(line), mark: kSame, ids: buffers}));
}

function draw_kernel_columns(detail) {
  const {body, loops} = passes, shown = state.kernel;
  const kernel = shown ? data.kernels[shown.index] : null;
  const show = (column, rows, chips) => {
    column.empty = "Click a kernel's name (@…) in a column, or a box of the graph.";
    column.chips.replaceChildren(...chips);
    column.set_rows(rows);
    column.scroller.scrollTop = 0;
    if (kernel && column.folded) column.fold(false);
    column.refresh();
  };
  if (!kernel) {
    show(body, [], []);
    show(loops, [], []);
    return;
  }
  const name = () => chip("@" + kernel.name, "plain");
  show(body, kernel_rows(kernel, shown.ids), [name(), chip(kernel.class)]);
  show(
      loops, loop_rows(kernel, shown.ids),
      [name(), chip(plural(kernel.loops.length, "line"), "plain")]);
  if (detail && detail.go) passes.strip.scrollLeft = passes.strip.scrollWidth;
}

// --- Search ---

function search_all() {
  const query = state.search.toLowerCase();
  passes.hit = null;
  for (const column of passes.columns) column.search(query);
  passes.hits = passes.columns.filter((column) => !column.folded)
                    .flatMap((column) => column.hits.map((index) => [column, index]));
  passes.hit_number = -1;
  const columns = passes.columns.filter((column) => column.hits.length).length;
  const total = passes.columns.reduce((sum, column) => sum + column.hits.length, 0);
  const found = document.getElementById("found");
  found.textContent = !query ? "" :
      total                  ? `${plural(total, "line")} in ${plural(columns, "column")}` :
                               "nothing found";
  if (query)
    for (const column of passes.columns)
      if (column.hits.length) column.show_row(column.hits[0]);
}
function next_hit(step) {
  if (!passes.hits || !passes.hits.length) return;
  passes.hit_number = (passes.hit_number + step + passes.hits.length) % passes.hits.length;
  const [column, index] = passes.hits[passes.hit_number];
  passes.hit = column.rows[index];
  section_of("passes").scrollIntoView();
  column.node.scrollIntoView({block: "nearest", inline: "nearest"});
  column.show_row(index);
  for (const other of passes.columns) other.refresh();
  document.getElementById("found").textContent =
      `${passes.hit_number + 1} of ${passes.hits.length}: ${column.title}`;
}

function draw_passes() {
  const entry = state.entry;
  const stages = entry.stages.map((stage, index) => stage_column(stage, index, entry));
  passes.columns = [...(data.source.length ? [source_column()] : []), ...stages];
  passes.body = new Column("kernel", {note: "The ops that run as one kernel."});
  passes.loops = new Column("loops", {note: "The kernel as loops, of which machine code is made."});
  passes.columns.push(passes.body, passes.loops);
  const show_only = (event) => {
    passes.only_changes = event.target.checked;
    stages.forEach(set_stage_rows);
  };
  const only = html("input", {type: "checkbox", onchange: show_only});
  only.checked = passes.only_changes;
  const fold_all = (folded) => passes.columns.forEach((column) => column.fold(folded));
  const sign = (kind, text) => html("span", {}, html("i", {class: "swatch " + kind}), text);
  passes.strip = html("div", {class: "columns"}, passes.columns.map((column) => column.node));
  section_of("passes").replaceChildren(
      heading(
          "Passes",
          "The program after each pass. Click a value to follow it, a kernel's name for its " +
              "loops, a number at the left for its line of the model.",
          html("label", {class: "check"}, only, "only changes"),
          html(
              "div", {class: "segments"}, button("fold all", "", () => fold_all(true)),
              button("unfold all", "", () => fold_all(false))),
          html(
              "div", {class: "legend"}, sign("new", "new"), sign("changed", "changed"),
              sign("gone", "gone after the next pass"))),
      passes.strip);
  for (const column of passes.columns)
    if (column.idle) column.fold(true);
  draw_kernel_columns();
  search_all();
}
watch("entry", draw_passes);
watch("kernel", draw_kernel_columns);
watch("search", search_all);
watch("select", (detail) => {
  for (const column of passes.columns) {
    if (state.current && detail && detail.origin !== column) column.show_key(state.current);
    column.refresh();
  }
});
watch("resize", () => passes.columns.forEach((column) => column.refresh()));
