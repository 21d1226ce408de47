// View: which part of the frame the model looks at, and what is masked. It is drawn here and
// copied into the configuration; the page itself changes nothing.
//
// A shape is a list of fractions as in the configuration: x, y, width, height of a rectangle, or
// x, y of each corner. Everything is done to its box, so that both kinds are moved alike.

let seen = null;        // as in /api/view
let draft = null;       // { rotate, mirror, region, masks }: what is drawn

const STEP = 0.01;      // of the frame, for an arrow key
const SMALLEST = 0.02;  // of the frame, for the sides of a shape
const SIDES = ["left", "top", "width", "height"];

sections.view = { title: "View", show: showView };

async function loadView() {
  if (answer?.frame === undefined) return; // nothing is known of it before
  const now = await ask("/api/view").catch(() => seen);
  // What somebody is drawing stays.
  const isDrawn = Boolean(draft) && isChanged();
  seen = now;
  if (seen && !isDrawn) resetDraft();
  if (current === "view") drawDraft();
}

function showView() {
  loadView();
  drawDraft();
  pollAttention();
}

function resetDraft() {
  const { rotate, mirror, region, masks } = seen;
  draft = {
    rotate, mirror, region: region?.length ? [...region] : [0, 0, 1, 1],
    masks: masks.map((mask) => [...mask]),
  };
  drawShapes();
}

const isChanged = () => toml(draft) !== toml(seen);

// Shapes ------------------------------------------------------------------------

const pairs = (numbers) => numbers.flatMap((x, i) => i % 2 ? [] : [[x, numbers[i + 1]]]);

function corners(shape) {
  if (shape.length !== 4) return pairs(shape);
  const [x, y, width, height] = shape;
  return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]];
}

function boxOf(shape) {
  const [xs, ys] = [0, 1].map((axis) => corners(shape).map((corner) => corner[axis]));
  const x = Math.min(...xs), y = Math.min(...ys);
  return [x, y, Math.max(...xs) - x, Math.max(...ys) - y];
}

// The shape, moved and stretched into another box.
function fitted(shape, box) {
  if (shape.length === 4) return box;
  const [x, y, width, height] = boxOf(shape);
  return pairs(shape).flatMap(([px, py]) => [
    box[0] + (width ? (px - x) / width : 0) * box[2], box[1] + (height ? (py - y) / height : 0) * box[3],
  ]);
}

const moved = ([x, y, width, height], dx, dy) =>
  [clamp(x + dx, 0, 1 - width), clamp(y + dy, 0, 1 - height), width, height];

// A corner of the box drawn by dx, dy: "nw", "ne", "sw" or "se".
function stretched([x, y, width, height], corner, dx, dy) {
  let [left, top, right, bottom] = [x, y, x + width, y + height];
  if (corner.includes("w")) left = clamp(left + dx, 0, right - SMALLEST);
  else right = clamp(right + dx, left + SMALLEST, 1);
  if (corner.includes("n")) top = clamp(top + dy, 0, bottom - SMALLEST);
  else bottom = clamp(bottom + dy, top + SMALLEST, 1);
  return [left, top, right - left, bottom - top];
}

// The draft as TOML --------------------------------------------------------------

// In ten-thousandths, so that what is rounded never reaches beyond the frame.
function decimals(shape) {
  const fine = shape.map((value) => Math.round(clamp(value, 0, 1) * 1e4));
  if (shape.length === 4) for (const i of [2, 3]) fine[i] = Math.min(fine[i], 1e4 - fine[i - 2]);
  return `[${fine.map((value) => (value / 1e4).toFixed(Math.max(1, String(value / 1e4).length - 2))).join(", ")}]`;
}

function toml({ rotate, mirror, region, masks }) {
  const all = !region?.length || decimals(region) === "[0.0, 0.0, 1.0, 1.0]";
  return `[view]\nrotate = ${rotate}\nmirror = ${mirror}\nregion = ${all ? "[]" : decimals(region)}\n`
    + `masks = [${masks.map(decimals).join(", ")}]\n`;
}

// Turning ------------------------------------------------------------------------

// By how much a picture as it is now has to be turned to be as in the draft.
const turns = (from, to) => (to.rotate - from.rotate + 360) % 360;

