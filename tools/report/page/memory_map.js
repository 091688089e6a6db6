// The memory map: kernels in execution order from left to right, addresses of the arena upwards, a
// rectangle for each value from the kernel that makes it to the last one that reads it.

const kMap = {
  left: 64,
  right: 14,
  top: 26,
  height: 400,
  gap: 14,
  ribbon: 10,
  live: 76,
  axis: 22
};

// At most `count` round numbers up to `end`.
function ticks(begin, end, count, base) {
  const raw = (end - begin) / count;
  let step = 1;
  if (base === 2)
    while (step < raw) step *= 2;
  else {
    const power = 10 ** Math.floor(Math.log10(Math.max(raw, 1)));
    step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  }
  const list = [];
  for (let at = Math.ceil(begin / step) * step; at <= end; at += step) list.push(at);
  return list;
}

function address_top(entry) {
  const budget = entry.budget_bytes;
  const top = Math.max(entry.arena_bytes, 64);
  return (budget && budget <= 1.5 * top ? Math.max(budget, top) : top) * 1.02;
}

function hatch(id, content, size) {
  return svg(
      "pattern", {
        id,
        width: size,
        height: size,
        patternUnits: "userSpaceOnUse",
        patternTransform: "rotate(45)"
      },
      content);
}
function patterns() {
  return svg(
      "defs", {}, hatch("hatch", svg("rect", {class: "hatch-line", width: 2.2, height: 7}), 7),
      hatch("hatch-fine", svg("rect", {class: "hatch-line", width: 1.2, height: 4}), 4));
}

class MemoryMap {
  // `range` is {t0, t1, a0, a1}: kernels and addresses that are shown; null for all.
  constructor(entry, width, range) {
    this.entry = entry;
    this.kernels = Math.max(entry.calls.length, 1);
    this.plot = Math.max(width - kMap.left - kMap.right, 100);
    this.range = range || {t0: 0, t1: this.kernels, a0: 0, a1: address_top(entry)};
    this.bottom = kMap.top + kMap.height;
    this.ribbon_top = this.bottom + 4;
    this.live_top = this.ribbon_top + kMap.ribbon + kMap.gap;
    this.live_bottom = this.live_top + kMap.live;
    this.total = this.live_bottom + kMap.axis;
    this.root = svg(
        "svg", {class: "map", width, height: this.total, viewBox: `0 0 ${width} ${this.total}`});
    this.draw();
  }
  x(time) {
    return kMap.left + (this.plot * (time - this.range.t0)) / (this.range.t1 - this.range.t0);
  }
  y(address) {
    return this.bottom -
        (kMap.height * (address - this.range.a0)) / (this.range.a1 - this.range.a0);
  }
  live_y(bytes) {
    return this.live_bottom - (kMap.live * bytes) / Math.max(this.entry.peak_bytes, 1);
  }
  time_at(x) {
    const time = this.range.t0 + ((x - kMap.left) / this.plot) * (this.range.t1 - this.range.t0);
    return Math.min(this.kernels - 1, Math.max(0, Math.floor(time)));
  }

  // A rectangle of the plot that nothing is drawn outside of.
  clip(id, y, height) {
    return svg("clipPath", {id}, svg("rect", {x: kMap.left, y, width: this.plot, height}));
  }
  text(kind, x, y, anchor, text) {
    return svg("text", {class: kind, x, y, "text-anchor": anchor}, text);
  }
  across(kind, y) {
    return svg("line", {class: kind, x1: kMap.left, x2: kMap.left + this.plot, y1: y, y2: y});
  }

  draw() {
    const frame = {x: kMap.left, y: kMap.top, width: this.plot, height: kMap.height};
    this.rectangles = svg("g", {"clip-path": "url(#map-clip)"});
    this.names = svg("g", {class: "names", "clip-path": "url(#map-clip)"});
    this.overlay = svg("g", {class: "overlay"});
    this.cursor = svg("g", {class: "cursor"});
    this.root.append(
        patterns(), this.clip("map-clip", kMap.top, kMap.height),
        this.clip("live-clip", this.live_top - 2, kMap.live + 4),
        svg("rect", {class: "plot", ...frame}));
    this.draw_axes();
    this.root.append(this.rectangles, this.names);
    this.draw_lifetimes();
    this.draw_ribbon();
    this.draw_live();
    this.root.append(this.overlay, this.cursor);
    this.draw_limits();
    this.draw_peak();
    this.listen();
  }

  draw_axes() {
    const left = kMap.left - 8, below = this.live_bottom + 17;
    for (const address of ticks(this.range.a0, this.range.a1, 6, 2)) {
      const y = this.y(address);
      this.root.append(
          this.across("grid", y), this.text("tick", left, y + 4, "end", bytes_text(address)));
    }
    for (const time of ticks(this.range.t0, this.range.t1, this.plot / 90, 10)) {
      const x = this.x(time);
      if (x > kMap.left + this.plot - 4) continue;
      this.root.append(
          svg("line", {class: "grid", x1: x, x2: x, y1: this.bottom, y2: this.live_bottom + 4}),
          this.text("tick", x, below, "middle", String(time)));
    }
    this.root.append(
        this.text("axis", left, below, "end", "kernel"),
        this.text("axis", left, this.live_top + 10, "end", "live"),
        this.text("axis", left, kMap.top - 10, "end", "address"));
  }

