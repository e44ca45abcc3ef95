// A question card. The kernel alone knows the key: it is told the answer and sets `verdict`.
// All text is untrusted and enters the page as text nodes only.

const PATIENCE_MS = 1500;
const DRAWINGS = { right: "M2.5 8.5 6.3 12.2 13.5 4", wrong: "M4 4 12 12M12 4 4 12", open: "M3 8H13" };

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", DRAWINGS[name]);
  svg.append(path);
  return svg;
}

/** Text with its `backtick` spans as <code>. */
function prose(text) {
  return text.split(/`([^`]+)`/).map((part, at) => (at % 2 ? make("code", { textContent: part }) : part));
}

function optionText(question, text) {
  if (text === "") return make("span", { className: "alain-nothing", textContent: "(nothing)" });
  if (question.literal) return make("code", { className: "alain-literal", dir: "ltr", textContent: text });
  return make("span", { dir: "auto" }, ...prose(text));
}

/** The radio buttons: one label an option, with its key for the keyboard. */
function choices(question) {
  const name = `alain-${Math.random().toString(36).slice(2)}`;
  return question.options.map((text, at) => {
    const key = at < 9 ? [make("kbd", { textContent: at + 1, ariaHidden: "true" })] : [];
    const input = make("input", { type: "radio", name });
    return make("label", { className: "alain-option" }, input, optionText(question, text), ...key);
  });
}

function numberField(question) {
  const input = make("input", { type: "text", inputMode: "decimal", maxLength: 100, autocomplete: "off" });
  const unit = question.unit ? [make("span", { textContent: question.unit })] : [];
  return make("label", { className: "alain-number" }, make("span", { textContent: "Your answer" }), input, ...unit);
}

/** Code to be run by the learner, with a button that copies it. */
function callToRun(call) {
  const code = make("code", { textContent: call });
  const button = make("button", { type: "button", textContent: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(call);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
  });
  return [make("p", { textContent: "See for yourself, run this:" }), make("div", {}, make("pre", {}, code), button)];
}

/** The answer that was given, as one line. */
function answerLine(question, answer) {
  if (question.form === "numeric") return [`${answer} ${question.unit}`.trim()];
  const lines = question.options[answer].trim().split("\n");
  const cut = lines.length > 1 || lines[0].length > 60;
  const text = cut ? `${lines[0].slice(0, 60)}…` : lines[0];
  return text && !question.literal ? prose(text) : [optionText(question, text)];
}

/** What a verdict says first: "Right", or "You answered: 2.5 – right" where it is an earlier one. */
function headline(question, verdict) {
  const word = { true: "Right", false: "Not right" }[verdict.correct] ?? "";
  if (!verdict.earlier) return [word];
  return ["You answered: ", ...answerLine(question, verdict.answer), word && ` – ${word.toLowerCase()}`];
}

function render({ model, el }) {
  const question = model.get("asked");
  const typed = question.form === "numeric";
  const rows = typed ? [] : choices(question);
  const field = typed ? numberField(question) : null;
  const inputs = typed ? [field.querySelector("input")] : rows.map((row) => row.querySelector("input"));
  const legend = make("legend", { className: "alain-unseen", dir: "auto" }, ...prose(question.stem));
  const main = make("button", { type: "button" });
  const hintButton = make("button", { type: "button", textContent: "Hint", ariaExpanded: "false" });
  const hint = make("p", { className: "alain-hint", dir: "auto", hidden: true }, ...prose(question.hint));
  const help = typed ? "Enter checks" : `1–${Math.min(rows.length, 9)} choose, Enter checks`;
  const status = make("div", { className: "alain-status", role: "status", ariaLive: "polite", dir: "auto" });
  const call = make("div", { className: "alain-call", hidden: true });
  const card = make(
    "div",
    { className: "alain-question", tabIndex: -1 },
    make("fieldset", {}, legend, ...(typed ? [field] : rows)),
    make(
      "div",
      { className: "alain-actions" },
      main,
      ...(question.hint ? [hintButton] : []),
      make("span", { className: "alain-help", textContent: help }),
    ),
    hint,
    status,
    call,
  );
  // JupyterLab and Notebook leave keys below this element alone: else "a" would insert a cell.
  card.dataset.lmSuppressShortcuts = "true";

  let shown = null; // the verdict in view
  let waiting = 0; // the timer of an unanswered check

  const current = () => {
    const chosen = inputs.findIndex((input) => input.checked);
    return typed ? inputs[0].value.trim() || null : chosen < 0 ? null : chosen;
  };

  const say = (name, ...lines) => {
    status.dataset.verdict = name;
    status.replaceChildren(...lines);
  };

  /** Show a verdict, or with `null` the question as open. */
  const show = (verdict) => {
    clearTimeout(waiting);
    waiting = 0;
    shown = verdict;
    main.textContent = verdict ? "Try again" : "Check";
    main.className = verdict?.correct ? "" : "alain-main";
    const name = { true: "right", false: "wrong" }[verdict?.correct] ?? "open";
    for (const [at, row] of rows.entries()) {
      row.querySelector("svg")?.remove();
      row.dataset.verdict = verdict?.answer === at ? name : "";
      if (verdict?.answer === at) row.append(icon(name));
    }
    if (field) field.dataset.verdict = verdict ? name : "";
    call.hidden = !verdict?.call;
    call.replaceChildren(...(verdict?.call ? callToRun(verdict.call) : []));
    if (!verdict) return say("");
    const words = headline(question, verdict);
    const lines = [
      make("p", { className: "alain-headline" }, icon(name), make("span", {}, ...words)),
      make("p", {}, ...prose(verdict.text)),
      make("p", { className: "alain-trouble", textContent: verdict.trouble }),
    ];
    say(name, ...lines.filter((line) => line.textContent));
  };

  const restore = (verdict) => {
    if (typed) inputs[0].value = verdict.answer;
    else if (inputs[verdict.answer]) inputs[verdict.answer].checked = true;
    show(verdict);
  };

  const check = () => {
    if (waiting || shown) return;
    if (current() === null) {
      const missing = typed ? "Type a number first." : "Choose an answer first.";
      return say("open", make("p", { textContent: missing }));
    }
    model.send({ kind: "check", answer: current() });
    const patience = "Waiting for the kernel. If it was restarted or has stopped, run the cell again.";
    waiting = setTimeout(() => say("open", make("p", { textContent: patience })), PATIENCE_MS);
  };

  const again = () => {
    for (const input of inputs) {
      if (typed) input.value = "";
      else input.checked = false;
    }
    show(null);
    inputs[0].focus();
  };

  const onKey = (event) => {
    // The application leaves our keys alone, but Ctrl+S must save the notebook, not the page: so pass a copy around.
    const saves = (event.ctrlKey || event.metaKey) && event.key === "s";
    if (saves && !el.dispatchEvent(new KeyboardEvent("keydown", event))) event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || event.key === "Escape") return;
    event.stopPropagation();
    const at = typed ? -1 : Number(event.key) - 1;
    if (inputs[at] && /^[1-9]$/.test(event.key)) {
      event.preventDefault();
      inputs[at].focus();
      inputs[at].click();
    } else if (event.key === "Enter" && !event.shiftKey && !event.target.closest("button")) {
      event.preventDefault();
      check();
    }
  };

  const onVerdict = () => restore(model.get("verdict"));

  card.addEventListener("keydown", onKey);
  for (const input of inputs) input.addEventListener("input", () => show(null));
  main.addEventListener("click", () => (shown ? again() : check()));
  hintButton.addEventListener("click", () => {
    hint.hidden = !hint.hidden;
    hintButton.ariaExpanded = String(!hint.hidden);
  });
  model.on("change:verdict", onVerdict);
  if (model.get("verdict")) restore(model.get("verdict"));
  else show(null);
  el.append(card);
  return () => {
    clearTimeout(waiting);
    model.off("change:verdict", onVerdict);
  };
}

export default { render };