// Shapes stay over what they are over, when the frame is turned.
function turnShapes(from, to) {
  const turn = ([x, y]) => {
    let point = [from.mirror ? 1 - x : x, y];
    for (let angle = turns(from, to); angle; angle -= 90) point = [1 - point[1], point[0]];
    return [to.mirror ? 1 - point[0] : point[0], point[1]];
  };
  const turned = (shape) => {
    const flat = corners(shape).flatMap(turn);
    return shape.length === 4 ? boxOf(flat) : flat;
  };
  draft = { ...to, region: turned(draft.region), masks: draft.masks.map(turned) };
}

for (const field of ["rotate", "mirror"]) {
  $(field).addEventListener("change", () => {
    turnShapes(draft, { rotate: Number($("rotate").value), mirror: $("mirror").checked });
    drawShapes();
    drawDraft();
  });
}

// What the model would see: of the region the centre, in the shape that it looks at now.
function lookedAt(width, height) {
  const now = boxOf(seen.sees), frame = seen.frame, region = seen.region?.length ? seen.region : [0, 0, 1, 1];
  const size = [now[2] * frame.width, now[3] * frame.height];
  const fit = (wide, tall) => Math.min(wide / size[0], tall / size[1]);
  const crop = 1 / fit(region[2] * frame.width, region[3] * frame.height);
  const [x, y, w, h] = draft.region;
  const scale = Math.min(1, crop) * fit(w * width, h * height);
  const [wide, tall] = [size[0] * scale / width, size[1] * scale / height];
  return [x + (w - wide) / 2, y + (h - tall) / 2, wide, tall];
}

// Drawing ------------------------------------------------------------------------

// The newest picture, turned as in the draft, and what the model would see of it.
function drawDraft() {
  const ready = Boolean(bitmap && seen?.sees && draft);
  $("editor").hidden = !draft;
  tell($("view-waiting"), ready ? "" : health?.state === "paused" ? "Paused: there is no picture to draw on."
    : "Waiting for the first picture, to draw on.");
  if (!ready) return;
  const turn = turns(seen, draft), across = turn % 180;
  const [width, height] = across ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
  const context = resized($("draft"), width, height);
  context.save();
  context.translate(width / 2, height / 2);
  if (draft.mirror) context.scale(-1, 1);
  context.rotate(turn * Math.PI / 180);
  if (seen.mirror) context.scale(-1, 1);
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  context.restore();
  context.fillStyle = "#808080";
  for (const mask of draft.masks) {
    const outline = new Path2D();
    for (const [x, y] of corners(mask)) outline.lineTo(x * width, y * height);
    context.fill(outline);
  }
  const [x, y, w, h] = lookedAt(width, height);
  place($("looked-at"), [x, y, w, h]);
  const tall = 224, wide = Math.max(1, Math.round(tall * w * width / (h * height)));
  resized($("preview"), wide, tall)
    .drawImage($("draft"), x * width, y * height, w * width, h * height, 0, 0, wide, tall);
}

function place(target, box) {
  SIDES.forEach((side, i) => { target.style[side] = `${100 * box[i]}%`; });
}

const titleOf = (index) => index < 0 ? "Region" : `Mask ${index + 1}`;
const shapeAt = (index) => index < 0 ? draft.region : draft.masks[index];

// The shapes over the picture, their fields, and the TOML.
function drawShapes() {
  const focused = document.activeElement?.dataset.shape;
  $("rotate").value = draft.rotate;
  $("mirror").checked = draft.mirror;
  const all = [-1, ...draft.masks.keys()];
  $("shapes").replaceChildren(...all.map(makeShape));
  $("shape-fields").replaceChildren(...all.map(makeFields));
  all.forEach(update);
  if (focused) $("shapes").querySelector(`[data-shape="${focused}"]`)?.focus();
}

function makeShape(index) {
  const handles = ["nw", "ne", "sw", "se"].map((corner) => element("i", { class: `handle ${corner}`, "data-corner": corner }));
  const shape = element("div", {
    class: index < 0 ? "shape region" : "shape mask", tabindex: 0, role: "application",
    "aria-roledescription": "rectangle that can be moved", "aria-describedby": "keys", "data-shape": index,
  }, element("b", { "aria-hidden": "true" }, titleOf(index)), ...handles);
  shape.addEventListener("keydown", (key) => onKey(index, key));
  shape.addEventListener("pointerdown", (down) => drag(index, shape, down));
  return shape;
}