  draw_lifetimes() {
    // Large ones first, so that small ones beside them stay visible where a pixel is shared.
    const area = (lifetime) => lifetime.bytes * (lifetime.last - lifetime.first + 1);
    const order = [...this.entry.lifetimes].sort((a, b) => area(b) - area(a));
    const {t0, t1, a0, a1} = this.range;
    this.of_lifetime = new Map();
    for (const lifetime of order) {
      const {first, last, offset, bytes, kind} = lifetime;
      if (last + 1 <= t0 || first >= t1 || offset + bytes <= a0 || offset >= a1) continue;
      const x = this.x(first), y = this.y(offset + bytes);
      const width = Math.max(this.x(last + 1) - x, 0.8);
      const height = Math.max(this.y(offset) - y, 0.8);
      const box = {x, y, width, height};
      const rectangle =
          svg("rect",
              {class: this.class_of(lifetime, height), "data-lifetime": lifetime.index, ...box});
      this.rectangles.append(rectangle);
      const hatched = {recomputed: "url(#hatch)", scratch: "url(#hatch-fine)"}[kind];
      if (hatched) this.rectangles.append(svg("rect", {class: "hatched", fill: hatched, ...box}));
      this.of_lifetime.set(lifetime.index, rectangle);
      this.draw_name(lifetime, box);
    }
  }

  class_of(lifetime, height) {
    const lit = lifetime.id >= 0 ? color_class(value_key(lifetime.id)) : "";
    return `life ${lifetime.kind}${height < 5 ? " thin" : ""} ${lit}`;
  }

  draw_name(lifetime, {x, y, width, height}) {
    const left = Math.max(x, kMap.left), right = Math.min(x + width, kMap.left + this.plot);
    const top = Math.max(y, kMap.top), bottom = Math.min(y + height, this.bottom);
    const letters = Math.floor((right - left - 8) / 6.3);
    if (bottom - top < 13 || letters < 4) return;
    const middle = (top + bottom) / 2 + 4;
    this.names.append(svg("text", {x: left + 4, y: middle}, clipped(lifetime.text, letters)));
  }

  // The phase of each kernel, in runs.
  draw_ribbon() {
    const calls = this.entry.calls;
    for (let begin = 0; begin < calls.length;) {
      let end = begin + 1;
      while (end < calls.length && calls[end].kind === calls[begin].kind) ++end;
      const x = Math.max(this.x(begin), kMap.left);
      const right = Math.min(this.x(end), kMap.left + this.plot);
      if (right > x) {
        const box = {x, y: this.ribbon_top, width: right - x, height: kMap.ribbon};
        this.root.append(svg("rect", {class: "ribbon " + calls[begin].kind, ...box}));
        if (calls[begin].kind === "recomputed")
          this.root.append(svg("rect", {class: "hatched", fill: "url(#hatch-fine)", ...box}));
      }
      begin = end;
    }
  }

  draw_live() {
    const points = this.entry.live.flatMap(
        (bytes, time) => [time, time + 1].map((t) => `${this.x(t)},${this.live_y(bytes)}`));
    const end = this.x(this.entry.live.length);
    const area =
        `M${this.x(0)},${this.live_bottom}L${points.join("L")}L${end},${this.live_bottom}Z`;
    if (points.length)
      this.root.append(svg("path", {class: "live-area", d: area, "clip-path": "url(#live-clip)"}));
    this.root.append(this.across("base", this.live_bottom));
  }

  limit(kind, bytes, label) {
    const y = this.y(bytes);
    if (y < kMap.top - 1 || y > this.bottom) return;
    // At the end where the label of the peak is not.
    const right = this.peak_x() < kMap.left + this.plot / 2;
    const x = right ? kMap.left + this.plot - 4 : kMap.left + 4;
    this.overlay.append(
        this.across("limit " + kind, y),
        this.text("limit-label " + kind, x, y - 5, right ? "end" : "start", label));
  }
  draw_limits() {
    const budget = this.entry.budget_bytes, arena = this.entry.arena_bytes;
    const arena_label = `arena ${bytes_text(arena)}`;
    if (!budget) return this.limit("arena", arena, arena_label);
    const budget_label = `budget ${bytes_text(budget)}`;
    if (budget > this.range.a1)
      return this.limit("arena", arena, `${arena_label}, ${budget_label} is above`);
    const close = Math.abs(this.y(budget) - this.y(arena)) < 14;
    this.limit("budget", budget, budget_label + (close ? " · " + arena_label : ""));
    if (!close) this.limit("arena", arena, arena_label);
  }

