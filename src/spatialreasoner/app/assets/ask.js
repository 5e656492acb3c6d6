// Asking a model; its answer is greyed out as soon as it is about another image or other regions.
import { lines } from "./api.js";
import { make } from "./panels.js";

const OWN_WORDS = "my own words";
const NOBODY = "no other";

export class Asking {
  // `tell` has: refused(text), answered(), copy(text)
  constructor(about, tell) {
    Object.assign(this, { tell, key: null, state: null, stop: null, kinds: about.kinds });
    this.form = document.querySelector("#sr-question");
    this.answers = document.querySelector("#sr-answers");
    const { kind, text, model, other } = this.form.elements;
    const options = (select, names) => select.replaceChildren(...names.map((name) => make("option", {}, name)));
    options(kind, [...Object.keys(about.kinds), OWN_WORDS]);
    options(model, about.models);
    options(other, [NOBODY, ...about.models]);
    document.querySelector("#sr-other").hidden = about.models.length < 2;
    this.models = about.models;
    text.value = Object.values(about.kinds)[0];
    kind.addEventListener("change", () => { text.value = about.kinds[kind.value] ?? text.value; });
    text.addEventListener("input", () => { kind.value = OWN_WORDS; });
    text.addEventListener("keydown", (event) => event.key === "Enter" && !event.shiftKey && (event.preventDefault(), this.form.requestSubmit()));
    this.form.addEventListener("submit", (event) => (event.preventDefault(), this.ask()));
    document.querySelector("#sr-stop").addEventListener("click", () => this.stop?.abort());
    document.querySelector("#sr-copy-answer").addEventListener("click", () => tell.copy(this.answers.innerText));
    this.say(about.models.length
      ? "The answer appears here while it is written; every statement in it is checked against the depth."
      : "This app was started without a model. Measuring needs none; start it with --model NAME to ask.");
    document.querySelector("#sr-ask").disabled = !about.models.length;
  }

  say(text, name = "p", kind = "sr-soft") {
    this.answers.replaceChildren(make(name, { class: kind, role: kind === "sr-error" ? "alert" : null }, text));
  }

  show(state) {
    this.state = state;
    const last = state.answers.at(-1);
    if (this.key === null && last) {
      this.answers.innerHTML = last.html; // the server's own, in which all that a model wrote is escaped
      this.key = last.key;
    }
    const old = this.key !== null && this.key !== state.key;
    this.answers.classList.toggle("sr-stale", old);
    const note = this.answers.querySelector(".sr-old");
    if (old && !note) this.answers.prepend(make("p", { class: "sr-old sr-caution" }, "This answer is about another image or other regions."));
    else if (!old) note?.remove();
  }

  async ask() {
    const { text, model, other } = this.form.elements;
    const models = [model.value, ...(other.value === NOBODY ? [] : [other.value])];
    this.stop?.abort();
    const stop = (this.stop = new AbortController());
    const button = document.querySelector("#sr-stop");
    button.disabled = false;
    this.key = this.state.key;
    this.answers.classList.remove("sr-stale");
    try {
      this.say("asking …");
      for await (const { html, error } of lines("/api/ask", { question: text.value, models }, stop.signal)) {
        if (error) this.say(error, "p", "sr-error");
        else this.answers.innerHTML = html; // as above
      }
      this.tell.answered();
    } catch (error) {
      if (error.name === "AbortError") this.answers.querySelectorAll("[aria-busy=true]").forEach((each) => each.setAttribute("aria-busy", "false"));
      else this.say(error.message, "p", "sr-error");
    } finally {
      if (this.stop === stop) button.disabled = true;
    }
  }
}
