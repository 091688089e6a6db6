// A column of lines: a stage, the model's text, or a kernel. Only the lines in view are elements of
// the page.

const kLine = 18;  // pixels
const kCharacter = 7.25;
const kSame = 0, kChanged = 1, kNew = 2, kGoneNext = 4;
const passes = {
  columns: [],
  only_changes: false
};

// --- Text as tokens ---

const kName = "[A-Za-z0-9_]+(?:[./:-]+[A-Za-z0-9_]+)*";
const kWords = "entry|func|kernel|loops|return|store|yield|parallel|serial|vector|unrolled|tile|" +
    "transpose";
const kTokens = new RegExp(
    [
      `(?<value>%${kName})`,
      "(?<at>@\\d+(?![A-Za-z0-9_]|[./:-]+[A-Za-z0-9_]))",  // an offset in the arena
      `(?<name>@${kName})`,                                // a state or a function
      "(?<type>\\b(?:bf|[fiu])\\d+\\b(?:\\[[\\d,]*\\])?|\\bbool\\b(?:\\[[\\d,]*\\])?)",
      "(?<attrs>\\{[^{}]*\\})",
      "(?<op>(?<== )[a-z_0-9]+(?=[ (]))",
      `(?<word>^\\s*(?:forward:|backward:|update:|(?:${kWords})\\b))`,
    ].join("|"),
    "g");
const kValue = new RegExp(`%(${kName})`, "g");
const values_in = (text) => [...text.matchAll(kValue)].map((match) => match[1]);

// A line as [kind, text] pairs; the kind is "" for what is none of the above.
const token_cache = new Map();
function tokens_of(line) {
  if (token_cache.has(line)) return token_cache.get(line);
  const tokens = [];
  let at = 0;
  for (const match of line.matchAll(kTokens)) {
    if (match.index > at) tokens.push(["", line.slice(at, match.index)]);
    tokens.push([Object.keys(match.groups).find((kind) => match.groups[kind]), match[0]]);
    at = match.index + match[0].length;
  }
  if (at < line.length) tokens.push(["", line.slice(at)]);
  token_cache.set(line, tokens);
  return tokens;
}

// --- A column ---
//
// A row is {text, loc, mark, op, ids, makes, holds, inside, ghost, number} or {gap, hidden}:
//   ids     the ids of the names in the text
//   makes   ids of the values that the row makes
//   holds   ids of values that the kernel it calls computes without giving them out
//   inside  the ids of that kernel's values
//   ghost   it is not in this stage any more
//   gap     how many rows are hidden here

class Column {
  constructor(title, options) {
    this.title = title;
    Object.assign(this, {note: "", width: 430}, options);
    this.rows = [];
    this.hits = [];
    this.opened = new Set();  // rows of gaps that were opened
    this.ghosts = false;
    this.build();
  }

  build() {
    this.sheet = html("div", {class: "sheet"});
    this.scroller = html("div", {class: "scroller", tabindex: 0}, this.sheet);
    this.ruler =
        html("canvas", {class: "ruler", title: "where lines changed and what is selected"});
    this.chips = html("div", {class: "chips"});
    const fold = button("‹", "fold", () => this.fold(!this.folded), "fold");
    const head = html("header", {title: this.note}, fold, html("b", {}, this.title), this.chips);
    const grip = html("div", {class: "grip", onpointerdown: (event) => this.resize(event)});
    const attributes = {class: "column", "data-column": this.title, style: `width:${this.width}px`};
    this.node = html("section", attributes, head, this.scroller, this.ruler, grip);
    this.listen();
  }