function makeFields(index) {
  const set = element("fieldset", {}, element("legend", {}, titleOf(index)));
  SIDES.forEach((side, i) => {
    const field = element("input", { type: "number", min: 0, max: 100, step: "any", inputmode: "decimal" });
    field.addEventListener("change", () => {
      const box = boxOf(shapeAt(index)), value = Number(field.value) / 100;
      if (field.value !== "" && i < 2) box[i] = clamp(value, 0, 1 - SMALLEST);
      if (field.value !== "" && i > 1) box[i] = clamp(value, SMALLEST, 1);
      for (const axis of [0, 1]) box[axis + 2] = Math.min(box[axis + 2], 1 - box[axis]);
      change(index, box);
    });
    set.append(element("label", {}, `${side[0].toUpperCase()}${side.slice(1)}, %`, field));
  });
  if (index >= 0) {
    const remove = element("button", { type: "button" }, `Remove mask ${index + 1}`);
    remove.addEventListener("click", () => removeMask(index));
    set.append(remove);
  }
  return set;
}

function change(index, box) {
  const shape = fitted(shapeAt(index), box);
  if (index < 0) draft.region = shape;
  else draft.masks[index] = shape;
  update(index);
  drawDraft();
}

// Show one shape where it is.
function update(index) {
  const box = boxOf(shapeAt(index)), rounded = box.map((value) => Math.round(1000 * value) / 10);
  const shape = $("shapes").children[index + 1], fields = $("shape-fields").children[index + 1];
  place(shape, box);
  shape.setAttribute("aria-label", `${titleOf(index)}: `
    + SIDES.map((side, i) => `${side} ${rounded[i]} %`).join(", "));
  shape.toggleAttribute("data-whole", index < 0 && String(rounded) === "0,0,100,100");
  [...fields.querySelectorAll("input")].forEach((field, i) => { field.value = rounded[i]; });
  say($("toml"), toml(draft));
  tell($("view-copied"), "");
  $("view-reset").disabled = !isChanged();
}

function removeMask(index) {
  draft.masks.splice(index, 1);
  drawShapes();
  drawDraft();
  $("add-mask").focus();
}

// Moving -------------------------------------------------------------------------

const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

function onKey(index, key) {
  if (key.altKey || key.ctrlKey || key.metaKey) return;
  if (key.key === "Delete" && index >= 0) return removeMask(index);
  if (!Object.hasOwn(ARROWS, key.key)) return;
  key.preventDefault();
  const by = ARROWS[key.key], box = boxOf(shapeAt(index));
  change(index, key.shiftKey ? stretched(box, "se", ...by) : moved(box, ...by));
}

function drag(index, shape, down) {
  if (down.button) return;
  const frame = $("draft").getBoundingClientRect(), start = boxOf(shapeAt(index));
  const corner = down.target.dataset.corner;
  shape.focus();
  down.preventDefault();
  shape.setPointerCapture(down.pointerId);
  const follow = (move) => {
    const by = [(move.clientX - down.clientX) / frame.width, (move.clientY - down.clientY) / frame.height];
    change(index, corner ? stretched(start, corner, ...by) : moved(start, ...by));
  };
  shape.addEventListener("pointermove", follow);
  for (const end of ["pointerup", "pointercancel"]) {
    shape.addEventListener(end, () => shape.removeEventListener("pointermove", follow), { once: true });
  }
}

$("add-mask").addEventListener("click", () => {
  draft.masks.push([0.4, 0.4, 0.2, 0.2]);
  drawShapes();
  drawDraft();
  $("shapes").lastElementChild.focus();
});
$("view-reset").addEventListener("click", () => {
  resetDraft();
  drawDraft();
});
$("view-copy").addEventListener("click", async () => {
  const copied = await copy($("toml").textContent);
  tell($("view-copied"), copied ? "Copied. Put it into the configuration on the device, and reload it."
    : "This browser does not let a page copy: select the text, and copy it.", !copied);
});

// The clipboard is there only over HTTPS or on this machine; the older way works everywhere.
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    getSelection().selectAllChildren($("toml"));
    return document.execCommand("copy");
  }
}
