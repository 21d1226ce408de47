// History: the changes of a day, as a timeline and as a list.

const ROWS = 50;        // events that the list begins with, and that "more" adds
const FETCHED = 500;    // events asked for at once
const MOST = 5000;      // events of a day that the page takes

// The day that is shown; events newest first, `before` the last one before it.
let day = null;         // { text, from, to, events, before, gaps, cut, kept }
let wanted = "";        // the label that is shown alone; empty for all
let shownRows = ROWS;
let asked = 0;          // so that a slow answer does not replace a newer one

const SWITCH_ON = '[history]\nfolder = "/var/lib/edgekit-data/history"';

sections.history = { title: "History", show: showHistory };

const two = (number) => String(number).padStart(2, "0");
const dayText = (date) => `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
const idTime = (id) => id.replace(
  /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z.*$/, "$1-$2-$3T$4:$5:$6.$7Z");

// Midnight in the browser's time zone; null unless the text is a day that there is.
function midnight(text) {
  const found = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text ?? "");
  if (!found) return null;
  const date = new Date(Number(found[1]), Number(found[2]) - 1, Number(found[3]));
  return dayText(date) === text ? date : null;
}

// Days differ in length where clocks are put forward and back.
function daysFrom(date, count) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate() + count);
}

async function showHistory(query, entered) {
  if (!heard) return; // the greeting of the server shows it again
  const id = isEventId(query.get("event") ?? "") ? query.get("event") : "";
  const from = midnight(query.get("day")) ?? midnight(dayText(new Date(id ? idTime(id) : Date.now())));
  const text = dayText(from);
  if (query.get("label") !== wanted) shownRows = ROWS;
  wanted = query.get("label") ?? "";
  $("day").value = text;
  if (entered || day?.text !== text) await loadDay(text, from);
  if (day?.text !== text || current !== "history") return;
  drawHistory();
  showEvent(filtered(), day.events);
}

async function loadDay(text, from) {
  const turn = ++asked, to = daysFrom(from, 1);
  const span = `from=${from.toISOString()}&to=${to.toISOString()}`;
  const loaded = { text, from, to, events: [], before: null, gaps: [], cut: false, kept: null };
  $("at-history").setAttribute("aria-busy", "true");
  try {
    let page = await ask(`/api/events?${span}&limit=${FETCHED}`);
    loaded.events = page.events;
    loaded.history = page.history;
    while (page.more && page.events.length && loaded.events.length < MOST) {
      page = await ask(`/api/events?${span}&limit=${FETCHED}&before=${loaded.events.at(-1).id}`);
      loaded.events.push(...page.events);
    }
    loaded.cut = page.more;
    if (loaded.history) {
      const [earlier, ofDay, kept] = await Promise.all([
        ask(`/api/events?to=${from.toISOString()}&limit=1`),
        ask(`/api/events/summary?${span}`),
        ask("/api/events/summary"),
      ]);
      Object.assign(loaded, { before: earlier.events[0] ?? null, gaps: ofDay.gaps, kept });
    }
    if (turn !== asked) return;
    day = loaded;
    tell($("history-problem"), "");
  } catch (error) {
    if (turn !== asked) return;
    day = null;
    $("history-found").hidden = true;
    tell($("history-problem"), error.message, true);
  }
  $("at-history").removeAttribute("aria-busy");
}

const filtered = () => wanted ? day.events.filter((event) => event.label === wanted) : day.events;

// A change that came while the page is open.
function addToHistory(event) {
  if (!day || new Date(event.ts) < day.from || new Date(event.ts) >= day.to) return;
  if (day.events.some((one) => one.id === event.id)) return;
  day.events.unshift(event);
  if (current === "history") drawHistory();
}

function drawHistory() {
  const stretches = stretchesOf(day, new Date(), connected && health.state !== "paused");
  const list = filtered(), rows = list.slice(0, shownRows);
  $("history-found").hidden = false;
  drawTimeline($("timeline"), day, stretches);
  showLegend(stretches);
  showGaps();
  showLabels();
  showRows($("history-list"), rows, (event) => openEvent(filtered(), event));
  tell($("history-empty"), list.length ? "" : wanted ? `No change to “${wanted}” on this day.`
    : "No changes on this day.");
  $("history-more").hidden = rows.length === list.length;
  say($("history-count"), `${whole(list.length)} ${list.length === 1 ? "change" : "changes"}`
    + `${rows.length < list.length ? `, the newest ${rows.length} are shown` : ""}`);
  tell($("history-cut"), day.cut
    ? `Only the newest ${whole(day.events.length)} of this day are shown here; a download has all.` : "");
  $("history-off").hidden = day.history;
  $("downloads").hidden = !day.history || !list.length;
  const span = new URLSearchParams({ from: day.from.toISOString(), to: day.to.toISOString() });
  if (wanted) span.set("label", wanted);
  $("zip").href = `/api/events.zip?${span}`;
  $("clip").href = `/api/events.clip?${span}`;
  tell($("download-problem"), "");
  showKept(day.kept);
  $("day-after").disabled = day.to > new Date();
  $("day").max = dayText(new Date());
}

function showLabels() {
  const labels = [...new Set(day.events.map((event) => event.label))].sort();
  if (wanted && !labels.includes(wanted)) labels.push(wanted);
  $("wanted").replaceChildren(element("option", { value: "" }, "All labels"),
    ...labels.map((label) => element("option", { value: label }, label)));
  $("wanted").value = wanted;
}

function showKept(kept) {
  tell($("kept"), kept?.events ? `Kept: ${whole(kept.events)} changes since ${when(kept.first)}, `
    + `${bytes(kept.bytes)} of at most ${whole(kept.megabytes)} MB, for at most ${kept.days} days.`
    : "");
}

function goToDay(text) {
  location.hash = addressOf("history", { day: text, label: wanted });
}

$("day").addEventListener("change", () => midnight($("day").value) && goToDay($("day").value));
$("day-before").addEventListener("click", () => goToDay(dayText(daysFrom(day?.from ?? new Date(), -1))));
$("day-after").addEventListener("click", () => goToDay(dayText(daysFrom(day?.from ?? new Date(), 1))));
$("wanted").addEventListener("change", () => {
  location.hash = addressOf("history", { day: day?.text, label: $("wanted").value });
});
$("history-more").addEventListener("click", () => {
  const next = shownRows;
  shownRows += ROWS;
  drawHistory();
  $("history-list").children[next]?.firstChild.focus();
});
say($("history-toml"), SWITCH_ON);

// A browser says nothing of why a download failed, so the device is asked whether there is one.
for (const id of ["zip", "clip"]) {
  $(id).addEventListener("click", async (click) => {
    click.preventDefault();
    const { href } = $(id);
    tell($("download-problem"), "");
    try {
      const there = await fetch(href, { method: "HEAD" });
      if (there.ok) location.assign(href);
      else await ask(href);
    } catch (error) {
      tell($("download-problem"), error.status ? error.message : "The device does not answer.", true);
    }
  });
}
