// The line below an answer: figures, and buttons that copy. All text is untrusted and enters the page as text only.

const LANGUAGES = { curl: "curl", python: "Python", javascript: "JavaScript" };
const SHOWN_MS = 2000;

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Text to be copied by hand, for pages that may not reach the clipboard. */
function byHand(text) {
  const field = make("textarea", { className: "alain-by-hand", readOnly: true, rows: 4, value: text });
  field.ariaLabel = "Text to copy";
  return field;
}

function copyButton(label, name, text, say, row) {
  const button = make("button", { type: "button", textContent: label, ariaLabel: name });
  let timer = 0;
  button.addEventListener("click", async () => {
    row.querySelector("textarea")?.remove();
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = byHand(text);
      row.append(field);
      field.focus();
      field.select();
      return say("Selected: copy it with Ctrl+C or ⌘C.");
    }
    say(`${name}: done`);
    clearTimeout(timer);
    button.dataset.done = "";
    timer = setTimeout(() => delete button.dataset.done, SHOWN_MS);
  });
  return button;
}

function answerRow(answer, several, say) {
  const figures = answer.figures && ` · ${answer.figures}`;
  const line = make("div", {}, make("strong", { textContent: answer.name }), figures);
  const remarks = answer.remarks.map((text) => make("div", { textContent: text }));
  const row = make("div", { className: "alain-answer-row", role: "group", ariaLabel: `Answer of ${answer.name}` });
  const buttons = make("div", { className: "alain-copy" });
  const whose = several ? ` of ${answer.name}` : "";
  if (answer.text) buttons.append(copyButton("Copy answer", `Copy answer${whose}`, answer.text, say, row));
  if (Object.keys(answer.snippets).length) buttons.append(make("span", { textContent: "Copy as", ariaHidden: "true" }));
  for (const [key, language] of Object.entries(LANGUAGES)) {
    const code = answer.snippets[key];
    if (code) buttons.append(copyButton(language, `Copy as ${language}${whose}`, code, say, row));
  }
  row.append(make("div", { className: figures && "alain-figures" }, line, ...remarks), buttons);
  return row;
}

function render({ model, el }) {
  const answers = model.get("answers");
  const status = make("div", { className: "alain-unseen", role: "status", ariaLive: "polite" });
  const say = (text) => {
    status.textContent = text;
  };
  const rows = answers.map((answer) => answerRow(answer, answers.length > 1, say));
  const bar = make("div", { className: "alain-answer" }, ...rows, status);
  // JupyterLab and Notebook leave keys below this element alone: else Enter on a button would open the cell.
  bar.dataset.lmSuppressShortcuts = "true";
  bar.addEventListener("keydown", (event) => {
    const others = event.ctrlKey || event.metaKey || event.altKey || event.key === "Tab" || event.key === "Escape";
    if (!others) event.stopPropagation();
  });
  el.append(bar);
}

export default { render };
