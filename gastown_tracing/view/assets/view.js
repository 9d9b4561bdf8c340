"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const trace = JSON.parse($("trace").textContent);
  const rows = trace.rows;
  const tree = $("tree"), body = $("rows"), grid = $("grid"), axis = $("axis"), map = $("map");
  const ROW = 25, PRINTED = 5000, CHIPS = 3, CONNECTED = 500;

  /* Rows come parents before children: `past[i]` is the first row after everything under row i. */
  const past = new Uint32Array(rows.length), parent = new Int32Array(rows.length), folded = new Uint8Array(rows.length);
  const open = [];
  rows.forEach((row, i) => {
    while (open.length && rows[open[open.length - 1]].depth >= row.depth) past[open.pop()] = i;
    parent[i] = open.length ? open[open.length - 1] : -1;
    folded[i] = row.count ? 1 : 0;
    open.push(i);
  });
  open.forEach((i) => { past[i] = rows.length; });
  const hasChildren = (i) => past[i] > i + 1;

  let shown = [], place = new Int32Array(rows.length), chosen = 0, hits = new Set(), query = "";
  function arrange() {
    shown = [];
    place.fill(-1);
    for (let i = 0; i < rows.length; i = folded[i] ? past[i] : i + 1) { place[i] = shown.length; shown.push(i); }
    tree.setAttribute("aria-rowcount", shown.length);
    body.style.height = `${shown.length * ROW}px`;
  }

  /* Words. Times are microseconds since the trace began. */
  function duration(us) {
    if (us < 1) return us > 0 ? `${Math.round(us * 1000)} ns` : "0 s";
    for (const [unit, name] of [[1, "µs"], [1e3, "ms"]]) {
      if (us < unit * 999.5) return us < unit * 9.95 ? `${(us / unit).toFixed(1)} ${name}` : `${Math.round(us / unit)} ${name}`;
    }
    if (us < 59.95e6) return `${(us / 1e6).toFixed(1)} s`;
    const s = Math.round(us / 1e6), two = (n) => String(n).padStart(2, "0");
    if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
    if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s % 3600 / 60))}m`;
    return `${Math.floor(s / 86400)}d ${two(Math.floor(s % 86400 / 3600))}h`;
  }
  /* How long a row took: at least so long where nobody saw the end, of a fold the sum. */
  function took(row) {
    const said = row.minimum ? row.busy > 0 ? `≥ ${duration(row.busy)}` : "?" : duration(row.busy);
    return row.count ? `Σ ${said}` : said;
  }
  function el(name, className, text) {
    const node = document.createElement(name);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  /* The axis: time → drawn time, in which long idle stretches are short; then the part of it in sight. */
  let breaks = [], total = 1, from = 0, to = 1;
  function compress(on) {
    const chosenGaps = [];
    let rest = trace.length;
    if (on) for (const [a, b] of trace.gaps) {
      if (chosenGaps.length >= 6 || b - a < rest * 0.1) break;
      chosenGaps.push([a, b]);
      rest -= b - a;
    }
    const short = Math.max(rest, 1) * 0.075;
    breaks = [];
    let saved = 0;
    for (const [a, b] of chosenGaps.sort((x, y) => x[0] - y[0])) { breaks.push({ a, b, at: a - saved, size: short }); saved += b - a - short; }
    total = Math.max(trace.length - saved, 1);
    from = 0;
    to = total;
    $("idle").setAttribute("aria-pressed", String(on));
    $("idle").hidden = !trace.gaps.length;
  }
  function drawn(us) {
    let saved = 0;
    for (const gap of breaks) {
      if (us < gap.a) break;
      if (us < gap.b) return gap.at + (us - gap.a) / (gap.b - gap.a) * gap.size;
      saved += gap.b - gap.a - gap.size;
    }
    return us - saved;
  }
  function real(x) {
    let saved = 0;
    for (const gap of breaks) {
      if (x < gap.at) break;
      if (x < gap.at + gap.size) return gap.a + (x - gap.at) / gap.size * (gap.b - gap.a);
      saved += gap.b - gap.a - gap.size;
    }
    return x + saved;
  }
  const share = (x) => (x - from) / (to - from);
  function zoom(a, b) {
    const least = Math.min(total, 0.01);
    let size = Math.min(Math.max(b - a, least), total);
    from = Math.min(Math.max(a, 0), total - size);
    to = from + size;
    draw();
  }
  function zoomAt(factor, at = 0.5) {
    const x = from + (to - from) * at, size = Math.min((to - from) * factor, total);
    zoom(x - size * at, x - size * at + size);
  }
  /* Keys and buttons zoom around the middle of the chosen span, where it is in sight. */
  function zoomChosen(factor) {
    const at = share(drawn(rows[chosen].start + rows[chosen].span / 2));
    zoomAt(factor, at > 0 && at < 1 ? at : 0.5);
  }
  const pan = (by) => zoom(from + (to - from) * by, to + (to - from) * by);
  function zoomToRow(i) {
    const a = drawn(rows[i].start), b = drawn(rows[i].start + rows[i].span), edge = Math.max((b - a) * 0.1, 0.01);
    zoom(a - edge, b + edge);
  }

  const STEPS = [];
  for (let p = 1e-3; p < 1e7; p *= 10) STEPS.push(p, 2 * p, 5 * p);
  STEPS.splice(STEPS.findIndex((s) => s > 9e6), 9, ...[10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800].map((s) => s * 1e6));
  function moment(us, step) {
    if (Math.abs(us) < 1e-6) return "0";
    const round = (value) => String(Math.round(value * 1000) / 1000);
    if (us < 60e6) return us < 1e3 ? `${round(us)}µs` : us < 1e6 ? `${round(us / 1e3)}ms` : step < 1e3 ? `${(us / 1e6).toFixed(6)}s` : `${round(us / 1e6)}s`;
    const s = us / 1e6, h = Math.floor(s / 3600), m = Math.floor(s % 3600 / 60), rest = step < 60e6 ? `${round(s % 60)}s` : "";
    return h ? `${h}h${m || rest ? `${m}m` : ""}${rest}` : `${m}m${rest}`;
  }
  function ticks(width) {
    const step = STEPS.find((s) => s / (to - from) * width >= 84) || STEPS[STEPS.length - 1];
    const found = [], first = Math.ceil(real(from) / step - 1e-9) * step, last = real(to);
    for (let us = first; us <= last && found.length < 200; us += step) {
      const gap = breaks.find((g) => us > g.a && us < g.b);
      if (gap) { us = Math.ceil(gap.b / step) * step - step; continue; }
      found.push([us, share(drawn(us)), step]);
    }
    return found;
  }
  function drawScale() {
    const width = axis.clientWidth || 1;
    axis.replaceChildren();
    grid.replaceChildren();
    grid.style.height = `${Math.max(shown.length * ROW, tree.clientHeight)}px`;
    grid.style.left = `${axis.offsetLeft}px`;
    grid.style.width = `${width}px`;
    const bands = breaks.map((gap) => [share(gap.at) * width, gap.size / (to - from) * width, gap]).filter(([x, w]) => x + w > 0 && x < width);
    for (const [us, at, step] of ticks(width)) {
      const x = at * width, line = el("i");
      line.style.left = `${x}px`;
      grid.append(line);
      if (x > width - 40 || bands.some(([b, w]) => x > b - 60 && x < b + w)) continue;
      const label = el("span", "", moment(us, step));
      label.style.left = `${x}px`;
      axis.append(label);
    }
    for (const [x, w, gap] of bands) {
      const label = el("span", "gap", w > 60 ? `${duration(gap.b - gap.a)} idle` : w > 26 ? duration(gap.b - gap.a) : "");
      label.title = `${duration(gap.b - gap.a)} in which nothing ran, shortened`;
      const band = el("i", "gap");
      for (const node of [label, band]) { node.style.left = `${x}px`; node.style.width = `${w}px`; }
      axis.append(label);
      grid.append(band);
    }
  }

  /* Links of which both ends are here: down from the cause's end, then along the time that the effect waited. */
  const edges = rows.flatMap((row, i) => (row.links || []).filter((link) => link.mark && !link.effect && link.to !== undefined).map((link) => [link.to, i]));
  function visibleRow(i) {
    while (i >= 0 && place[i] < 0) i = parent[i];
    return i;
  }
  function drawLinks(every) {
    if (!edges.length) return;
    const NS = "http://www.w3.org/2000/svg", width = axis.clientWidth || 1;
    const top = every ? 0 : tree.scrollTop, height = every ? Math.min(shown.length, PRINTED) * ROW : tree.clientHeight;
    const picture = document.createElementNS(NS, "svg");
    picture.setAttribute("width", width);
    picture.setAttribute("height", height);
    picture.style.top = `${top}px`;
    let drawnLinks = 0;
    for (const [cause, effect] of edges) {
      const up = visibleRow(cause), down = visibleRow(effect);
      if (up === down) continue;
      const y1 = place[up] * ROW + ROW / 2 - top, y2 = place[down] * ROW + ROW / 2 - top;
      if (Math.max(y1, y2) < 0 || Math.min(y1, y2) > height || drawnLinks++ >= CONNECTED) continue;
      const begins = rows[effect].start, ended = Math.min(rows[cause].start + rows[cause].span, begins);
      const at = (us) => Math.max(Math.min(share(drawn(us)) * width, width + 9), -9), x1 = at(ended), x2 = at(begins), dip = y2 > y1 ? 5 : -5;
      const path = document.createElementNS(NS, "path");
      path.setAttribute("d", `M${x1},${y1 + dip} V${y2} H${x2} m-4,-3.5 l4,3.5 l-4,3.5`);
      if (up === chosen || down === chosen) path.setAttribute("class", "chosen");
      picture.append(path);
    }
    grid.append(picture);
  }

  /* Rows: only those in sight are in the document. */
  function marked(node, text) {
    const at = query ? text.toLowerCase().indexOf(query) : -1;
    if (at < 0) { node.append(text); return node; }
    node.append(text.slice(0, at), el("mark", "", text.slice(at, at + query.length)), text.slice(at + query.length));
    return node;
  }
  function piece(className, start, span, width) {
    const a = share(drawn(start)) * width, b = share(drawn(start + span)) * width;
    if (b < -2 || a > width + 2) return null;
    const bar = el("div", className), left = Math.max(a, -4);
    bar.style.left = `${left}px`;
    bar.style.width = `${Math.max(Math.min(b, width + 4) - left, 0)}px`;
    return bar;
  }
  function lane(i, width) {
    const row = rows[i], cell = el("div", "lane");
    cell.setAttribute("role", "gridcell");
    if (!row.count) {
      const bar = piece(row.state === "live" ? "bar live" : hasChildren(i) ? "bar line" : "bar", row.start, row.span, width);
      if (bar) cell.append(bar);
      return cell;
    }
    let until = -1;  // members that would fall on the same pixel are one
    for (let j = i + 1; j < past[i]; j = past[j]) {
      const x = share(drawn(rows[j].start + rows[j].span)) * width, bad = rows[j].state === "error" || rows[j].bad;
      if (x < until && !bad) continue;
      const bar = piece(bad ? "bar part bad" : "bar part", rows[j].start, rows[j].span, width);
      if (bar) { cell.append(bar); until = x + 1; }
    }
    return cell;
  }
  function label(i) {
    const row = rows[i], cell = el("div", "label");
    cell.setAttribute("role", "gridcell");
    cell.style.paddingLeft = `${8 + Math.min(row.depth, 24) * 14}px`;
    cell.append(el("span", "twist", hasChildren(i) ? folded[i] ? "▶" : "▼" : ""), el("span", "dot"), marked(el("span", "title"), row.title));
    if (row.count) cell.append(el("span", "chip", `×${row.count}`));
    if (row.orphan) cell.append(el("span", "chip", "⇡ orphan"));
    if (row.state === "live") cell.append(el("span", "chip live", "live"));
    if (row.failed) cell.append(el("span", "chip bad", `✗ ${row.failed} failed`));
    else if (row.error) cell.append(el("span", "chip bad", `✗ ${row.error}`));
    cell.append(marked(el("span", "detail"), row.detail || ""));
    const marks = (row.links || []).filter((link, n, all) => link.mark && all.findIndex((one) => one.mark === link.mark && one.effect === link.effect) === n);
    for (const link of marks.slice(0, CHIPS)) {
      const chip = el("span", "chip link", `${link.effect ? "⇢" : "⇠"} ${link.mark}`);
      chip.title = link.said;
      if (link.to !== undefined) chip.dataset.to = link.to;
      cell.append(chip);
    }
    if (marks.length > CHIPS) cell.append(el("span", "chip", `+${marks.length - CHIPS}`));
    if (row.links && row.links.some((link) => !link.mark)) cell.append(el("span", "chip", row.links.some((link) => link.effect && !link.mark) ? "⇢ effect" : "⇠ cause"));
    if (row.waits) cell.append(el("span", "chip bead", row.waits.split(",")[0]));
    if (row.hidden) cell.append(el("span", "chip", `+${row.hidden} below`));
    if (row.bead) cell.append(el("span", "chip bead", `◆ ${row.bead}`));
    return cell;
  }
  function line(n, width) {
    const i = shown[n], row = rows[i];
    const node = el("div", `row ${row.family}${row.state === "error" && !(row.failed < row.count) ? " error" : ""}${row.faded ? " faded" : ""}${row.block ? " block" : ""}${hits.has(i) ? " hit" : ""}`);
    node.id = `row${i}`;
    node.dataset.row = i;
    node.style.top = `${n * ROW}px`;
    node.setAttribute("role", "row");
    node.setAttribute("aria-level", row.depth + 1);
    node.setAttribute("aria-rowindex", n + 1);
    node.setAttribute("aria-selected", String(i === chosen));
    if (hasChildren(i)) node.setAttribute("aria-expanded", String(!folded[i]));
    const length = el("div", "took", took(row));
    length.setAttribute("role", "gridcell");
    node.append(label(i), lane(i, width), length);
    return node;
  }
  function drawRows(every = false) {
    const width = axis.clientWidth || 1, top = tree.scrollTop;
    const first = every ? 0 : Math.max(0, Math.floor(top / ROW) - 6);
    const last = every ? Math.min(shown.length, PRINTED) : Math.min(shown.length, Math.ceil((top + tree.clientHeight) / ROW) + 6);
    const nodes = [];
    for (let n = first; n < last; n++) nodes.push(line(n, width));
    body.replaceChildren(...nodes);
    if (document.getElementById(`row${chosen}`)) tree.setAttribute("aria-activedescendant", `row${chosen}`);
    else tree.removeAttribute("aria-activedescendant");
  }
  let waiting = false;
  function draw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; $("scale").style.setProperty("--bar", `${tree.offsetWidth - tree.clientWidth}px`); drawScale(); drawLinks(false); drawRows(); drawMap(); });
  }

  /* The overview: everything, one pixel line a depth, and the part in sight. */
  let picture = null;
  function paintMap() {
    const ratio = devicePixelRatio || 1, width = map.clientWidth, height = map.clientHeight;
    picture = document.createElement("canvas");
    picture.width = map.width = Math.max(1, Math.round(width * ratio));
    picture.height = map.height = Math.max(1, Math.round(height * ratio));
    const pen = picture.getContext("2d"), css = getComputedStyle(document.documentElement), hue = {};
    for (const name of ["bd", "git", "gt", "mail", "agent", "session", "other", "error", "live"]) hue[name] = css.getPropertyValue(`--${name}`).trim();
    const deepest = rows.reduce((most, row) => Math.max(most, row.depth), 0) + 1, step = Math.min(7, (height - 8) / Math.min(deepest, 12));
    pen.scale(ratio, ratio);
    for (const pass of [false, true]) rows.forEach((row) => {
      if (row.count || (row.state === "error") !== pass) return;
      const a = drawn(row.start) / total * width, b = drawn(row.start + row.span) / total * width;
      pen.fillStyle = row.state === "error" ? hue.error : row.state === "live" ? hue.live : hue[row.family];
      pen.globalAlpha = row.depth ? 0.8 : 0.45;
      pen.fillRect(a, 4 + Math.min(row.depth, 11) * step, Math.max(b - a, 1), Math.max(step - 1.5, 1.5));
    });
  }
  function drawMap() {
    const width = map.clientWidth, ratio = devicePixelRatio || 1;
    if (!picture || picture.width !== Math.max(1, Math.round(width * ratio))) paintMap();
    const pen = map.getContext("2d"), a = from / total * map.width, b = to / total * map.width;
    pen.clearRect(0, 0, map.width, map.height);
    pen.drawImage(picture, 0, 0);
    if (to - from >= total * 0.9999) return;
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim();
    pen.globalAlpha = 0.72;
    pen.fillRect(0, 0, a, map.height);
    pen.fillRect(b, 0, map.width - b, map.height);
    pen.globalAlpha = 1;
    pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
    pen.fillRect(a - ratio, 0, ratio * 2, map.height);
    pen.fillRect(b - ratio, 0, ratio * 2, map.height);
  }

  /* Choosing, folding, searching. */
  function reveal(i) {
    let changed = false;
    for (let up = parent[i]; up >= 0; up = parent[up]) if (folded[up]) { folded[up] = 0; changed = true; }
    if (changed) arrange();
  }
  function choose(i, details) {
    reveal(i);
    chosen = i;
    const top = place[i] * ROW;
    if (top < tree.scrollTop) tree.scrollTop = top;
    else if (top + ROW > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + ROW - tree.clientHeight;
    if (details || !$("details").hidden) describe(i);
    draw();
  }
  function fold(i, on) {
    if (!hasChildren(i)) return;
    folded[i] = on ? 1 : 0;
    for (let up = parent[chosen]; on && up >= 0; up = parent[up]) if (up === i) { chosen = i; break; }
    arrange();
    draw();
  }
  function foldAll(on) {
    rows.forEach((row, i) => { folded[i] = hasChildren(i) && (on ? row.depth > 0 || row.count : false) ? 1 : 0; });
    if (on) while (parent[chosen] >= 0 && folded[parent[chosen]]) chosen = parent[chosen];
    arrange();
    choose(chosen);
  }
  function haystack(row) {
    if (row.hay === undefined) row.hay = [row.title, row.detail, row.error, row.process, row.id, row.waits, JSON.stringify([row.attributes, row.events, row.logs, row.links])].join("\n").toLowerCase();
    return row.hay;
  }
  function search(text) {
    query = text.trim().toLowerCase();
    hits = new Set();
    if (query) rows.forEach((row, i) => { if (!row.count && haystack(row).includes(query)) hits.add(i); });
    $("found").textContent = query ? hits.size ? `${hits.size} found` : "nothing found" : "";
    draw();
  }
  function next(list, back) {
    if (!list.length) return;
    const after = back ? list.filter((i) => i < chosen).pop() : list.find((i) => i > chosen);
    choose(after === undefined ? list[back ? list.length - 1 : 0] : after, true);
  }
  const failing = rows.map((row, i) => i).filter((i) => rows[i].state === "error" && !rows[i].count);
  const nextHit = (back) => {
    next([...hits], back);
    $("found").textContent = hits.size ? `${[...hits].indexOf(chosen) + 1} of ${hits.size}` : "nothing found";
  };

  /* The details of one span. Everything goes in as text, never as markup, and what would steer the text as its code. */
  const visible = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (c) => {
    const code = c.codePointAt(0).toString(16);
    return "\n\t".includes(c) ? c : code.length > 4 ? `\\u{${code}}` : `\\u${code.padStart(4, "0")}`;
  });
  function pairs(table, values) {
    for (const [name, value] of Object.entries(values)) {
      const tr = el("tr"), th = el("th", "", visible(name));
      th.scope = "row";
      tr.append(th, el("td", "mono", visible(typeof value === "string" ? value : JSON.stringify(value))));
      table.append(tr);
    }
    return table;
  }
  function section(panel, title, values) {
    if (values && Object.keys(values).length) panel.append(el("h3", "", title), pairs(el("table"), values));
  }
  function describe(i) {
    const row = rows[i], panel = $("details"), close = el("button", "close", "×");
    close.type = "button";
    close.setAttribute("aria-label", "Close details");
    close.addEventListener("click", hide);
    panel.replaceChildren(close, el("h2", "", row.count ? `${row.title} ×${row.count}` : row.title));
    if (row.error) panel.append(el("p", "why", row.failed ? `${row.failed} of ${row.count} failed: ${row.error}` : row.error));
    if (row.orphan) panel.append(el("p", "note", `⇡ Shown here because its parent ${row.parentId} ${row.orphan}.`));
    if (row.twin) panel.append(el("p", "note", "Another span has its id."));
    if (row.waits) panel.append(el("p", "note", `⇢ ${row.waits}`));
    for (const link of row.links || []) {
      const said = `${link.effect ? "⇢" : "⇠"} ${link.said}${link.waited && !link.effect ? `, waited ${link.waited}` : ""}`, line = el("p", "link");
      if (link.to === undefined) line.append(said);
      else {
        const jump = el("button", "jump", said);
        jump.type = "button";
        jump.addEventListener("click", () => { tree.focus(); choose(link.to, true); });
        line.append(jump);
      }
      line.title = `trace ${link.trace}, span ${link.span}`;
      panel.append(line);
    }
    const began = new Date(trace.epoch + row.start / 1e3);
    section(panel, "When and where", {
      Started: `${row.start < 0 ? "−" : "+"}${duration(Math.abs(row.start))} · ${began.toLocaleTimeString()}`, Took: row.state === "live" ? `${duration(row.busy)} so far` : took(row),
      ...(row.process && { Process: row.process }), ...(row.work && { "Work item": row.work }), ...(row.name && { Span: row.name }), ...(row.id && { "Span id": row.id }), ...(row.parentId && { "Parent id": row.parentId }),
    });
    section(panel, "Attributes", row.attributes);
    for (const [title, list] of [["Log records", row.logs], ["Events", row.events]]) {
      if (!list) continue;
      panel.append(el("h3", "", title));
      for (const record of list) {
        const box = el("div", `record${record.bad ? " bad" : ""}`), head = el("div");
        head.append(el("b", "", record.name), ` +${duration(record.at)}${record.severity ? ` · ${record.severity}` : ""}`);
        box.append(head, pairs(el("table"), { ...(record.body && { body: record.body }), ...record.attributes }));
        panel.append(box);
      }
    }
    for (const [title, values] of [["Identity of the session", row.common], ["Resource", trace.resources[row.resource]]]) {
      if (!values || !Object.keys(values).length) continue;
      const more = el("details");
      more.append(el("summary", "", title), pairs(el("table"), values));
      panel.append(more);
    }
    panel.hidden = false;
    draw();
  }
  function hide() {
    $("details").hidden = true;
    tree.focus();
    draw();
  }

  /* What stands above and below. */
  $("name").textContent = trace.name;
  $("state").textContent = trace.state.text;
  $("state").classList.add(trace.state.kind);
  for (const [name, value, kind] of trace.facts) {
    const box = el("div");
    box.append(el("dt", "", name), el("dd", kind, value));
    $("facts").append(box);
  }
  $("notes").textContent = trace.notes.join(" ");
  $("errors").textContent = failing.length === 1 ? "1 error" : `${failing.length} errors`;
  $("errors").disabled = !failing.length;
  const families = { session: "session", gt: "gt", bd: "bd", git: "git", mail: "mail, sling", agent: "agent", other: "other" }, used = new Set(rows.map((row) => row.family));
  for (const [name, text] of Object.entries(families)) if (used.has(name)) {
    const item = el("span", name);
    item.append(el("i"), text);
    $("legend").append(item);
  }
  compress(true);
  arrange();
  draw();
  if (!rows.length) {
    $("nothing").textContent = trace.nothing;
    $("nothing").hidden = false;
    for (const control of document.querySelectorAll("#tools button, #tools input")) control.disabled = true;
    return;
  }

  /* Keys and pointers. */
  function move(by) { choose(shown[Math.min(Math.max(place[chosen] + by, 0), shown.length - 1)]); }
  const keys = {
    ArrowDown: () => move(1), ArrowUp: () => move(-1), Home: () => choose(shown[0]), End: () => choose(shown[shown.length - 1]),
    PageDown: () => move(Math.floor(tree.clientHeight / ROW) - 1), PageUp: () => move(1 - Math.floor(tree.clientHeight / ROW)),
    ArrowRight: (event) => event.shiftKey ? pan(0.2) : folded[chosen] ? fold(chosen, false) : hasChildren(chosen) && move(1),
    ArrowLeft: (event) => event.shiftKey ? pan(-0.2) : hasChildren(chosen) && !folded[chosen] ? fold(chosen, true) : parent[chosen] >= 0 && choose(parent[chosen]),
    Enter: () => choose(chosen, true), " ": () => choose(chosen, true), Escape: hide, z: () => zoomToRow(chosen),
    e: () => next(failing), E: () => next(failing, true), n: () => nextHit(), N: () => nextHit(true),
  };
  const everywhere = {
    "/": () => { $("search").focus(); $("search").select(); }, "+": () => zoomChosen(0.5), "=": () => zoomChosen(0.5), "-": () => zoomChosen(2), 0: () => zoom(0, total),
    i: () => $("idle").click(),
  };
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "INPUT") return;
    const act = event.target === tree || event.target === document.body ? keys[event.key] || everywhere[event.key] : everywhere[event.key];
    if (event.key === "Escape" && !$("details").hidden) hide();
    else if (act) act(event);
    else return;
    event.preventDefault();
  });
  $("search").addEventListener("input", (event) => search(event.target.value));
  $("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") nextHit(event.shiftKey);
    else if (event.key === "Escape") { event.target.value = ""; search(""); tree.focus(); }
  });
  for (const [id, act] of [["expand", () => foldAll(false)], ["collapse", () => foldAll(true)], ["in", () => zoomChosen(0.5)], ["out", () => zoomChosen(2)], ["fit", () => zoom(0, total)], ["errors", () => next(failing)]]) $(id).addEventListener("click", act);
  $("idle").addEventListener("click", () => { compress($("idle").getAttribute("aria-pressed") !== "true"); picture = null; draw(); });
  const rowOf = (event) => { const node = event.target.closest(".row"); return node ? Number(node.dataset.row) : -1; };
  tree.addEventListener("click", (event) => {
    const i = rowOf(event), chip = event.target.closest(".chip.link");
    if (i < 0 || dragged) return;
    if (chip && chip.dataset.to) choose(Number(chip.dataset.to), true);
    else if (event.target.closest(".twist") && hasChildren(i)) { chosen = i; fold(i, !folded[i]); } else choose(i, true);
  });
  tree.addEventListener("dblclick", (event) => { const i = rowOf(event); if (i >= 0 && !event.target.closest(".twist")) zoomToRow(i); });
  tree.addEventListener("scroll", draw, { passive: true });
  const shareAt = (event) => { const box = axis.getBoundingClientRect(); return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1); };
  for (const surface of [axis, map, tree]) surface.addEventListener("wheel", (event) => {
    if (surface === tree && !event.ctrlKey && !event.altKey && !event.shiftKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY)) return;
    event.preventDefault();
    if (surface === tree && !event.ctrlKey && !event.altKey) pan((event.deltaX || event.deltaY) / 1200);
    else zoomAt(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 240))), surface === map ? 0.5 : shareAt(event));
  }, { passive: false });
  let drag = null, dragged = false;
  function grab(event, whole) {
    if (event.button !== 0) return;
    drag = { at: shareAt(event), a: whole ? 0 : from, b: whole ? total : to, band: whole ? null : el("b"), pointer: event.pointerId };
    dragged = false;
  }
  tree.addEventListener("pointerdown", (event) => { if (event.target.closest(".lane")) grab(event, false); else dragged = false; });
  axis.addEventListener("pointerdown", (event) => grab(event, false));
  map.addEventListener("pointerdown", (event) => grab(event, true));
  addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    const now = shareAt(event), a = Math.min(now, drag.at), b = Math.max(now, drag.at);
    if ((b - a) * axis.clientWidth < 5) return;
    dragged = true;
    drag.to = now;
    if (drag.band) { drag.band.style.left = `${a * 100}%`; drag.band.style.width = `${(b - a) * 100}%`; grid.append(drag.band); }
    else zoom(a * total, b * total);
  });
  addEventListener("pointerup", () => {
    if (drag && dragged && drag.band) zoom(drag.a + (drag.b - drag.a) * Math.min(drag.at, drag.to), drag.a + (drag.b - drag.a) * Math.max(drag.at, drag.to));
    drag = null;
  });
  addEventListener("pointercancel", () => { drag = null; draw(); });
  addEventListener("resize", draw);
  addEventListener("beforeprint", () => { drawScale(); drawLinks(true); drawRows(true); });
  addEventListener("afterprint", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { picture = null; draw(); });

})();
