// Makes pages live: charts, times in the reader's zone, and what the keeper tells. Pages work without it.
"use strict";
(() => {
  const language = document.documentElement.lang;
  const all = (what, within = document) => within.querySelectorAll(what);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  document.documentElement.classList.add("scripted");

  // --- numbers and times ---
  const scaled = (n, unit) => {
    let size = 0;
    while (Math.abs(n) >= 999.5 && size < 5) { n /= 1000; size += 1; }
    const digits = Math.abs(n) >= 100 || Number.isInteger(n) ? 0 : Math.abs(n) >= 10 ? 1 : 2;
    return `${n.toFixed(digits)} ${["", "k", "M", "G", "T", "P"][size]}${unit}`;
  };
  const bps = (n) => scaled(n, "bit/s");
  const day = (d) => new Intl.DateTimeFormat("sv-SE", { dateStyle: "short" }).format(d);
  const clock = (d, seconds = true) => new Intl.DateTimeFormat("sv-SE", { timeStyle: seconds ? "medium" : "short" }).format(d);
  const lengths = { en: ["s", "min", "h", "d"], ja: [" 秒", " 分", " 時間", " 日"] }[language] || ["s", "min", "h", "d"];
  const gap = language === "ja" ? "" : " ";
  const duration = (s) => {
    const [unit, n] = s < 90 ? [0, Math.round(s)] : s < 3600 ? [1, Math.round(s / 60)] : s < 172800 ? [2, Math.round(s / 360) / 10] : [3, Math.round(s / 8640) / 10];
    return `${n}${gap}${lengths[unit]}`;
  };
  let ahead = 0; // the keeper's clock against this browser's, in seconds
  const now = () => Date.now() / 1000 + ahead;

  const localise = (within) => {
    const today = day(new Date(now() * 1000));
    for (const each of all("time[data-moment]", within)) {
      const moment = new Date(Number(each.dataset.moment) * 1000);
      const date = day(moment);
      each.title = each.title || each.textContent;
      each.textContent = date === today ? clock(moment) : `${date} ${clock(moment, false)}`;
    }
  };
  const count = () => {
    for (const each of all("[data-until]")) {
      const left = Number(each.dataset.until) - now();
      if (left > 0) each.textContent = duration(left);
    }
    for (const each of all("[data-ago]")) each.textContent = duration(Math.max(0, now() - Number(each.dataset.ago)));
  };

  // --- charts ---
  const nice = (n) => (n >= 100 || Number.isInteger(n) ? n.toFixed(0) : String(Number(n.toPrecision(3))));
  const axis = (n) => {
    let size = 0;
    while (Math.abs(n) >= 1000 && size < 5) { n /= 1000; size += 1; }
    return nice(n) + ["", " k", " M", " G", " T", " P"][size];
  };
  const shade = (spans) => (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const ratio = devicePixelRatio || 1;
    for (const span of spans()) {
      const end = span.state === "active" ? Math.min(span.until, now()) : span.until;
      const from = Math.round(u.valToPos(span.since, "x", true)), to = Math.max(from + ratio, Math.round(u.valToPos(end, "x", true)));
      ctx.fillStyle = css(span.binds ? "--span" : "--spent");
      ctx.fillRect(from, bbox.top, to - from, bbox.height);
      ctx.fillStyle = css(span.binds ? "--bound" : "--wait");
      ctx.fillRect(from, bbox.top, 1.5 * ratio, bbox.height);
    }
    ctx.restore();
  };
  const name = (spans) => (u) => {
    const { ctx, bbox } = u, ratio = devicePixelRatio || 1;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.font = `${11 * ratio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "top";
    let free = -1e9;
    for (const span of spans()) {
      const text = span.label.length > 28 ? `${span.label.slice(0, 27)}…` : span.label;
      const from = Math.max(bbox.left, u.valToPos(span.since, "x", true)) + 5 * ratio;
      // What begins close to the right edge has its whole name before it.
      const at = Math.min(from, bbox.left + bbox.width - ctx.measureText(text).width - 5 * ratio);
      if (at < free) continue;
      ctx.fillStyle = css(span.binds ? "--bound" : "--wait");
      ctx.fillText(text, at, bbox.top + 4 * ratio);
      free = at + ctx.measureText(text).width + 8 * ratio;
    }
    ctx.restore();
  };
  const start = async (figure) => {
    const plot = figure.querySelector(".plot"), summary = figure.querySelector("[data-summary]");
    let chart = null, got = null;
    const width = () => Math.max(200, plot.clientWidth - 2);
    const data = () => {
      const last = Math.max(1, Math.min(got.egress.length, Math.floor((got.now - got.since) / got.step)));
      return [got.egress.slice(0, last).map((_, i) => got.since + (i + 0.5) * got.step), got.egress.slice(0, last), got.ingress.slice(0, last)];
    };
    const draw = () => {
      if (chart) chart.destroy();
      const line = { stroke: css("--dim"), grid: { stroke: css("--grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
      chart = new uPlot({
        width: width(), height: Number(figure.dataset.height), legend: { show: false },
        cursor: { points: { size: 5 }, drag: { x: false, y: false } },
        scales: { x: { range: () => [got.since, Math.min(got.until, got.now)] }, y: { range: (_, low, high) => [0, Math.max(high || 0, 1000) * 1.14] } },
        axes: [
          { ...line, values: (_, ticks) => ticks.map((t) => (got.until - got.since > 172800 ? day(new Date(t * 1000)).slice(5) : clock(new Date(t * 1000), got.until - got.since <= 900))), space: 70, size: 26 },
          { ...line, values: (_, ticks) => ticks.map(axis), size: 52, space: 34 },
        ],
        series: [{}, { stroke: css("--egress"), width: 1.6, fill: `${css("--egress")}1c` }, { stroke: css("--ingress"), width: 1.4, dash: [5, 3] }],
        hooks: { drawClear: [shade(() => got.spans)], draw: [name(() => got.spans)], setCursor: [tell] },
      }, data(), plot);
    };
    const tell = () => {
      if (!chart || !got) return;
      const [times, egress, ingress] = chart.data, i = chart.cursor.idx;
      const f = figure.dataset;
      if (!egress.some((n) => n > 0) && !ingress.some((n) => n > 0)) { summary.textContent = f.none; return; }
      const at = i == null ? egress.length - 1 : i;
      const when = i == null ? f.now : clock(new Date(times[at] * 1000));
      const most = Math.max(...egress), mostIn = Math.max(...ingress);
      const then = egress[at] == null ? f.unheard : `${f.egress} ${bps(egress[at])}, ${f.ingress} ${bps(ingress[at])}`;
      summary.textContent = `${when}: ${then} · ${f.peak}: ${bps(most)}, ${bps(mostIn)}`;
    };
    const load = async () => {
      try {
        const answer = await fetch(figure.dataset.chart, { credentials: "same-origin", headers: { Accept: "application/json" } });
        if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
        got = await answer.json();
      } catch {
        summary.textContent = figure.dataset.failed;
        return;
      }
      if (chart) chart.setData(data(), true); else draw();
      tell();
      for (const each of figure.querySelectorAll("[data-lacking]")) each.hidden = each.dataset.lacking !== got.lacking;
      figure.dataset.drawn = got.now;
    };
    await load();
    new ResizeObserver(() => chart && chart.setSize({ width: width(), height: Number(figure.dataset.height) })).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => got && draw());
    plot.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || !chart) return;
      event.preventDefault();
      const times = chart.data[0], i = chart.cursor.idx == null ? times.length - 1 : Math.max(0, Math.min(times.length - 1, chart.cursor.idx + step));
      chart.setCursor({ left: chart.valToPos(times[i], "x"), top: 10 });
    });
    if (figure.dataset.chart.includes("range=")) {
      document.body.addEventListener("sekisho:tick", load);
      document.body.addEventListener("sekisho:changed", load);
    }
  };

  // --- what the keeper tells ---
  const lamp = (on) => {
    for (const each of all("[data-lamp]")) each.classList.toggle("on", on);
    for (const each of all("[data-lamp-text]")) {
      const text = on ? each.dataset.live : each.dataset.lost;
      if (each.textContent !== text) each.textContent = text;
    }
  };
  const follow = () => {
    const events = new EventSource(document.body.dataset.events);
    let revision = null, beats = 0;
    events.addEventListener("beat", (event) => {
      const beat = JSON.parse(event.data);
      ahead = beat.now - Date.now() / 1000;
      lamp(true);
      for (const each of all("[data-beat]")) {
        const n = beat[each.dataset.beat];
        const text = each.dataset.beat.endsWith("bps") ? bps(n) : n.toLocaleString("en");
        if (n !== undefined && each.textContent !== text) each.textContent = text;
      }
      const state = `${beat.revision} ${beat.enforcing} ${beat.degraded}`;
      if (revision !== null && state !== revision) tell("sekisho:changed");
      revision = state;
      beats += 1;
      if (beats % 5 === 0) tell("sekisho:tick");
    });
    events.addEventListener("error", () => lamp(false));
    addEventListener("pagehide", () => events.close());
  };
  const tell = (what) => document.body.dispatchEvent(new CustomEvent(what));

  // What somebody is filling in stays as it is.
  const busy = (part) => part.querySelector("details.act[open], input[type=checkbox]:checked") || (part.contains(document.activeElement) && document.activeElement.matches("input, select, summary"));

  document.addEventListener("DOMContentLoaded", () => {
    if (document.body.dataset.now) ahead = Number(document.body.dataset.now) - Date.now() / 1000;
    localise(document);
    for (const figure of all("[data-chart]")) start(figure);
    if (document.body.dataset.events) follow();
    setInterval(count, 1000);
    document.body.addEventListener("htmx:beforeRequest", (event) => { if (busy(event.detail.elt)) event.preventDefault(); });
    // A page that asks to sign in is not a part of this one.
    document.body.addEventListener("htmx:beforeSwap", (event) => { if (event.detail.xhr.responseURL.includes("/login")) { event.detail.shouldSwap = false; location.reload(); } });
    document.body.addEventListener("htmx:afterSwap", () => { localise(document); count(); });
    document.body.addEventListener("change", (event) => {
      const box = event.target;
      if (box.dataset.all) for (const each of all(`input[name="${box.dataset.all}"][form]`)) each.checked = box.checked;
      if (box.dataset.submit !== undefined) box.form.requestSubmit();
      for (const each of all("[data-chosen]")) {
        const n = all(`input[name="${each.dataset.chosen}"]:checked`).length;
        each.textContent = n ? `${each.dataset.text} ${n}` : "";
      }
    });
  });
})();
