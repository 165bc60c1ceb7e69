"use strict";
// The explorer's page. All text from the API goes in through textContent.

const byID = (id) => document.getElementById(id);

function el(tag, attributes, ...children) {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes || {})) {
    if (v !== undefined && v !== null) e.setAttribute(k, v);
  }
  for (const c of children) e.append(c instanceof Node ? c : document.createTextNode(String(c)));
  return e;
}

function svg(tag, attributes) {
  const e = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [k, v] of Object.entries(attributes)) e.setAttribute(k, v);
  return e;
}

async function get(path) {
  const r = await fetch(path, { headers: { Accept: "application/json" } });
  const body = await r.json();
  if (!r.ok) throw new Error(body.error || r.statusText);
  return body;
}

const short = (s) => (s && s.length > 16 ? s.slice(0, 8) + "…" + s.slice(-6) : s || "–");
const when = (nano) => new Date(nano / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC";
const db = (c, unit) => (c / 100).toFixed(1) + " " + unit;
const names = new Map();
const nameOf = (id) => names.get(id) || short(id);

function problem(err) {
  const p = byID("problem");
  p.textContent = "The oracle could not be read: " + err.message;
  p.hidden = false;
}

async function showStatus() {
  const s = await get("/api/status");
  const t = s.totals;
  byID("summary").textContent =
    (s.network ? s.network + " · " : "") + s.hotspots + " hotspots · epoch " + s.epoch + ", until " +
    new Date(s.epoch_ends).toISOString().slice(0, 16).replace("T", " ") + " UTC · paid " + t.paid + ", owed " + t.owed +
    ", held " + t.held + " of " + t.issued + " units issued" + (s.waiting ? " · " + s.waiting : "");
  byID("hotspot-count").textContent = s.hotspots;
}

// The map: an equal-degree plot, zoomed to the hotspots that are known.
const shown = [];
function drawMap() {
  const map = byID("map");
  map.replaceChildren();
  if (!shown.length) return;
  const lat = shown.map((h) => h.lat_e7 / 1e7), lon = shown.map((h) => h.lon_e7 / 1e7);
  const pad = (lo, hi, least) => {
    const middle = (lo + hi) / 2, half = Math.max((hi - lo) * 0.55, least);
    return [middle - half, middle + half];
  };
  let [s, n] = pad(Math.min(...lat), Math.max(...lat), 0.02);
  let [w, e] = pad(Math.min(...lon), Math.max(...lon), 0.04);
  const squeeze = Math.max(Math.cos(((s + n) / 2) * Math.PI / 180), 0.1);
  const height = Math.max(n - s, ((e - w) * squeeze) / 2), width = (height * 2) / squeeze;
  const y0 = (s + n) / 2 + height / 2, x0 = (w + e) / 2 - width / 2;
  // Lines at 1, 2 or 5 times a power of ten, at most six along the longer side.
  const pitch = (span) => {
    const ten = Math.pow(10, Math.floor(Math.log10(span / 6)));
    return ten * ([1, 2, 5].find((k) => span / (k * ten) <= 6) || 10);
  };
  const step = pitch(Math.max(width, height));
  const text = (v) => v.toFixed(Math.max(0, -Math.floor(Math.log10(step)))) + "°";
  for (let v = Math.ceil((y0 - height) / step) * step; v < y0; v += step) {
    const y = ((y0 - v) / height) * 360;
    map.append(svg("path", { class: "graticule", d: `M0 ${y}H720` }));
    const t = svg("text", { class: "axis", x: 4, y: y - 3 });
    t.textContent = text(v);
    map.append(t);
  }
  for (let v = Math.ceil(x0 / step) * step; v < x0 + width; v += step) {
    const x = ((v - x0) / width) * 720;
    map.append(svg("path", { class: "graticule", d: `M${x} 0V360` }));
    const t = svg("text", { class: "axis", x: x + 3, y: 356 });
    t.textContent = text(v);
    map.append(t);
  }
  shown.forEach((h, i) => {
    const c = svg("circle", { class: h.online ? "dot online" : "dot", r: 5, cx: ((lon[i] - x0) / width) * 720, cy: ((y0 - lat[i]) / height) * 360 });
    const t = svg("title", {});
    t.textContent = h.name + " (" + h.region + ")";
    c.append(t);
    map.append(c);
  });
}

let next = "";
async function showHotspots() {
  const page = await get("/api/hotspots?limit=200" + (next ? "&after=" + encodeURIComponent(next) : ""));
  for (const h of page.hotspots) {
    names.set(h.id, h.name);
    shown.push(h);
    byID("hotspot-rows").append(el("tr", {},
      el("td", {}, h.name),
      el("td", { title: h.id }, el("code", {}, short(h.id))),
      el("td", {}, h.region),
      el("td", {}, el("code", {}, h.cell)),
      el("td", { class: "num" }, db(h.gain_cdb, "dBi")),
      el("td", { class: h.online ? "good" : "soft" }, h.online ? "connected" : "not connected")));
  }
  next = page.next || "";
  byID("more").hidden = !next;
  drawMap();
}

const verdictClass = (v) => (v.reason === "ok" ? "good" : "bad");

function beaconCard(b) {
  const good = b.witnesses.filter((w) => w.reason === "ok").length;
  const d = el("details", {}, el("summary", {},
    when(b.unix_nano) + " · ", el("strong", {}, nameOf(b.hotspot)), " · ",
    el("span", { class: verdictClass(b) }, b.text), ` · ${good} of ${b.witnesses.length} witnesses`));
  d.append(el("dl", {},
    el("dt", {}, "Report"), el("dd", {}, el("code", {}, b.report)),
    el("dt", {}, "Sent"), el("dd", {}, `${(b.frequency_hz / 1e6).toFixed(3)} MHz, ${b.data_rate}, ${db(b.power_cdbm, "dBm")} conducted`)));
  if (b.witnesses.length) {
    const rows = b.witnesses.map((w) => el("tr", {},
      el("td", {}, nameOf(w.hotspot)),
      el("td", { class: "num" }, db(w.rssi_cdbm, "dBm")),
      el("td", { class: "num" }, db(w.snr_cdb, "dB")),
      el("td", { class: verdictClass(w) }, w.text)));
    d.append(el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", {}, "Witness"), el("th", { class: "num" }, "RSSI"), el("th", { class: "num" }, "SNR"), el("th", {}, "Verdict"))),
      el("tbody", {}, ...rows))));
  }
  return d;
}

