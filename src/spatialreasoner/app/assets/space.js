// The scene in three dimensions: points drawn as small squares on a plain canvas with a depth buffer of its own, so that a machine
// without WebGL shows it too; over them the regions' boxes, axes, gravity and the ruler. Right, up and towards the viewer.
import { COLOURS, colour } from "./shapes.js";

const START = { azimuth: 0.35, elevation: 0.2, nearer: 1 };
const EDGES = [[0, 1], [1, 3], [3, 2], [2, 0], [4, 5], [5, 7], [7, 6], [6, 4], [0, 4], [1, 5], [2, 6], [3, 7]];

const read = (buffer) => {
  const length = new DataView(buffer).getUint32(0, true);
  const about = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const at = 4 + length;
  const { count } = about;
  const points = new Float32Array(buffer, at, 3 * count);
  return {
    ...about, points, pixels: new Uint16Array(buffer, at + 12 * count, 2 * count),
    colours: new Uint8Array(buffer, at + 16 * count, 4 * count),
  };
};

export class Space {
  // `tell.ruler(ends)` is called with two pixels of the image
  constructor(canvas, tell) {
    Object.assign(this, { canvas, tell, look: { ...START }, scene: null, ends: [], line: null, held: null, asked: 0 });
    new ResizeObserver(() => this.show()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => {
      this.held = { at: [event.clientX, event.clientY], far: 0 };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => this.held && this.drag(event));
    canvas.addEventListener("pointerup", (event) => this.drop(event));
    canvas.addEventListener("pointercancel", () => { this.held = null; });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.turn(0, 0, Math.exp(-event.deltaY / 500));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // `stamp` tells the image: the view stays as it was turned while only its regions change
  open(buffer, stamp) {
    this.scene = read(buffer);
    const { points, count } = this.scene;
    const along = [0, 1, 2].map((axis) => Float32Array.from({ length: count }, (_, i) => points[3 * i + axis]).sort());
    const between = along.map((values) => [values[Math.floor(count * 0.03)], values[Math.floor(count * 0.97)]]);
    this.centre = between.map(([low, high]) => (low + high) / 2);
    this.radius = Math.hypot(...between.map(([low, high]) => high - low)) / 2 || 1;
    this.low = between.map(([low]) => low);
    this.high = between.map(([, high]) => high);
    if (stamp !== this.stamp) Object.assign(this, { stamp, look: { ...START } });
    this.ends = [];
    this.show();
  }

  close() {
    Object.assign(this, { scene: null, stamp: null, line: null, ends: [] });
    this.show();
  }

  measured(points) {
    this.line = points;
    this.show();
  }

  show() {
    this.asked ||= requestAnimationFrame(() => this.draw());
  }

  turn(azimuth, elevation, nearer = 1) {
    this.look.azimuth += azimuth;
    this.look.elevation = Math.max(-1.5, Math.min(1.5, this.look.elevation + elevation));
    this.look.nearer = Math.max(0.3, Math.min(12, this.look.nearer * nearer));
    this.show();
  }

  // Nearer or farther by a factor; 0 is the first view again
  zoom(factor) {
    if (!factor) this.look = { ...START };
    this.turn(0, 0, factor || 1);
  }

  // Where a point is on the canvas, and how far away: the scene's y is down and its z forward
  project([x, y, z]) {
    const { azimuth, elevation, nearer } = this.look;
    const [sa, ca, se, ce] = [Math.sin(azimuth), Math.cos(azimuth), Math.sin(elevation), Math.cos(elevation)];
    const [right, up, towards] = [x - this.centre[0], this.centre[1] - y, this.centre[2] - z];
    const deep = ca * towards - sa * right;
    const distance = (2.2 * this.radius) / nearer - (ce * deep + se * up);
    const scale = this.focal / Math.max(distance, 1e-6);
    return [this.canvas.width / 2 + scale * (ca * right + sa * towards), this.canvas.height / 2 - scale * (ce * up - se * deep), distance];
  }

  draw() {
    this.asked = 0;
    const { canvas, scene } = this;
    if (!canvas.clientWidth) return;
    const [width, height] = [(canvas.width = canvas.clientWidth), (canvas.height = canvas.clientHeight)];
    this.focal = 1.1 * Math.min(width, height);
    if (!scene) return;
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    this.splat(new Uint32Array(image.data.buffer), width, height);
    context.putImageData(image, 0, 0);
    for (const box of scene.boxes) this.box(context, box);
    this.axes(context);
    if (this.line) this.ruler(context);
  }

  splat(pixels, width, height) {
    const { points, colours, count, spacing } = this.scene;
    const nearest = new Float32Array(width * height).fill(Infinity);
    this.owner = new Int32Array(width * height).fill(-1);
    for (let i = 0; i < count; i++) {
      const [x, y, distance] = this.project([points[3 * i], points[3 * i + 1], points[3 * i + 2]]);
      if (distance < 0.02 * this.radius) continue;
      const size = Math.max(spacing ? 1 : 2, Math.min(12, Math.ceil((1.6 * spacing * points[3 * i + 2] * this.focal) / distance)));
      const [left, top] = [Math.round(x - size / 2), Math.round(y - size / 2)];
      const shade = this.shade(colours, i);
      for (let v = Math.max(0, top); v < Math.min(height, top + size); v++) {
        for (let u = Math.max(0, left); u < Math.min(width, left + size); u++) {
          const at = v * width + u;
          if (distance >= nearest[at]) continue;
          nearest[at] = distance;
          pixels[at] = shade;
          this.owner[at] = i;
        }
      }
    }
  }

  // A point's colour, tinted by its region's
  shade(colours, i) {
    const number = colours[4 * i + 3];
    const tint = number ? colour(number) : null;
    const part = (axis) => {
      const own = colours[4 * i + axis];
      return tint ? Math.round(0.5 * own + 0.5 * parseInt(tint.slice(1 + 2 * axis, 3 + 2 * axis), 16)) : own;
    };
    return ((255 << 24) | (part(2) << 16) | (part(1) << 8) | part(0)) >>> 0;
  }

  path(context, from, to) {
    const [[ax, ay, a], [bx, by, b]] = [this.project(from), this.project(to)];
    if (Math.min(a, b) < 0.02 * this.radius) return;
    context.beginPath();
    context.moveTo(ax, ay);
    context.lineTo(bx, by);
    context.stroke();
  }

  label(context, place, text) {
    const [x, y] = this.project(place);
    context.font = "600 13px system-ui, sans-serif";
    Object.assign(context, { lineWidth: 4, strokeStyle: "#000a", fillStyle: "#fff" });
    context.strokeText(text, x + 4, y - 4);
    context.fillText(text, x + 4, y - 4);
  }

  box(context, { number, low, high }) {
    const corners = Array.from({ length: 8 }, (_, k) => [0, 1, 2].map((axis) => (k & (1 << axis) ? high[axis] : low[axis])));
    Object.assign(context, { lineWidth: 2, strokeStyle: colour(number) });
    for (const [a, b] of EDGES) this.path(context, corners[a], corners[b]);
    this.label(context, [low[0], low[1], low[2]], `${number}`);
  }

  // Three arrows at the lower left corner, as long as a round number of metres; the one down is gravity
  axes(context) {
    const length = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20].findLast((step) => step <= this.radius / 2) ?? 0.05;
    const origin = [this.low[0], this.high[1], this.low[2]];
    const arrows = [
      ["right", [length, 0, 0], COLOURS[4]], ["up", [0, -length, 0], COLOURS[2]], ["forward", [0, 0, length], COLOURS[5]],
      [this.scene.gravity ? "gravity" : "down (camera taken to be level)", [0, length, 0], COLOURS[7]],
    ];
    for (const [name, along, tint] of arrows) {
      const end = origin.map((value, axis) => value + along[axis]);
      Object.assign(context, { lineWidth: 3, strokeStyle: tint });
      this.path(context, origin, end);
      this.label(context, end, name === "right" ? `right, ${length} m` : name);
    }
  }

  ruler(context) {
    Object.assign(context, { lineWidth: 2, strokeStyle: "#fff" });
    this.path(context, ...this.line);
    for (const point of this.line) this.label(context, point, "•");
  }

  drag(event) {
    const [x, y] = this.held.at;
    const [dx, dy] = [event.clientX - x, event.clientY - y];
    this.held = { at: [event.clientX, event.clientY], far: this.held.far + Math.hypot(dx, dy) };
    this.turn(-dx / 150, dy / 150);
  }

  // A click picks an end of the ruler
  drop(event) {
    const still = this.held && this.held.far < 4;
    this.held = null;
    if (!still || !this.owner) return;
    const rect = this.canvas.getBoundingClientRect();
    const found = this.near(Math.round(event.clientX - rect.left), Math.round(event.clientY - rect.top));
    if (found < 0) return;
    this.ends = this.ends.length === 1 ? [this.ends[0], found] : [found];
    const places = this.ends.map((i) => [0, 1, 2].map((axis) => this.scene.points[3 * i + axis]));
    this.measured(places.length === 2 ? places : [places[0], places[0]]);
    if (this.ends.length === 2) this.tell.ruler(this.ends.map((i) => [this.scene.pixels[2 * i], this.scene.pixels[2 * i + 1]]));
  }

  near(x, y) {
    for (let reach = 0; reach < 8; reach++) {
      for (let v = y - reach; v <= y + reach; v++) {
        for (let u = x - reach; u <= x + reach; u++) {
          if (u < 0 || v < 0 || u >= this.canvas.width || v >= this.canvas.height) continue;
          const owner = this.owner[v * this.canvas.width + u];
          if (owner >= 0) return owner;
        }
      }
    }
    return -1;
  }

  key(event) {
    const turns = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, 0.1], ArrowDown: [0, -0.1], "+": [0, 0, 1.1], "=": [0, 0, 1.1], "-": [0, 0, 1 / 1.1] };
    if (event.key === "Home") this.look = { ...START };
    else if (!turns[event.key]) return;
    event.preventDefault();
    event.stopPropagation();
    this.turn(...(turns[event.key] ?? [0, 0]));
  }
}
