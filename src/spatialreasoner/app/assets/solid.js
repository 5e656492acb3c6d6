// The scene in three dimensions: the triangles of a GLB, drawn on a plain canvas with a depth buffer of its own. It is a picture's
// worth of triangles, so no graphics library is needed, and a machine without WebGL shows it too.
const START = { azimuth: 0.4, elevation: 0.2, nearer: 1 };
let parts = [];
let centre = [0, 0, 0];
let radius = 1;
let look = { ...START };
let held = null;
let asked = 0;

const canvas = () => element.querySelector("canvas");

// glTF 2.0, section 4.4: a header of 12 bytes, the JSON chunk, the binary chunk; before each chunk its length and its kind
const read = (bytes) => {
  const length = new DataView(bytes.buffer).getUint32(12, true);
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(20, 20 + length)));
  const values = (index, Kind, each) => {
    const { bufferView, byteOffset = 0, count } = json.accessors[index];
    const start = 20 + length + 8 + (json.bufferViews[bufferView].byteOffset ?? 0) + byteOffset;
    return new Kind(bytes.buffer, start, count * each);
  };
  return json.meshes.flatMap((mesh) => mesh.primitives).map(({ attributes, indices }) => ({
    points: values(attributes.POSITION, Float32Array, 3),
    colours: values(attributes.COLOR_0, Uint32Array, 1), // red, green, blue and alpha in one, as a canvas keeps them
    faces: values(indices, Uint32Array, 1),
  }));
};

// What is turned about: the middle of the points, where nine in ten of them are
const frame = () => {
  const along = [0, 1, 2].map((axis) =>
    parts.flatMap(({ points }) => Array.from(points.filter((_, index) => index % 3 === axis))).sort((a, b) => a - b)
  );
  const between = along.map((values) => [values[Math.floor(values.length * 0.05)], values[Math.floor(values.length * 0.95)]]);
  centre = between.map(([low, high]) => (low + high) / 2);
  radius = Math.hypot(...between.map(([low, high]) => high - low)) / 2 || 1;
};

// Columns, rows and distances of a part's points on the canvas
const project = (points, width, height) => {
  const [sa, ca, se, ce] = [Math.sin(look.azimuth), Math.cos(look.azimuth), Math.sin(look.elevation), Math.cos(look.elevation)];
  const away = (1.9 * radius) / look.nearer;
  const focal = 1.1 * Math.min(width, height);
  const placed = new Float32Array(points.length);
  for (let i = 0; i < points.length; i += 3) {
    const [x, y, z] = [points[i] - centre[0], points[i + 1] - centre[1], points[i + 2] - centre[2]];
    const deep = ca * z - sa * x;
    const distance = away - (ce * deep + se * y);
    placed[i] = width / 2 + (focal * (ca * x + sa * z)) / distance;
    placed[i + 1] = height / 2 - (focal * (ce * y - se * deep)) / distance;
    placed[i + 2] = distance;
  }
  return placed;
};

const fill = (placed, a, b, c, colour, pixels, nearest, width, height) => {
  const [ax, ay, bx, by, cx, cy] = [placed[a], placed[a + 1], placed[b], placed[b + 1], placed[c], placed[c + 1]];
  const distance = (placed[a + 2] + placed[b + 2] + placed[c + 2]) / 3;
  const area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax);
  if (area === 0 || Math.min(placed[a + 2], placed[b + 2], placed[c + 2]) < 0.02 * radius) return;
  const right = Math.min(width - 1, Math.floor(Math.max(ax, bx, cx)));
  const bottom = Math.min(height - 1, Math.floor(Math.max(ay, by, cy)));
  for (let y = Math.max(0, Math.ceil(Math.min(ay, by, cy))); y <= bottom; y++) {
    for (let x = Math.max(0, Math.ceil(Math.min(ax, bx, cx))); x <= right; x++) {
      const u = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area;
      const v = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area;
      if (u < 0 || v < 0 || u + v > 1 || distance >= nearest[y * width + x]) continue;
      nearest[y * width + x] = distance;
      pixels[y * width + x] = colour;
    }
  }
};

const draw = () => {
  asked = 0;
  const board = canvas();
  if (!board?.clientWidth) return;
  const [width, height] = [(board.width = board.clientWidth), (board.height = board.clientHeight)];
  const context = board.getContext("2d");
  const image = context.createImageData(width, height);
  const [pixels, nearest] = [new Uint32Array(image.data.buffer), new Float32Array(width * height).fill(Infinity)];
  for (const { points, colours, faces } of parts) {
    const placed = project(points, width, height);
    for (let i = 0; i < faces.length; i += 3) {
      const [a, b, c] = [faces[i], faces[i + 1], faces[i + 2]];
      fill(placed, 3 * a, 3 * b, 3 * c, colours[a], pixels, nearest, width, height);
    }
  }
  context.putImageData(image, 0, 0);
};

const show = () => {
  asked ||= requestAnimationFrame(draw);
};

const turn = (azimuth, elevation, nearer = 1) => {
  look.azimuth += azimuth;
  look.elevation = Math.max(-1.4, Math.min(1.4, look.elevation + elevation));
  look.nearer = Math.max(0.4, Math.min(6, look.nearer * nearer));
  show();
};

const KEYS = {
  ArrowLeft: () => turn(-0.1, 0), ArrowRight: () => turn(0.1, 0), ArrowUp: () => turn(0, 0.1), ArrowDown: () => turn(0, -0.1),
  "+": () => turn(0, 0, 1.1), "=": () => turn(0, 0, 1.1), "-": () => turn(0, 0, 1 / 1.1),
  Home: () => { look = { ...START }; show(); },
};

element.addEventListener("keydown", (event) => {
  if (event.target !== canvas() || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});
element.addEventListener("pointerdown", (event) => {
  if (event.target !== canvas()) return;
  held = [event.clientX, event.clientY];
  canvas().setPointerCapture?.(event.pointerId);
});
element.addEventListener("pointermove", (event) => {
  if (!held) return;
  turn((held[0] - event.clientX) / 150, (event.clientY - held[1]) / 150);
  held = [event.clientX, event.clientY];
});
for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => { held = null; });
element.addEventListener("wheel", (event) => {
  if (event.target !== canvas()) return;
  event.preventDefault();
  turn(0, 0, Math.exp(-event.deltaY / 500));
}, { passive: false });

const begin = () => {
  const link = element.querySelector("a[download]");
  if (!link) return;
  parts = read(Uint8Array.from(atob(link.href.split(",")[1]), (letter) => letter.charCodeAt(0)));
  look = { ...START };
  frame();
  show();
};

new ResizeObserver(show).observe(element);
watch("value", begin);
begin();