  peak_x() {
    return (this.x(this.entry.peak.time) + this.x(this.entry.peak.time + 1)) / 2;
  }
  draw_peak() {
    if (!this.entry.calls.length) return;
    const x = this.peak_x();
    if (x < kMap.left || x > kMap.left + this.plot) return;
    const right = x > kMap.left + this.plot / 2;
    const label = `peak ${bytes_text(this.entry.peak_bytes)} at kernel ${this.entry.peak.time}`;
    this.overlay.append(
        svg("line", {class: "peak", x1: x, x2: x, y1: kMap.top - 4, y2: this.live_bottom}),
        svg("path", {class: "peak-mark", d: `M${x - 5},${kMap.top - 13}h10l-5,9z`}),
        this.text(
            "peak-label", right ? x - 9 : x + 9, kMap.top - 5, right ? "end" : "start", label));
  }

  // What changes without drawing all again.
  refresh() {
    for (const lifetime of this.entry.lifetimes) {
      const rectangle = this.of_lifetime.get(lifetime.index);
      if (!rectangle) continue;
      rectangle.setAttribute(
          "class", this.class_of(lifetime, Number(rectangle.getAttribute("height"))));
      if (rectangle.classList.contains("lit")) this.rectangles.append(rectangle);
    }
    this.cursor.replaceChildren();
    if (state.time === null) return;
    const x = this.x(state.time), width = Math.max(this.x(state.time + 1) - x, 1);
    if (x + width < kMap.left || x > kMap.left + this.plot) return;
    this.cursor.append(svg("rect", {x, y: kMap.top, width, height: this.live_bottom - kMap.top}));
  }

  // Where the pointer is, and the lifetime under it.
  point(event) {
    const box = this.root.getBoundingClientRect(), index = event.target.dataset.lifetime;
    const x = event.clientX - box.left, y = event.clientY - box.top;
    const lifetime = index === undefined ? null : this.entry.lifetimes[Number(index)];
    const inside = x >= kMap.left && x <= kMap.left + this.plot && y >= kMap.top;
    return {x, y, lifetime, inside: inside && this.entry.calls.length > 0};
  }

  // A click picks, a drag enlarges.
  listen() {
    let from = null, brush = null;
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button === 0) from = this.point(event);
    });
    this.root.addEventListener("pointermove", (event) => {
      const at = this.point(event);
      if (from && !brush && Math.hypot(at.x - from.x, at.y - from.y) > 6) {
        brush = svg("rect", {class: "brush"});
        this.root.append(brush);
        this.root.setPointerCapture(event.pointerId);
        hide_tip();
      }
      if (!brush) return this.tip(event, at);
      const width = Math.abs(at.x - from.x), height = Math.abs(at.y - from.y);
      fill(brush, {x: Math.min(at.x, from.x), y: Math.min(at.y, from.y), width, height}, []);
    });
    this.root.addEventListener("pointerleave", hide_tip);
    this.root.addEventListener("pointerup", (event) => {
      if (!from) return;
      const at = this.point(event), start = from, dragged = brush;
      from = brush = null;
      if (dragged) {
        dragged.remove();
        this.zoom_to(start, at);
      } else if (at.inside) {
        show_time(this.time_at(at.x));
        if (at.lifetime) select_lifetime(at.lifetime, event.shiftKey);
      }
    });
    this.root.addEventListener("dblclick", () => zoom_memory(null));
  }

  tip(event, at) {
    if (at.lifetime) return show_tip(event, lifetime_tip(at.lifetime));
    if (!at.inside) return hide_tip();
    const call = this.entry.calls[this.time_at(at.x)], layer = text_of(call.layer);
    show_tip(event, [
      `kernel ${call.time}: @${call.name}`, ["phase", call.kind],
      ["live", bytes_text(this.entry.live[call.time])], layer && ["layer", layer]
    ]);
  }

  zoom_to(from, to) {
    const {t0, t1, a0, a1} = this.range;
    const inside = (value, low, high) => Math.min(high, Math.max(low, value));
    const time = (x) => t0 + (inside(x - kMap.left, 0, this.plot) / this.plot) * (t1 - t0);
    const address = (y) =>
        a0 + ((this.bottom - inside(y, kMap.top, this.bottom)) / kMap.height) * (a1 - a0);
    const flat = Math.abs(from.y - to.y) < 12 || Math.max(from.y, to.y) > this.bottom;
    const thin = Math.abs(from.x - to.x) < 12;
    const times = [time(from.x), time(to.x)].sort((a, b) => a - b);
    const addresses = [address(from.y), address(to.y)].sort((a, b) => a - b);
    zoom_memory({
      t0: thin ? t0 : times[0],
      t1: thin ? t1 : Math.max(times[1], times[0] + 2),
      a0: flat ? a0 : addresses[0],
      a1: flat ? a1 : Math.max(addresses[1], addresses[0] + 256),
    });
  }
}
