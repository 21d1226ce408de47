// One change, large: its picture, what the model said, and what was right. It has an address of
// its own (#history?event=ID), so that going back closes it, and a message can link to it.

let keeps = false;      // whether there is a history, which can be corrected
let shown = null;       // { list, event }: what is shown, and its neighbours, newest first
let modelLabels = null; // all that the model tells apart

async function loadKeeps() {
  keeps = (await ask("/api/events?limit=1").catch(() => ({ history: false }))).history;
}

function openEvent(list, event) {
  const query = Object.fromEntries(address().query);
  history.pushState({ opened: true }, "", addressOf(current, { ...query, event: event.id }));
  drawEvent(list, event);
}

// Lists are asked for again, and hold other objects then.
const placeOf = (list, event) => list.findIndex((one) => one.id === event.id);

// What the address asks for, out of the events of its section.
function showEvent(list, others = list) {
  const id = address().query.get("event");
  const among = list.some((one) => one.id === id) ? list : others;
  const event = isEventId(id ?? "") ? among.find((one) => one.id === id) : null;
  if (event) drawEvent(among, event);
  else if ($("event").open) $("event").close();
  tell($("missing"), id && !event ? "That change is not kept, or not any more." : "");
}

function drawEvent(list, event) {
  const at = placeOf(list, event), date = new Date(event.ts);
  shown = { list, event };
  say($("event-label"), event.label);
  say($("event-time"), date.toLocaleString([], { dateStyle: "full", timeStyle: "medium" }));
  $("event-time").dateTime = event.ts;
  const image = $("event-picture");
  image.hidden = true;
  tell($("event-blank"), event.picture ? "Loading the picture…" : "No picture was kept of this change.");
  $("event-plain").hidden = !event.picture;
  if (event.picture) {
    image.src = pictureOf(event);
    image.alt = `What the camera saw at the change to ${event.label}; what the model did not look at is darker`;
    $("event-plain").href = `${pictureOf(event)}?plain`;
  }
  const first = event.labels.map((one) => `${one.label} ${percent(one.score)}`).join(", ");
  say($("event-words"), `${percent(event.score)} sure${event.previous ? `; before it ${event.previous}` : ""}. `
    + `This frame alone: ${first || "nothing"}.`);
  $("event-earlier").disabled = at >= list.length - 1;
  $("event-later").disabled = at <= 0;
  drawWrong();
  if (!$("event").open) $("event").showModal();
}

$("event-picture").addEventListener("load", () => {
  $("event-picture").hidden = false;
  tell($("event-blank"), "");
});
$("event-picture").addEventListener("error", () =>
  tell($("event-blank"), "There is no picture of this change: it is not written yet, or not kept any more."));

function step(by) {
  const next = shown.list[placeOf(shown.list, shown.event) + by];
  if (!next) return;
  const { section, query } = address();
  query.set("event", next.id);
  history.replaceState(history.state, "", addressOf(section, Object.fromEntries(query)));
  drawEvent(shown.list, next);
}

$("event-earlier").addEventListener("click", () => step(1));
$("event-later").addEventListener("click", () => step(-1));
$("event-close").addEventListener("click", () => $("event").close());
$("event").addEventListener("keydown", (key) => {
  if (key.target.tagName === "INPUT" || key.altKey || key.ctrlKey || key.metaKey) return;
  if (key.key === "ArrowLeft") step(1);
  if (key.key === "ArrowRight") step(-1);
});
$("event").addEventListener("close", () => {
  const { section, query } = address();
  $("event-picture").removeAttribute("src");
  if (!query.has("event")) return;
  if (history.state?.opened) return history.back();
  query.delete("event");
  history.replaceState(null, "", addressOf(section, Object.fromEntries(query)));
});

// This was wrong ---------------------------------------------------------------

function drawWrong() {
  const { wrong } = shown.event;
  $("wrong").hidden = !keeps;
  $("wrong-ask").hidden = Boolean(wrong);
  $("wrong-form").hidden = true;
  $("wrong-said").hidden = !wrong;
  $("wrong-label").replaceChildren(wrong ? labelled(wrong) : "");
  tell($("wrong-problem"), "");
}

$("wrong-ask").addEventListener("click", async () => {
  $("wrong-ask").hidden = true;
  $("wrong-form").hidden = false;
  $("right").value = "";
  $("right").focus();
  modelLabels ??= await ask("/api/labels").then((all) => all.labels).catch(() => null);
  const others = [...new Set([...(modelLabels ?? []), ...shown.event.labels.map((one) => one.label)])];
  $("labels").replaceChildren(...others.filter((label) => label !== shown.event.label)
    .map((label) => element("option", { value: label })));
});

async function correct(method, label) {
  const { event } = shown;
  try {
    await ask(`/api/events/${event.id}/wrong`, method, label && { label });
  } catch (error) {
    return tell($("wrong-problem"), error.message, true);
  }
  // Lists hold objects of their own for the same event.
  for (const one of [...changes, ...(day?.events ?? []), ...shown.list, event]) {
    if (one.id === event.id) one.wrong = label;
  }
  showChanges();
  if (current === "history") drawHistory();
  if (shown.event !== event) return;
  drawWrong();
  $(label ? "wrong-undo" : "wrong-ask").focus();
}

$("wrong-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const label = $("right").value.trim();
  if (label) correct("POST", label);
});
$("wrong-cancel").addEventListener("click", () => {
  drawWrong();
  $("wrong-ask").focus();
});
$("wrong-undo").addEventListener("click", () => correct("DELETE"));
