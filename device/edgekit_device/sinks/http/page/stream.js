// What the server tells (/events), and the live picture (/stream.mjpg).

const SILENCE = 6000;  // milliseconds after which a silent server counts as gone

let events = null, retry = 0;
let tried = 0;         // when a connection was last tried, by our clock

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
    loadControl();
    loadKeeps();
    // What came while nobody listened is asked for.
    go(true);
  });
  on("frame", (frame) => {
    points.push(...frame.points);
    while (points.length && points[0][0] < frame.now - SPAN) points.shift();
    take(frame);
  });
  on("change", (event) => {
    changes = [event, ...changes].slice(0, 30);
    showChanges();
    addToHistory(event);
  });
  on("health", (now) => {
    const turned = health.state !== now.state;
    health = now;
    showHealth();
    showDrift();
    if (turned) loadControl();
  });
  on("decision", (now) => {
    decision = now;
    showHealth();
    showDecision();
  });
  events.onerror = lost;
}

function take(frame) {
  // At the first frame, and when the model looks elsewhere.
  const elsewhere = frame.frame !== undefined && String(frame.sees) !== String(answer?.sees);
  answer = frame;
  if (elsewhere) loadView();
  if (frame.frame === undefined && pictured) forget();
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
let bitmap = null;   // the newest picture
let awaited = 0;     // since when a picture is waited for

// Only what is looked at is taken from the device.
const isWatched = () => !document.hidden && ["live", "view"].includes(current);

function unwatch() {
  if (!isWatched()) picture?.abort();
}

async function watch() {
  for (;;) {
    while (!isWatched()) await pause(100);
    awaited = performance.now();
    picture = new AbortController();
    try {
      const response = await fetch("/stream.mjpg", { signal: picture.signal });
      if (response.status === 401) return location.reload();
      refusal = response.ok ? "" : (await response.text()).trim();
      showVeil();
      if (response.ok) await showPictures(response.body.getReader());
      else await pause(4000);
    } catch { /* lost, or not looked at; the next round tries again */ }
    if (isWatched()) await pause(1000);
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
  const next = await createImageBitmap(jpeg);
  if (health?.state === "paused") return next.close();
  bitmap?.close();
  bitmap = next;
  const context = resized($("picture"), bitmap.width, bitmap.height);
  context.drawImage(bitmap, 0, 0);
  markView(context, answer?.sees ?? seen?.sees, seen?.masks ?? []);
  if (current === "view") drawDraft();
  pictured = true;
  awaited = performance.now();
  showVeil();
}

// A canvas of this size; to set its size again would clear it, and is slow.
function resized(canvas, width, height) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext("2d");
}

// Darken what the model does not look at, and outline what is masked.
function markView(context, sees, masks) {
  const { width, height } = context.canvas, line = Math.max(1, width / 320);
  context.save();
  context.lineWidth = line;
  if (sees && String(sees) !== "0,0,1,1") {
    const [x, y, w, h] = [sees[0] * width, sees[1] * height, sees[2] * width, sees[3] * height];
    const outside = new Path2D();
    outside.rect(0, 0, width, height);
    outside.rect(x, y, w, h);
    context.fillStyle = "rgb(0 0 0 / .5)";
    context.fill(outside, "evenodd");
    context.strokeStyle = "rgb(255 255 255 / .85)";
    context.strokeRect(x, y, w, h);
  }
  context.strokeStyle = "rgb(255 255 255 / .6)";
  context.setLineDash([4 * line, 4 * line]);
  for (const mask of masks) {
    const outline = new Path2D();
    for (const [x, y] of corners(mask)) outline.lineTo(x * width, y * height);
    outline.closePath();
    context.stroke(outline);
  }
  context.restore();
}
