// The image, its regions, and drawing on it. Places are pixels of the image.
import { box, colour, handles, inside, marks, moved, node, outline, pixels } from "./shapes.js";

export const TOOLS = {
  select: ["Select", "V", "click a region; drag its corners and edges, or all of it; Delete removes it"],
  box: ["Box", "B", "drag from corner to corner"],
  polygon: ["Outline", "O", "click corner after corner; click the first one or press Enter to close"],
  click: ["Click", "C", "click a thing: it is cut out by depth and colour"],
  brush: ["Brush", "P", "paint: on the selected region, or a new one; [ and ] change the width"],
  erase: ["Eraser", "E", "wipe pixels off the selected region; [ and ] change the width"],
  ruler: ["Ruler", "R", "click two points, or drag: their distance in space"],
  pan: ["Move", "H", "drag the image; scroll or pinch to zoom"],
};
const AT_ONCE = new Set(["select", "polygon", "click", "ruler"]); // Enter presses and releases at once
const DRAFT = "#ff2ec4"; // what was cut out and is not used yet: a colour of no region, and rare in photos
const CLOSE = 12; // a click this near closes an outline, and takes a handle, pixels of the screen

export class Board {
  // `tell` has: wish(action), ruler(ends), unruled(), hover(place or null), refused(text)
  constructor(element, tell) {
    [this.element, this.tell] = [element, tell];
    [this.sheet, this.img, this.canvas, this.svg] = [".sr-sheet", "img", "canvas", "svg"].map((name) => element.querySelector(name));
    Object.assign(this, { tool: "box", width: 24, cut: true, state: null, selected: 0, points: [], ends: [], drag: null });
    Object.assign(this, { zoom: 1, shift: [0, 0], fit: 1, cursor: null, fingers: new Map() });
    new ResizeObserver(() => this.place()).observe(element);
    for (const name of ["down", "move", "up", "cancel"]) element.addEventListener(`pointer${name}`, (event) => this[`on${name}`](event));
    element.addEventListener("pointerleave", () => tell.hover(null));
    element.addEventListener("wheel", (event) => this.onwheel(event), { passive: false });
    element.addEventListener("keydown", (event) => this.onkey(event));
    element.addEventListener("dblclick", () => this.close());
  }

  show(state) {
    const fresh = state.image?.stamp !== this.state?.image?.stamp;
    const [before, now] = [this.state?.regions.length ?? 0, state.regions.length];
    this.state = state;
    if (fresh) Object.assign(this, { zoom: 1, shift: [0, 0], ends: [], selected: 0, cursor: null });
    else if (now > before) this.selected = now;
    if (this.selected > now) this.selected = 0;
    Object.assign(this, { points: [], drag: null });
    this.shown = [...state.regions, ...(state.draft ? [state.draft] : [])].map((region) => ({ region, filled: pixels(region.mask) }));
    this.place();
    this.fill();
  }

  choose(tool) {
    Object.assign(this, { tool, points: [], drag: null });
    if (tool !== "ruler") this.unrule();
    this.element.dataset.tool = tool;
    this.draw();
  }

  get size() { return [this.state?.image?.width ?? 1, this.state?.image?.height ?? 1]; }
  get unit() { return 1 / (this.fit * this.zoom); }
  get target() { return this.state.draft ?? this.state.regions[this.selected - 1]; }

  // Layout: the image fits the board at zoom 1
  place() {
    const [width, height] = this.size;
    this.fit = Math.min(this.element.clientWidth / width, this.element.clientHeight / height) || 1;
    const shown = [width * this.fit * this.zoom, height * this.fit * this.zoom];
    const room = [this.element.clientWidth, this.element.clientHeight];
    this.shift = this.shift.map((at, axis) => {
      const slack = (shown[axis] - room[axis]) / 2;
      return slack <= 0 ? 0 : Math.max(-slack, Math.min(slack, at));
    });
    const [left, top] = shown.map((size, axis) => (room[axis] - size) / 2 + this.shift[axis]);
    Object.assign(this.sheet.style, { width: `${shown[0]}px`, height: `${shown[1]}px`, left: `${left}px`, top: `${top}px` });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.draw();
  }

  zoomBy(factor, at) {
    const rect = this.element.getBoundingClientRect();
    const from = at ?? [rect.left + rect.width / 2, rect.top + rect.height / 2];
    const next = Math.max(1, Math.min(24, this.zoom * factor));
    const middle = [rect.left + rect.width / 2, rect.top + rect.height / 2];
    this.shift = this.shift.map((shift, axis) => from[axis] - middle[axis] - (from[axis] - middle[axis] - shift) * (next / this.zoom));
    this.zoom = next;
    this.place();
  }

