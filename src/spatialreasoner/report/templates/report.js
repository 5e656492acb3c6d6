// The page works without this: links then open a node's details by its address. Here they open in place.
for (const box of document.querySelectorAll(".tree-box")) {
  const panels = box.nextElementSibling;
  const nodes = [...box.querySelectorAll("a.node")];
  const show = (node) => {
    for (const other of nodes) other.classList.toggle("active", other === node);
    panels.classList.add("chosen");
    const wanted = node.getAttribute("href").slice(1);
    for (const panel of panels.querySelectorAll(".panel")) panel.classList.toggle("active", panel.id === wanted);
  };
  for (const node of nodes) {
    node.addEventListener("click", (event) => {
      event.preventDefault();
      show(node);
    });
  }
  box.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const at = nodes.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = nodes[Math.min(nodes.length - 1, Math.max(0, at + step))];
    next.focus();
    show(next);
  });
}

// Which examples are shown.
const examples = [...document.querySelectorAll("details.example")];
const chosen = {};
for (const [key, name] of [["category", "Category"], ["outcome", "Outcome"]]) {
  const values = [...new Set(examples.map((example) => example.dataset[key]))].sort();
  if (values.length < 2) continue;
  const label = document.createElement("label");
  const select = document.createElement("select");
  for (const value of ["all", ...values]) select.add(new Option(value, value));
  label.append(`${name} `, select);
  document.querySelector(".filters").append(label);
  select.addEventListener("change", () => {
    chosen[key] = select.value;
    for (const example of examples) {
      example.hidden = Object.entries(chosen).some(([k, v]) => v !== "all" && example.dataset[k] !== v);
    }
  });
}