async function showBeacons() {
  const { beacons } = await get("/api/beacons?limit=50");
  const list = beacons.length ? beacons.map(beaconCard) : [el("p", { class: "soft" }, "No epoch has been judged yet.")];
  byID("beacon-rows").replaceChildren(...list);
}

function pair(dl, term, value, mono) {
  if (value === undefined || value === null || value === "") return;
  dl.append(el("dt", {}, term), el("dd", {}, mono ? el("code", {}, value) : value));
}

function epochCard(e) {
  const s = e.settlement;
  const d = el("details", {}, el("summary", {}, el("strong", {}, "Epoch " + e.epoch), ` · ${e.rows} hotspots earned · `,
    el("span", { class: s && s.state === "closed" ? "good" : "soft" }, s ? s.state + (s.stalled ? ", stalled" : "") : e.state)));
  const dl = el("dl", {});
  pair(dl, "Root", e.root, true);
  pair(dl, "List", e.list, true);
  pair(dl, "Verdicts", e.verdicts, true);
  pair(dl, "Secret", e.secret, true);
  pair(dl, "Seed memo", e.seed_signature, true);
  if (s) {
    pair(dl, "Commit memo", s.commit_signature, true);
    pair(dl, "Close memo", s.close_signature, true);
    pair(dl, "Money", `${e.emission} emitted, ${s.paid} paid, ${s.owed} owed, ${s.held} held, ${e.remainder} remainder`);
  }
  pair(dl, "Reasons", Object.entries(e.reasons || {}).sort().map(([k, v]) => k + " " + v).join(", "));
  d.append(dl);
  d.addEventListener("toggle", () => { if (d.open) openEpoch(d, e).catch(problem); }, { once: true });
  return d;
}

async function openEpoch(d, e) {
  const full = await get("/api/epochs/" + e.epoch);
  const batches = (full.settlement && full.settlement.batches) || [];
  if (batches.length) {
    d.append(el("div", { class: "scroll" }, el("table", {},
      el("thead", {}, el("tr", {}, el("th", {}, "Batch"), el("th", {}, "State"), el("th", { class: "num" }, "Recipients"), el("th", { class: "num" }, "Sum"), el("th", {}, "Transaction"))),
      el("tbody", {}, ...batches.map((b) => el("tr", {}, el("td", {}, b.index), el("td", {}, b.state),
        el("td", { class: "num" }, b.recipients), el("td", { class: "num" }, b.sum), el("td", {}, el("code", {}, b.signature || "–"))))))));
  }
  const proofs = el("p", {}, "Proofs: ");
  for (const [id, name] of [...names].slice(0, 50)) {
    proofs.append(el("a", { href: `/api/epochs/${e.epoch}/proof/${id}` }, name), " ");
  }
  d.append(proofs, el("p", {}, el("a", { href: `/api/epochs/${e.epoch}/bundle` }, "Everything that the epoch is computed from")));
}

async function showEpochs() {
  const { epochs } = await get("/api/epochs?limit=30");
  const list = epochs.length ? epochs.map(epochCard) : [el("p", { class: "soft" }, "No epoch has been judged yet.")];
  byID("epoch-rows").replaceChildren(...list);
}

async function main() {
  byID("here").textContent = location.origin;
  byID("more").addEventListener("click", () => showHotspots().catch(problem));
  await showStatus();
  await showHotspots();
  await showBeacons();
  await showEpochs();
  setInterval(() => showStatus().catch(problem), 15000);
}

main().catch(problem);