  at(event) {
    const rect = this.sheet.getBoundingClientRect();
    const [width, height] = this.size;
    const place = [((event.clientX - rect.left) / rect.width) * width, ((event.clientY - rect.top) / rect.height) * height];
    return place.map((value, axis) => Math.round(Math.max(0, Math.min(this.size[axis], value)) * 10) / 10);
  }

  // The masks, in the colours of their numbers, their rims opaque
  fill() {
    const mask = this.shown[0]?.region.mask;
    if (!mask) return Object.assign(this.canvas, { width: 1, height: 1 });
    const { width, height } = mask;
    Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (const { region, filled } of this.shown) {
      const tint = region.number ? colour(region.number) : DRAFT;
      const [red, green, blue] = [1, 3, 5].map((start) => parseInt(tint.slice(start, start + 2), 16));
      for (let i = 0; i < filled.length; i++) {
        if (!filled[i]) continue;
        const rim = i % width === 0 || (i + 1) % width === 0 || !filled[i - 1] || !filled[i + 1] || !filled[i - width] || !filled[i + width];
        image.data.set([red, green, blue, rim ? 255 : 96], 4 * i);
      }
    }
    context.putImageData(image, 0, 0);
  }

  // Numbers, handles, the ruler, and what is being drawn
  draw() {
    if (!this.state?.image) return this.svg.replaceChildren();
    const unit = this.unit;
    const parts = [];
    for (const { region, filled } of this.shown ?? []) {
      if (!region.number) continue;
      const [x, y] = inside(region.mask, filled).map((value) => (value + 0.5) * region.mask.step);
      const classes = `sr-number${region.number === this.selected ? " sr-selected" : ""}`;
      const size = { "font-size": 14 * unit, "stroke-width": 4 * unit };
      parts.push(node("text", { class: classes, x, y, ...size }, region.number));
    }
    const shape = this.drag?.shape ?? this.target?.shape;
    if (shape) {
      parts.push(outline(shape, unit));
      for (const { point: [cx, cy], small } of handles(shape)) parts.push(node("circle", { class: "sr-handle", cx, cy, r: (small ? 3.5 : 6) * unit }));
    }
    parts.push(...marks({ tool: this.tool, points: this.points, width: this.width }, unit));
    if (this.ends.length) {
      const points = this.ends.map((end) => end.join(",")).join(" ");
      parts.push(node("polyline", { class: "sr-ruler", points, "stroke-width": 2 * unit }));
      for (const [cx, cy] of this.ends) parts.push(node("circle", { class: "sr-dot", cx, cy, r: 5 * unit }));
    }
    if (this.cursor) {
      const [x, y] = this.cursor;
      const arm = 10 * unit;
      parts.push(node("path", { class: "sr-cross", "stroke-width": 2 * unit, d: `M${x - arm} ${y}H${x + arm}M${x} ${y - arm}V${y + arm}` }));
    }
    this.svg.replaceChildren(...parts);
  }

  // Pressing, moving and releasing, by a pointer or by keys
  press(place) {
    if (!this.state?.image) return;
    const near = (point) => Math.hypot(point[0] - place[0], point[1] - place[1]) < CLOSE * this.unit;
    const shape = this.target?.shape;
    const handle = shape && !this.points.length && handles(shape).find(({ point }) => near(point));
    if (handle && !["brush", "erase", "ruler", "pan", "click"].includes(this.tool)) {
      this.drag = { shape, to: (next) => ({ ...shape, points: handle.to(next) }) };
    } else if (this.tool === "select") {
      this.pick(place);
    } else if (this.tool === "polygon") {
      if (this.points.length > 2 && near(this.points[0])) return this.close();
      this.points = [...this.points, place];
    } else if (this.tool === "ruler") {
      this.ends = this.ends.length === 1 ? [this.ends[0], place] : [place];
      this.drag = { ruler: this.ends.length === 1 ? place : null };
    } else {
      this.points = [place];
      this.drag = {};
    }
    this.draw();
  }

  move(place) {
    if (!this.drag) return;
    if (this.drag.to) this.drag.shape = this.drag.to(place);
    else if (this.drag.ruler) this.ends = [this.drag.ruler, place];
    else if (this.tool === "box") this.points = [this.points[0], place];
    else if (this.tool === "brush" || this.tool === "erase") this.points.length < 2000 && this.points.push(place);
    this.draw();
  }

  release(place) {
    const { drag, points } = this;
    this.drag = null;
    if (!drag) return;
    if (drag.to) return drag.shape !== this.target?.shape && this.reshape(drag.shape);
    if ("ruler" in drag) return this.measure(drag, place);
    this.points = [];
    if (this.tool === "box") this.addBox(points);
    else if (this.tool === "click") this.tell.wish({ action: "add", shape: { tool: "click", points } });
    else this.paint(points);
    this.draw();
  }

