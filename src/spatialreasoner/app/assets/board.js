// Drawing on the picture. What is drawn goes to the server as points in the picture's own pixels, and comes back as a mark.
const CLOSE = 12; // a click this near the first corner closes an outline, pixels of the page
const SVG = "http://www.w3.org/2000/svg";
let tool = "box";
let points = [];
let drawing = false;

const stage = () => element.querySelector(".sr-stage");
const scale = () => Number(stage().dataset.width) / stage().getBoundingClientRect().width;
const brush = () => Math.max(8, Number(stage().dataset.width) / 24);

const place = (event) => {
  const rect = stage().getBoundingClientRect();
  return [(event.clientX - rect.left) * scale(), (event.clientY - rect.top) * scale()].map((value) => Math.round(value * 10) / 10);
};

const paint = () => {
  const svg = stage()?.querySelector("svg");
  if (!svg) return;
  svg.replaceChildren();
  if (!points.length) return;
  const last = points[points.length - 1];
  const shape = document.createElementNS(SVG, tool === "box" ? "rect" : "polyline");
  if (tool === "box") {
    const [x, y] = [Math.min(points[0][0], last[0]), Math.min(points[0][1], last[1])];
    const size = { x, y, width: Math.abs(last[0] - points[0][0]), height: Math.abs(last[1] - points[0][1]) };
    for (const [name, value] of Object.entries(size)) shape.setAttribute(name, value);
  } else {
    shape.setAttribute("points", points.map((point) => point.join(",")).join(" "));
  }
  shape.setAttribute("class", `sr-draft-${tool}`);
  shape.style.strokeWidth = tool === "brush" ? brush() : 2 * scale();
  svg.append(shape);
  if (tool !== "polygon") return;
  for (const [x, y] of points) {
    const corner = document.createElementNS(SVG, "circle");
    for (const [name, value] of Object.entries({ cx: x, cy: y, r: 4 * scale() })) corner.setAttribute(name, value);
    svg.append(corner);
  }
};

const forget = () => {
  points = [];
  drawing = false;
  paint();
};

const send = () => {
  const shape = { tool, points, width: tool === "brush" ? brush() : 1 };
  forget();
  trigger("input", { action: "add", shape });
};

const choose = (wanted) => {
  const buttons = [...element.querySelectorAll("[data-tool]")];
  if (!buttons.length) return;
  tool = buttons.some((button) => button.dataset.tool === wanted) ? wanted : "box";
  for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  element.querySelector(".sr-hint").textContent = buttons.find((button) => button.dataset.tool === tool).dataset.hint;
  forget();
};

element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.tool) choose(button.dataset.tool);
  if (button?.dataset.remove) trigger("input", { action: "remove", number: Number(button.dataset.remove) });
});

element.addEventListener("pointerdown", (event) => {
  if (!event.target.closest(".sr-stage") || event.button !== 0) return;
  event.preventDefault();
  const point = place(event);
  if (tool === "pick") {
    points = [point];
    send();
  } else if (tool === "polygon") {
    const near = points.length > 2 && Math.hypot(point[0] - points[0][0], point[1] - points[0][1]) < CLOSE * scale();
    if (near) return send();
    points.push(point);
    paint();
  } else {
    points = [point];
    drawing = true;
    stage().setPointerCapture?.(event.pointerId);
  }
});

element.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  if (tool === "box") points = [points[0], place(event)];
  else if (points.length < 2000) points.push(place(event));
  paint();
});

element.addEventListener("pointerup", () => {
  if (!drawing) return;
  const [first, last] = [points[0], points[points.length - 1]];
  if (tool === "box" && (Math.abs(last[0] - first[0]) < 2 || Math.abs(last[1] - first[1]) < 2)) return forget();
  send();
});

element.addEventListener("pointercancel", forget);
document.addEventListener("keydown", (event) => {
  if (!points.length) return;
  if (event.key === "Escape") forget();
  if (event.key === "Enter" && tool === "polygon" && points.length > 2) {
    event.preventDefault();
    send();
  }
});

// A picture that is dropped here is opened by the button, which knows the limits.
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => {
  event.preventDefault();
  const input = document.querySelector("#sr-open input[type=file]") ?? document.querySelector("input#sr-open, input[type=file]");
  if (!event.dataTransfer.files.length || !input) return;
  input.files = event.dataTransfer.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
});

watch("value", () => choose(tool));
choose(element.querySelector("[data-tool=pick]") ? "pick" : "box");
