// Shapes that are drawn: their marks over the image, and the handles by which they are changed.
const SVG = "http://www.w3.org/2000/svg";
export const COLOURS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#f0e442", "#785ef0"];
export const colour = (number) => COLOURS[(number - 1) % COLOURS.length];

export const node = (name, attributes, text) => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

const pairs = (points) => points.map((point) => point.join(",")).join(" ");

// The handles of a shape: where they are, and the shape after one was dragged to a place
export const handles = ({ tool, points }) => {
  if (tool === "polygon") {
    const corners = points.map((point, index) => ({ point, to: (place) => points.with(index, place) }));
    const middles = points.map((point, index) => {
      const next = points[(index + 1) % points.length];
      const middle = [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2];
      return { point: middle, small: true, to: (place) => points.toSpliced(index + 1, 0, place) };
    });
    return [...corners, ...middles];
  }
  const [x0, y0, x1, y1] = box(points);
  const made = (x, y, to) => ({ point: [x, y], to });
  return [
    made(x0, y0, ([x, y]) => [[x, y], [x1, y1]]), made(x1, y0, ([x, y]) => [[x0, y], [x, y1]]),
    made(x1, y1, ([x, y]) => [[x0, y0], [x, y]]), made(x0, y1, ([x, y]) => [[x, y0], [x1, y]]),
    made((x0 + x1) / 2, y0, ([, y]) => [[x0, y], [x1, y1]]), made(x1, (y0 + y1) / 2, ([x]) => [[x0, y0], [x, y1]]),
    made((x0 + x1) / 2, y1, ([, y]) => [[x0, y0], [x1, y]]), made(x0, (y0 + y1) / 2, ([x]) => [[x, y0], [x1, y1]]),
  ];
};

export const box = (points) => {
  const [[ax, ay], [bx, by]] = [points[0], points[points.length - 1]];
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
};

export const moved = (points, dx, dy) => points.map(([x, y]) => [x + dx, y + dy]);

// What is being drawn, as SVG; `unit` is one pixel of the screen in pixels of the image
export const marks = ({ tool, points, width }, unit) => {
  if (!points.length) return [];
  const style = { class: `sr-mark sr-mark-${tool}`, "stroke-width": tool === "brush" || tool === "erase" ? width : 2 * unit };
  if (tool === "box") {
    const [x, y, right, bottom] = box(points);
    return [node("rect", { ...style, x, y, width: right - x, height: bottom - y })];
  }
  const line = node(points.length > 1 ? "polyline" : "circle", points.length > 1
    ? { ...style, points: pairs(points) }
    : { class: "sr-dot", cx: points[0][0], cy: points[0][1], r: 3 * unit });
  return tool === "polygon" ? [line, ...points.map(([cx, cy]) => node("circle", { class: "sr-dot", cx, cy, r: 4 * unit }))] : [line];
};

export const outline = ({ tool, points }, unit) => {
  const style = { class: "sr-mark", "stroke-width": 1.5 * unit };
  if (tool === "polygon") return node("polygon", { ...style, points: pairs(points) });
  const [x, y, right, bottom] = box(points);
  return node("rect", { ...style, x, y, width: right - x, height: bottom - y });
};

// The pixels of a mask from the places where its rows, one after the other, begin and end
export const pixels = ({ width, height, runs }) => {
  const filled = new Uint8Array(width * height);
  for (let i = 0; i < runs.length; i += 2) filled.fill(1, runs[i], runs[i + 1] ?? filled.length);
  return filled;
};

// A place well inside: the middle of the longest stretch of a row
export const inside = ({ width, height }, filled) => {
  let [best, at] = [0, [0, 0]];
  for (let y = 0; y < height; y++) {
    for (let x = 0, run = 0; x <= width; x++) {
      const set = x < width && filled[y * width + x];
      if (!set && run > best) [best, at] = [run, [x - run / 2, y]];
      run = set ? run + 1 : 0;
    }
  }
  return at;
};