  addBox(points) {
    const [x0, y0, x1, y1] = box(points);
    if (x1 - x0 < 2 || y1 - y0 < 2) return;
    this.tell.wish({ action: "add", shape: { tool: "box", points: [[x0, y0], [x1, y1]] }, cut: this.cut });
  }

  paint(points) {
    const shape = { tool: "brush", points, width: this.width };
    if (this.target) return this.tell.wish({ action: "paint", number: this.target.number, shape, erase: this.tool === "erase" });
    if (this.tool === "erase") return this.tell.refused("Select the region to erase from first.");
    this.tell.wish({ action: "add", shape });
  }

  reshape(shape) {
    const { tool, points } = shape;
    this.tell.wish({ action: "reshape", number: this.target.number, shape: { tool, points } });
  }

  measure(drag, place) {
    const [x, y] = this.ends[0];
    const far = Math.hypot(place[0] - x, place[1] - y) > 4 * this.unit;
    if (drag.ruler && !far) this.ends = [this.ends[0]];
    if (this.ends.length === 2) this.tell.ruler(this.ends);
    this.draw();
  }

  // Select what is at a place, and begin to move it
  pick(place) {
    const [x, y] = place;
    const hit = this.shown.findLast(({ region: { mask }, filled }) => filled[Math.floor(y / mask.step) * mask.width + Math.floor(x / mask.step)]);
    this.selected = hit?.region.number ?? 0;
    this.tell.selected?.(this.selected);
    const shape = this.target?.shape;
    if (hit && shape) this.drag = { shape, to: ([u, v]) => (u === x && v === y ? shape : { ...shape, points: moved(shape.points, u - x, v - y) }) };
  }

  close() {
    if (this.tool !== "polygon" || this.points.length < 3) return;
    const shape = { tool: "polygon", points: this.points };
    this.points = [];
    this.tell.wish({ action: "add", shape });
  }

  ondown(event) {
    this.fingers.set(event.pointerId, [event.clientX, event.clientY]);
    if (this.fingers.size === 2) return Object.assign(this, { drag: null, points: this.tool === "polygon" ? this.points : [] });
    this.cursor = null;
    this.element.setPointerCapture(event.pointerId);
    if (this.tool === "pan" || event.button === 1) this.panning = true;
    else if (event.button === 0) this.press(this.at(event));
  }

  onmove(event) {
    this.tell.hover(this.at(event));
    const before = this.fingers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (this.fingers.size === 2) {
      const other = [...this.fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]) || 1;
      this.zoomBy(apart(now) / apart(before), [(now[0] + other[0]) / 2, (now[1] + other[1]) / 2]);
    }
    if (this.fingers.size === 2 || this.panning) {
      this.shift = this.shift.map((shift, axis) => shift + (now[axis] - before[axis]) / this.fingers.size);
      this.place();
    } else this.move(this.at(event));
    this.fingers.set(event.pointerId, now);
  }

  onup(event) {
    const alone = this.fingers.size === 1;
    this.fingers.delete(event.pointerId);
    if (this.panning) this.panning = false;
    else if (alone) this.release(this.at(event));
  }

  oncancel(event) {
    this.fingers.delete(event.pointerId);
    Object.assign(this, { drag: null, panning: false });
    this.draw();
  }

  onwheel(event) {
    event.preventDefault();
    this.zoomBy(Math.exp(-event.deltaY / 400), [event.clientX, event.clientY]);
  }

  onkey(event) {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (step) {
      const far = (event.shiftKey ? 1 : 10) * Math.max(1, this.unit);
      const [width, height] = this.size;
      const from = this.cursor ?? [width / 2, height / 2];
      this.cursor = [Math.max(0, Math.min(width, from[0] + far * step[0])), Math.max(0, Math.min(height, from[1] + far * step[1]))];
      this.move(this.cursor);
      this.tell.hover(this.cursor);
      this.draw();
    } else if (event.key === "Enter" && this.tool === "polygon" && this.points.length > 2) this.close();
    else if (event.key === "Enter" || event.key === " ") this.enter();
    else return;
    event.preventDefault();
  }

  enter() {
    this.cursor ??= this.size.map((value) => value / 2);
    if (this.drag) return this.release(this.cursor);
    this.press(this.cursor);
    if (AT_ONCE.has(this.tool) && !this.drag?.to) this.release(this.cursor);
  }

  ruled(ends) {
    this.ends = ends;
    this.draw();
  }

  unrule() {
    if (this.ends.length) this.tell.unruled();
    this.ends = [];
  }

  forget() {
    this.unrule();
    Object.assign(this, { points: [], drag: null, cursor: null, selected: 0 });
    this.draw();
  }
}
