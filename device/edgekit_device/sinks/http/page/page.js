"use strict";

const SPAN = 300;      // seconds of history
const OLD = 3;         // seconds after which a picture counts as old
const OWN = 20;        // labels whose settings are shown
const SILENCE = 6000;  // milliseconds after which a silent server counts as gone
const $ = (id) => document.getElementById(id);
const name = document.title;
const percent = (score) => `${Math.round(100 * score)} %`;
const whole = new Intl.NumberFormat("en").format;

let health = null;   // as in /api/health
let decision = null; // as in /api/decision
let answer = null;   // the newest frame's, without its picture
let points = [];     // [seconds on the device's clock, label, score]
let changes = [];    // events, newest first
let connected = false;
let broken = false;  // whether the connection was lost, or could not be made
let tried = 0;       // when a connection was last tried, by our clock
let heard = 0;       // when the server last said something
let refusal = "";    // why there is no live picture
let pictured = false;
let awaited = 0;     // since when a picture is waited for

// Elements -------------------------------------------------------------------

function element(tag, attributes = {}, ...children) {
  const space = ["svg", "g", "path", "line", "rect", "text"].includes(tag)
    ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const made = document.createElementNS(space, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Only what changes is touched, so that a screen reader is not told the same again.
function say(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

const colours = new Map([["unknown", "cu"]]);
function colour(label) {
  if (!colours.has(label)) colours.set(label, `c${(colours.size - 1) % 8}`);
  return colours.get(label);
}

function duration(seconds) {
  const s = Math.floor(seconds), m = Math.floor(s / 60), h = Math.floor(m / 60);
  if (s < 60) return `${s} s`;
  if (m < 60) return `${m} min ${s % 60} s`;
  return h < 24 ? `${h} h ${m % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

// Seconds on the device's clock, now.
const deviceNow = () => answer.now + (performance.now() - heard) / 1000;
const frameAge = () => answer.age_s + (performance.now() - heard) / 1000;

// The parts of the page ------------------------------------------------------

function showState() {
  const state = connected ? health.state : broken ? "disconnected" : "connecting";
  $("state").dataset.state = state;
  say($("state"), state[0].toUpperCase() + state.slice(1));
  const why = health && health.problems.length ? health.problems.join("; ") : "";
  let notice = "";
  if (state === "disconnected") {
    const at = new Date(Date.now() - performance.now() + heard).toLocaleTimeString();
    notice = heard ? `Disconnected: this is how things were at ${at}. Trying again…`
      : "The device does not answer. Trying again…";
  } else if (state === "stalled") notice = `Stalled: ${why || "no frame is answered"}.`;
  else if (state === "degraded") notice = `Degraded: ${why}.`;
  else if (state === "starting") notice = why ? `Starting: ${why}.` : "Starting…";
  else if (state === "stopping") notice = "The daemon is being stopped.";
  $("notice").hidden = !notice;
  $("notice").toggleAttribute("data-bad", ["stalled", "disconnected"].includes(state));
  say($("notice"), notice);
}

function showDrift() {
  const drift = health.drift;
  $("drift").hidden = !drift;
  if (!drift) return;
  const [what, advice] = $("drift").children, since = new Date(drift.since);
  const today = since.toDateString() === new Date().toDateString();
  const style = { timeStyle: "short", ...(today ? {} : { dateStyle: "medium" }) };
  say(what, `What the model sees has changed since ${since.toLocaleString([], style)}: `
    + `${drift.signs.map((sign) => sign.text).join(", ")}.`);
  say(advice, `${drift.advice[0].toUpperCase()}${drift.advice.slice(1)}.`);
}

function showVeil() {
  const seen = answer?.frame !== undefined;
  const old = seen && (frameAge() > OLD || health.state === "stalled");
  let text = broken ? "Disconnected" : refusal;
  if (!pictured) text ||= "Waiting for the first picture";
  else if (old) text = `${text && `${text} · `}Picture is ${duration(frameAge())} old`;
  $("label").parentElement.toggleAttribute("data-old", broken || old);
  $("veil").hidden = !text;
  $("veil").parentElement.toggleAttribute("data-stale", Boolean(text));
  say($("veil"), text);
}

function showAnswer() {
  if (answer?.frame === undefined) return;
  const { label, score } = answer;
  say($("label"), label);
  $("label").toggleAttribute("data-unknown", label === "unknown");
  document.title = `${label} · ${name}`;
  let since = points.length;
  while (since > 0 && points[since - 1][1] === label) since -= 1;
  const held = since < points.length ? deviceNow() - points[since][0] : 0;
  $("score").replaceChildren(label === "unknown" ? "best class " : "",
    element("b", {}, percent(score)), ` · for ${duration(held)}`);
  const rows = $("top").children;
  answer.labels.forEach((one, i) => {
    const row = rows[i] ?? $("top").appendChild(element("li", {},
      element("span", { class: "name" }), element("span", { class: "percent" }),
      element("span", { class: "bar", "aria-hidden": "true" }, element("i"))));
    say(row.children[0], one.label);
    row.children[0].title = one.label;
    say(row.children[1], percent(one.score));
    const bar = row.children[2].firstChild;
    bar.className = one.label === label ? `of ${colour(label)}` : "";
    bar.style.width = `${100 * one.score}%`;
  });
  while (rows.length > answer.labels.length) rows[rows.length - 1].remove();
}

// Stretches of one label without a gap.
function runs() {
  const found = [];
  for (const point of points) {
    const run = found.at(-1), last = run?.at(-1);
    const gap = last && point[0] - last[0] > OLD;
    if (last && last[1] === point[1] && !gap) run.push(point);
    else {
      // The line goes on to where the next label begins.
      if (last && !gap) run.push([point[0], last[1], last[2]]);
      found.push([point]);
    }
  }
  return found;
}

function showChart() {
  const svg = $("chart"), width = svg.clientWidth, height = svg.clientHeight;
  if (!answer || !width) return;
  const now = deviceNow(), left = 42, right = width - 8, top = 8, bottom = height - 52;
  const x = (time) => right - (now - time) / SPAN * (right - left);
  const y = (score) => bottom - score * (bottom - top);
  const drawn = [];
  for (const score of [0, 0.5, 1]) {
    drawn.push(
      element("line", { class: "grid", x1: left, x2: right, y1: y(score), y2: y(score) }),
      element("text", { x: left - 8, y: y(score) + 4, "text-anchor": "end" }, percent(score)));
  }
  for (let minutes = 0; minutes <= SPAN / 60; minutes++) {
    const at = x(now - 60 * minutes);
    drawn.push(element("text",
      { x: at, y: height - 4, "text-anchor": minutes ? "middle" : "end" },
      minutes ? `−${minutes} min` : "now"));
  }
  for (const run of runs()) {
    const line = run.map((p) => `${x(p[0]).toFixed(1)},${y(p[2]).toFixed(1)}`).join("L");
    const from = Math.max(left, x(run[0][0])), to = x(run.at(-1)[0]);
    if (to < left) continue;
    const group = element("g", { class: `run ${colour(run[0][1])}` },
      element("path", { class: "area", d: `M${from},${bottom}L${line}L${to},${bottom}Z` }),
      element("path", { class: "line", d: `M${line}` }),
      element("rect", { class: "band", x: from, y: bottom + 9, width: Math.max(1, to - from - 1),
        height: 20, rx: 3 }));
    const room = Math.floor((to - from - 12) / 8);
    if (room >= 3) {
      const text = run[0][1].length > room ? `${run[0][1].slice(0, room - 1)}…` : run[0][1];
      group.append(element("text", { x: from + 6, y: bottom + 23 }, text));
    }
    drawn.push(group);
  }
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.replaceChildren(...drawn);
  const last = points.at(-1);
  say($("chart-text"), last ? `At the end ${last[1]}, ${percent(last[2])}` : "Nothing yet");
}

function showChanges() {
  $("no-changes").hidden = changes.length > 0;
  $("changes").replaceChildren(...changes.slice(0, 20).map((event) => element("li", {},
    element("span", { class: `dot ${colour(event.label)}`, "aria-hidden": "true" }),
    element("time", { datetime: event.ts }, new Date(event.ts).toLocaleTimeString()),
    element("span", { class: "name" }, event.label),
    element("span", { class: "percent" }, percent(event.score)))));
}

function showHealth() {
  const h = health, ms = h.latency_ms, one = (value, unit) => `${value.toFixed(1)} ${unit}`;
  $("what").textContent = [h.model, h.accelerator, h.source].filter(Boolean).join(" · ") || " ";
  const restarts = Object.entries(h.restarts).map(([part, n]) => `${part} ${n}`).join(", ");
  const throttled = (h.throttled ?? []).join(", ");
  const rows = [
    ["Rate", one(h.fps, "frames/s")],
    ["Latency", ms ? one(ms.p50, "ms") : "–"],
    ["90 % · 99 % within", ms ? `${ms.p90.toFixed(1)} · ${one(ms.p99, "ms")}` : "–"],
    ["Frames", whole(h.frames)],
    ["Dropped frames", whole(h.dropped)],
    ["Events", whole(h.events)],
    ["Uptime", duration(h.uptime_s)],
    ["Memory", `${Math.round(h.memory_bytes / 1e6)} MB`],
    ["Temperature", h.temperature_c === undefined ? "–" : one(h.temperature_c, "°C")],
    ["Throttled", throttled || "no", throttled && "bad"],
    ["Restarts", restarts || "none"],
    ["Accelerator", h.accelerator || "–"],
    ["Runtime", h.runtime || "–"],
    ["Version", h.version],
    ["Model", h.model ? `${h.model}, SHA-256 ${h.model_sha256.slice(0, 12)}…` : "–", "wide"],
    ["Signed by", h.model_signer || "–", "wide"],
    ["Decision", decision ? inForce(decision, h.decision_from) : "–", "wide"],
  ];
  $("health").replaceChildren(...rows.map(([term, value, kind]) => element("div",
    kind === "wide" ? { class: "wide" } : {},
    element("dt", {}, term), element("dd", kind === "bad" ? { class: "bad" } : {}, value))));
  $("sinks").replaceChildren(...Object.entries(h.sinks).flatMap(([sink, s]) => {
    const title = element("th", { scope: "row" }, sink);
    const row = element("tr", {}, title, element("td", {}, whole(s.sent)),
      element("td", s.dropped ? { class: "bad" } : {}, whole(s.dropped)),
      element("td", {}, whole(s.queued)));
    const problem = element("td", { class: "problem", colspan: 4 }, s.problem ?? "");
    return s.problem ? [row, element("tr", {}, problem)] : [row];
  }));
}

function inForce(settings, source) {
  const { smoothing, enter, leave, hold, heartbeat } = settings;
  return `smoothing ${smoothing}, enter ${enter}, leave ${leave}, hold ${hold} s, `
    + `heartbeat ${heartbeat} s${source ? `, from ${source}` : ""}`;
}

// Labels with settings of their own; of many, the first.
function showDecision() {
  const own = Object.entries(decision?.labels ?? {}), [table] = $("own").children;
  const cells = (one) => one.ignore ? [element("td", { colspan: 3 }, "ignored")]
    : [one.enter, one.leave, `${one.hold} s`].map((value) => element("td", {}, String(value)));
  const rows = own.slice(0, OWN).map(([label, one]) => element("tr", {},
    element("th", { scope: "row" }, label), ...cells(one)));
  const more = element("tr", {}, element("td", { class: "quiet", colspan: 4 },
    `and ${whole(own.length - OWN)} more: /api/decision`));
  table.tBodies[0].replaceChildren(...rows, ...(own.length > OWN ? [more] : []));
  $("own").hidden = !own.length;
}

// What the server tells ------------------------------------------------------

let events = null, retry = 0;

function listen() {
  clearTimeout(retry);
  retry = 0;
  events?.close();
  tried = performance.now();
  events = new EventSource("/events");
  const on = (kind, take) => events.addEventListener(kind, (message) => {
    take(JSON.parse(message.data));
    showState();
  });
  on("hello", (hello) => {
    ({ health, decision } = hello);
    points = hello.history;
    changes = hello.changes.reverse();
    connected = true;
    broken = false;
    for (const point of points) colour(point[1]);
    take(hello);
    showHealth();
    showDecision();
    showDrift();
    showChanges();
    showChart();
  });
  on("frame", (frame) => {
    points.push(...frame.points);
    while (points.length && points[0][0] < frame.now - SPAN) points.shift();
    take(frame);
  });
  on("change", (event) => {
    changes = [event, ...changes].slice(0, 30);
    showChanges();
  });
  on("health", (now) => {
    health = now;
    showHealth();
    showDrift();
  });
  on("decision", (now) => {
    decision = now;
    showHealth();
    showDecision();
  });
  events.onerror = lost;
}

function take(frame) {
  answer = frame;
  heard = performance.now();
  showAnswer();
  showVeil();
}

function lost() {
  connected = false;
  broken = true;
  events.close();
  clearTimeout(retry);
  if (!document.hidden) retry = setTimeout(listen, 1000);
  showState();
  showVeil();
}

// The picture ----------------------------------------------------------------

let picture = null;  // AbortController of the stream
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

async function watch() {
  for (;;) {
    while (document.hidden) await pause(250);
    awaited = performance.now();
    picture = new AbortController();
    try {
      const response = await fetch("/stream.mjpg", { signal: picture.signal });
      if (response.status === 401) return location.reload();
      refusal = response.ok ? "" : (await response.text()).trim();
      showVeil();
      if (response.ok) await showPictures(response.body.getReader());
      else await pause(4000);
    } catch { /* lost; the next round tries again */ }
    await pause(1000);
  }
}

// Read multipart/x-mixed-replace here rather than in an <img>, which does not tell when it ends.
async function showPictures(reader) {
  const text = new TextDecoder("latin1");
  let held = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const joined = new Uint8Array(held.length + value.length);
    joined.set(held);
    joined.set(value, held.length);
    held = joined;
    for (;;) {
      const head = /^[^]*?Content-Length: (\d+)\r\n\r\n/.exec(text.decode(held.subarray(0, 200)));
      if (!head || held.length < head[0].length + Number(head[1])) break;
      const end = head[0].length + Number(head[1]);
      await draw(new Blob([held.slice(head[0].length, end)], { type: "image/jpeg" }));
      held = held.slice(end);
    }
  }
}

async function draw(jpeg) {
  const bitmap = await createImageBitmap(jpeg), canvas = $("picture");
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  pictured = true;
  awaited = performance.now();
  showVeil();
}

// ----------------------------------------------------------------------------

setInterval(() => {
  if (document.hidden) return;
  const now = performance.now();
  if (!retry && now - (connected ? heard : tried) > SILENCE) lost();
  // Frames come, but not their pictures: that connection is dead.
  if (connected && !refusal && frameAge() < OLD && now - awaited > SILENCE) picture.abort();
  showVeil();
  showChart();
}, 500);

// A hidden page costs the device nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(retry);
    events.close();
    picture.abort();
    connected = false;
  } else listen();
});
addEventListener("resize", showChart);
listen();
watch();
