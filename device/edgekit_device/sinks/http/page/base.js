"use strict";
// What all parts of the page share. The files of this folder become one script, in the order that
// app.py names; each part of the page is a file, and main.js sets them going.

const $ = (id) => document.getElementById(id);
const name = document.title;
const percent = (score) => `${Math.round(100 * score)} %`;
const whole = new Intl.NumberFormat("en").format;
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

// By its name in the address: its title, and what to do when it is shown and when it is left.
const sections = {};
let current = "live";

// Elements and words. Text from the device is always text, never markup. ------

function element(tag, attributes = {}, ...children) {
  const space = ["svg", "g", "path", "line", "rect", "text", "defs", "pattern"].includes(tag)
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

// A line that tells what became of something; empty, it is not there.
function tell(target, text, bad = false) {
  target.hidden = !text;
  target.toggleAttribute("data-bad", bad);
  say(target, text);
}

// Labels may be of any script: each keeps its own direction, and none turns what is around it.
const labelled = (label, kind = "name") => element("bdi", { class: kind, title: label }, label);

const colours = new Map([["unknown", "cu"]]);
function colour(label) {
  if (!colours.has(label)) colours.set(label, `c${(colours.size - 1) % 8}`);
  return colours.get(label);
}

const dot = (label) => element("span", { class: `dot ${colour(label)}`, "aria-hidden": "true" });

function duration(seconds) {
  const s = Math.floor(seconds), m = Math.floor(s / 60), h = Math.floor(m / 60);
  if (s < 60) return `${s} s`;
  if (m < 60) return `${m} min ${s % 60} s`;
  return h < 24 ? `${h} h ${m % 60} min` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

const sentence = (words) => `${words.charAt(0).toUpperCase()}${words.slice(1)}`;
const clock = (moment) => new Date(moment).toLocaleTimeString();

// A moment as people say it: the time, and the day unless it is today.
function when(moment) {
  const at = new Date(moment);
  const today = at.toDateString() === new Date().toDateString();
  return at.toLocaleString([], { timeStyle: "short", ...(today ? {} : { dateStyle: "medium" }) });
}

function bytes(count) {
  if (count < 1e6) return `${Math.round(count / 1e3)} kB`;
  return count < 1e9 ? `${Math.round(count / 1e6)} MB` : `${(count / 1e9).toFixed(1)} GB`;
}

// Events ----------------------------------------------------------------------

// Identities come from the address too: only what looks like one is ever asked for.
const isEventId = (text) => /^\d{8}T\d{9}Z-\d{1,20}$/.test(text);
const pictureOf = (event) => `/api/events/${event.id}.jpg`;

// Seconds after which a small picture that is not there is asked for again: a history spares its
// disk and writes now and then.
const AGAIN = [5, 30, 90];

function smallPicture(event) {
  const image = element("img", { alt: "", loading: "lazy", width: 64, height: 48 });
  let tries = 0;
  image.addEventListener("error", () => {
    const isNew = Date.now() - new Date(event.ts) < 1000 * AGAIN.at(-1);
    // A missing one leaves no broken frame behind.
    image.hidden = true;
    if (isNew && tries < AGAIN.length) setTimeout(fetchIt, 1000 * AGAIN[tries++]);
  });
  image.addEventListener("load", () => { image.hidden = false; });
  const fetchIt = () => { image.src = pictureOf(event); };
  fetchIt();
  return image;
}

// A row of a list that opens the event's picture.
function eventRow(event, open) {
  const small = element("span", { class: "thumb" });
  if (event.picture && isEventId(event.id)) small.append(smallPicture(event));
  const row = element("button", { type: "button", class: "event" }, small, dot(event.label),
    labelled(event.label), element("span", { class: "percent" }, percent(event.score)),
    element("time", { datetime: event.ts }, clock(event.ts)));
  if (event.wrong) row.append(element("span", { class: "wrong" }, "was ", labelled(event.wrong)));
  row.addEventListener("click", () => open(event));
  return element("li", { "data-key": rowKey(event) }, row);
}

const rowKey = (event) => `${event.id} ${event.wrong ?? ""}`;

// Rows that are there stay: browsers keep none of the pictures, and would ask for them again.
function showRows(list, events, open) {
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  const there = new Map([...list.children].map((row) => [row.dataset.key, row]));
  list.replaceChildren(...events.map((event) => there.get(rowKey(event)) ?? eventRow(event, open)));
  focused?.focus();
}

// What is asked of the device -------------------------------------------------

// Answers what it says; throws an error with its own words and its status.
async function ask(path, method = "GET", body = {}) {
  const request = { method };
  if (method === "POST") {
    request.headers = { "Content-Type": "application/json" };
    request.body = JSON.stringify(body);
  }
  let response, content;
  try {
    response = await fetch(path, request);
    const text = await response.text();
    const json = response.headers.get("Content-Type")?.startsWith("application/json");
    content = json ? JSON.parse(text) : text.trim();
  } catch {
    throw Object.assign(new Error("The device does not answer."), { status: 0 });
  }
  if (response.status === 401) location.reload();
  if (response.ok) return content;
  const words = content?.message ?? content?.detail ?? content;
  const told = typeof words === "string" && words ? words : `The device answers ${response.status}.`;
  throw Object.assign(new Error(told), { status: response.status });
}

// The part of the address after #: the section, and what of it is shown.
function address() {
  const [section, query = ""] = location.hash.slice(1).split("?", 2);
  return {
    section: Object.hasOwn(sections, section) ? section : "live",
    query: new URLSearchParams(query),
  };
}

function addressOf(section, values) {
  const query = new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
  return `#${section}${query && `?${query}`}`;
}
