// Opening files, folders, examples and paths of the server; exporting and saving.
import { blob, post, upload } from "./api.js";
import { make } from "./panels.js";

// `tell` has: opened(state), busy(text, work)
export const opening = (about, tell) => {
  const dialog = document.querySelector("#sr-opening");
  const form = dialog.querySelector("form");
  const { files, folder, regions, kind, intrinsics, path } = form.elements;
  kind.replaceChildren(...about.captures.map((name) => make("option", { value: name }, name === "auto" ? "told by the files" : name)));
  document.querySelector("#sr-path").hidden = !about.folders;

  const open = async (said, work) => {
    dialog.close();
    await tell.busy(said, async () => tell.opened(await work()));
  };
  const sent = (chosen, as = "image") => {
    const size = [...chosen].reduce((sum, file) => sum + file.size, 0);
    if (size > about.megabytes * 1e6) throw new Error(`${(size / 1e6).toFixed(1)} MB; at most ${about.megabytes} MB can be opened here.`);
    const data = new FormData();
    for (const [name, value] of Object.entries({ as, kind: kind.value, intrinsics: intrinsics.value })) data.append(name, value);
    for (const file of chosen) data.append("file", file, file.webkitRelativePath || file.name);
    return upload(data);
  };
  for (const [input, as] of [[files, "image"], [folder, "image"], [regions, "regions"]]) {
    input.addEventListener("change", () => {
      const chosen = [...input.files];
      input.value = "";
      if (chosen.length) open(`opening ${chosen[0].name} …`, () => sent(chosen, as));
    });
  }
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (path.value) open(`opening ${path.value} …`, () => post("/api/path", { path: path.value, kind: kind.value, intrinsics: intrinsics.value }));
  });
  dialog.querySelector("[value=close]").addEventListener("click", () => dialog.close());
  document.querySelector("#sr-open").addEventListener("click", () => dialog.showModal());
  document.querySelector("#sr-gallery").replaceChildren(...about.examples.map((name, number) =>
    make("button", { type: "button", onclick: () => open(`opening ${name} …`, () => post("/api/example", { number })) },
      make("img", { src: `/example/${number}`, alt: "", loading: "lazy" }), name)));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) open("opening …", () => sent(event.dataTransfer.files));
  });
};

export const exporting = (tell) => {
  const menu = document.querySelector("#sr-export");
  menu.addEventListener("click", (event) => {
    const what = event.target.dataset.export;
    if (!what) return;
    menu.open = false;
    tell.busy("exporting …", async () => {
      const { data, headers } = await blob(`/api/export/${what}`);
      const link = make("a", { href: URL.createObjectURL(data), download: JSON.parse(headers.get("X-Name")) });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    });
  });
  const dialog = document.querySelector("#sr-saved");
  const field = dialog.querySelector("input");
  document.querySelector("#sr-save").addEventListener("click", () => tell.busy("saving …", async () => {
    field.value = new URL(`/s/${(await post("/api/save")).name}`, location.href).href;
    dialog.showModal();
    field.select();
  }));
  dialog.querySelector("[value=copy]").addEventListener("click", () => tell.copy(field.value, field));
};