  listen() {
    let waiting = false;
    this.scroller.addEventListener("scroll", () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => {
        waiting = false;
        this.draw_rows();
      });
    });
    this.ruler.addEventListener("click", (event) => {
      const box = this.ruler.getBoundingClientRect();
      this.show_row(Math.floor(((event.clientY - box.top) / box.height) * this.rows.length));
    });
    this.sheet.addEventListener("click", (event) => this.click(event));
  }

  fold(folded) {
    this.folded = folded;
    this.node.classList.toggle("folded", folded);
    if (!folded) this.refresh();
  }

  resize(event) {
    const from = event.clientX, width = this.node.getBoundingClientRect().width;
    const move = (moved) => {
      this.width = Math.max(160, width + moved.clientX - from);
      this.node.style.width = this.width + "px";
    };
    const stop = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", stop);
      this.refresh();
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", stop);
    event.preventDefault();
  }

  set_rows(rows) {
    this.rows = rows;
    this.sheet.style.height = rows.length * kLine + 8 + "px";
    const longest = rows.reduce((most, row) => Math.max(most, row.text ? row.text.length : 0), 20);
    this.sheet.style.width = `max(100%, ${Math.ceil(longest * kCharacter) + 76}px)`;
    this.find_rows();
  }

  // Where each id is made, or computed inside of a call, and each line of the model.
  find_rows() {
    this.rows_of_key = new Map();
    const add = (key, row) => {
      if (!this.rows_of_key.has(key)) this.rows_of_key.set(key, []);
      const rows = this.rows_of_key.get(key);
      if (rows[rows.length - 1] !== row) rows.push(row);
    };
    this.rows.forEach((row, index) => {
      if (row.loc) add("l" + line_key(row.loc), index);
      for (const id of row.makes || []) add(value_key(id), index);
    });
    this.rows.forEach((row, index) => {
      for (const id of row.holds || [])
        if (!(row.makes || []).includes(id)) add(value_key(id), index);
    });
  }

  key_of(row, kind, text) {
    if (kind === "value") {
      const id = row.ids ? row.ids.get(text.slice(1)) : undefined;
      return id === undefined || id < 0 ? null : value_key(id);
    }
    if (kind === "name" && kState.has(text.slice(1))) return state_key(text.slice(1));
    return null;
  }

  draw_row(row, index) {
    const attributes = {class: "row" + this.row_class(row), style: `top:${index * kLine + 4}px`};
    if (row.gap) {
      const gap =
          html("button", {class: "gap", "data-gap": index}, `⋯ ${plural(row.gap, "same line")}`);
      return html("div", attributes, html("span", {class: "loc"}), gap);
    }
    const loc = row.number || short_place(row.loc || "");
    return html(
        "div", attributes,
        html("span", {class: "loc", title: row.loc, "data-loc": row.loc ? index : null}, loc),
        html("code", {}, tokens_of(row.text).map(([kind,
                                                   text]) => this.draw_token(row, kind, text))));
  }

  draw_token(row, kind, text) {
    if (!kind) return text;
    const key = this.key_of(row, kind, text);
    if (key)
      return html("span", {class: `t-${kind} linked ${color_class(key)}`, "data-key": key}, text);
    if (kind === "name" && kKernel.has(text.slice(1)))
      return html("span", {class: "t-name linked kernel", "data-kernel": text.slice(1)}, text);
    return html("span", {class: "t-" + kind}, text);
  }

  // How a selected key shows on the whole row.
  row_kind(row, key) {
    const what = key.slice(1);
    if (key[0] === "l") return row.loc && line_key(row.loc) === what ? "of-line" : "";
    if (key[0] !== "v") return "";
    if (row.holds && row.holds.has(Number(what))) return "holds";
    return row.number && passes.line_of_key(key) === row.number ? "of-line" : "";
  }

  row_class(row) {
    const change = row.mark & kNew ? " new" : row.mark & kChanged ? " changed" : "";
    let name = row.ghost ? " ghost" : change + (row.mark & kGoneNext ? " gone" : "");
    for (const key of state.selected.keys()) {
      const kind = this.row_kind(row, key);
      if (kind) name += ` ${kind} ${color_class(key)}`;
    }
    return name + (row.hit ? " hit" : "") + (row === passes.hit ? " hit-now" : "");
  }

  draw_rows() {
    if (this.folded) return;
    const kMore = 12;  // rows above and below what is seen
    const top = this.scroller.scrollTop, height = this.scroller.clientHeight || 600;
    const first = Math.max(0, Math.floor(top / kLine) - kMore);
    const last = Math.min(this.rows.length, Math.ceil((top + height) / kLine) + kMore);
    const nodes = this.rows.slice(first, last).map((row, i) => this.draw_row(row, first + i));
    this.sheet.replaceChildren(...(this.rows.length ? nodes : [empty_text(this.empty || "")]));
  }

  // Marks of changes at the left of the ruler, of what is selected and found at its right.
  draw_ruler() {
    const height = this.ruler.clientHeight;
    if (this.folded || !height) return;
    this.ruler.width = 12;
    this.ruler.height = height;
    const paint = this.ruler.getContext("2d");
    const scale = Math.min(height / Math.max(this.rows.length, 1), kLine);
    const mark = (index, color, x, least) => {
      paint.fillStyle = ink(color);
      paint.fillRect(x, index * scale, 6, Math.max(scale, least));
    };
    this.rows.forEach((row, index) => {
      const change = row.ghost ? "--gone" :
          row.mark & kNew      ? "--new" :
          row.mark & kChanged  ? "--changed" :
                                 "";
      if (change) mark(index, change, 0, 1);
      if (row.hit) mark(index, "--hit", 6, 3);
    });
    for (const [key, color] of state.selected)
      for (const index of this.rows_of(key) || []) mark(index, "--lit" + color, 6, 3);
  }

  refresh() {
    this.draw_rows();
    this.draw_ruler();
  }

  show_row(index) {
    const y = index * kLine, height = this.scroller.clientHeight;
    this.scroller.scrollTop = Math.max(0, y - height / 2 + kLine);
  }
  rows_of(key) {
    const line = this.is_source && key[0] === "v" ? passes.line_of_key(key) : "";
    return this.rows_of_key.get(line ? "l" + line : key);
  }
  show_key(key) {
    const rows = this.rows_of(key);
    if (!rows || !rows.length || this.folded) return;
    const top = this.scroller.scrollTop, height = this.scroller.clientHeight;
    const visible =
        rows.some((index) => index * kLine >= top && (index + 1) * kLine <= top + height);
    if (!visible) this.show_row(rows[0]);
  }

  click(event) {
    const {gap, loc, key, kernel} = event.target.dataset;
    if (gap !== undefined) return this.open_gap(this.rows[gap]);
    if (loc !== undefined) return select("l" + line_key(this.rows[loc].loc), event.shiftKey, this);
    if (key !== undefined) return select(key, event.shiftKey, this);
    if (kernel === undefined) return;
    const row = this.rows[Math.round((event.target.closest(".row").offsetTop - 4) / kLine)];
    const time = this.is_plan ? state.entry.calls.findIndex((call) => call.op === row.op) : -1;
    show_kernel(kKernel.get(kernel), row.inside || [], time < 0 ? null : time, true);
  }

  open_gap(row) {
    for (const hidden of row.hidden) this.opened.add(hidden);
    this.set_rows(folded_rows(this.all_rows, this.opened));
    this.refresh();
  }

  search(query) {
    this.hits = [];
    this.rows.forEach((row, index) => {
      row.hit = Boolean(query && row.text && row.text.toLowerCase().includes(query));
      if (row.hit) this.hits.push(index);
    });
    this.refresh();
  }
}

const kState = new Set(data.states.map((tensor) => tensor.name));
const kKernel = new Map(data.kernels.map((kernel, index) => [kernel.name, index]));

// Colors of the style sheet, for the canvas; forgotten when the theme changes.
const probe = html("span", {hidden: true});
document.body.append(probe);
let inks = new Map();
function ink(name) {
  if (!inks.has(name)) {
    probe.style.color = `var(${name})`;
    inks.set(name, getComputedStyle(probe).color);
  }
  return inks.get(name);
}
watch("resize", () => inks = new Map());
