"use strict";
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const byId = id => document.getElementById(id);
const visible = element => element.checkVisibility ? element.checkVisibility() : true;

// --- links open what they lead to; print shows all rows ------------------------------------------

function openTarget() {
  const target = location.hash.length > 1 && byId(location.hash.slice(1));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  if (visible(target)) return;
  endSearch();  // which hides it
  target.scrollIntoView();
}
addEventListener("hashchange", openTarget);
addEventListener("click", event => {  // a link to where the page is already changes no address
  const link = event.target.closest && event.target.closest("a[href^='#']");
  if (link && link.hash === location.hash) openTarget();
});
let opened = [];
addEventListener("beforeprint", () => {
  opened = all("details.rows:not([open])");
  opened.forEach(d => d.open = true);
});
addEventListener("afterprint", () => opened.forEach(d => d.open = false));

// --- a heading sorts its column within each group of rows: up, down, as printed -------------------

const bodyRows = body => [...body.rows].filter(row => !row.classList.contains("group"));
const valueOf = (row, column) => {
  const cell = row.cells[column];
  if (!cell || cell.textContent.trim() === "–") return null;
  if (cell.dataset.value !== undefined) return Number(cell.dataset.value);
  return cell.textContent.trim();
};
// A text that begins with a number, such as an interval, goes by that number first.
const leading = value => parseFloat(String(value).replace(/^−/, "-").replace(/^[^\d+.-].*/s, ""));
function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return (leading(a) - leading(b)) || String(a).localeCompare(String(b), "en", { numeric: true });
}
function sortTable(table, heading) {
  const next = { none: "ascending", ascending: "descending", descending: "none" };
  const order = next[heading.getAttribute("aria-sort")];
  all("th[aria-sort]", table).forEach(th => th.setAttribute("aria-sort", "none"));
  heading.setAttribute("aria-sort", order);
  const column = Number(heading.dataset.column);
  for (const body of table.tBodies) {
    const rows = bodyRows(body).map(row => ({ row, value: valueOf(row, column) }));
    rows.sort((a, b) => {
      if (order === "none") return a.row.dataset.place - b.row.dataset.place;
      if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
      return (order === "ascending" ? 1 : -1) * compare(a.value, b.value);
    });
    body.append(...rows.map(({ row }) => row));
  }
}
for (const table of all("table")) {
  for (const body of table.tBodies) bodyRows(body).forEach((row, k) => row.dataset.place = k);
  for (const heading of all("th[data-column]", table)) {
    heading.setAttribute("aria-sort", "none");
    const button = make("button", { type: "button", className: "sort" }, ...heading.childNodes);
    button.addEventListener("click", () => sortTable(table, heading));
    heading.append(button);
  }
}

// --- every number of a table is a button; arrow keys move, one of a table is in the tab order -----

function oneTabStop(table) {
  const numbers = all("button.number", table);
  const stop = numbers.find(b => b.tabIndex === 0 && visible(b)) || numbers.find(visible);
  numbers.forEach(b => b.tabIndex = b === stop ? 0 : -1);
}
for (const cell of all("td[data-run], td[data-published]")) {
  // A number or an interval, not a name with a digit in it.
  const text = cell.textContent.replace(/\bto\b/g, "");
  if (!/\d/.test(text) || (cell.dataset.value === undefined && /\p{L}{2}|\d\p{L}|\p{L}\d/u.test(text))) continue;
  const source = cell.querySelector(".source");
  const button = make("button", { type: "button", className: "number", tabIndex: -1 });
  button.setAttribute("aria-haspopup", "dialog");
  button.append(...[...cell.childNodes].filter(node => node !== source));
  cell.prepend(button);
}
all("table").forEach(oneTabStop);
all("details.rows").forEach(d => d.addEventListener("toggle", () => all("table", d).forEach(oneTabStop)));
function neighbour(button, key) {
  const row = button.closest("tr");
  const inRow = all("button.number", row);
  const place = inRow.indexOf(button);
  if (key === "ArrowLeft") return inRow[place - 1];
  if (key === "ArrowRight") return inRow[place + 1];
  if (key === "Home") return inRow[0];
  if (key === "End") return inRow[inRow.length - 1];
  const column = button.closest("td").cellIndex;
  const rows = all("tbody tr", button.closest("table")).filter(visible);
  const step = { ArrowUp: -1, ArrowDown: 1 }[key];
  if (!step) return undefined;
  for (let k = rows.indexOf(row) + step; rows[k]; k += step) {
    const found = rows[k].cells[column] && rows[k].cells[column].querySelector("button.number");
    if (found) return found;
  }
  return undefined;
}
addEventListener("keydown", event => {
  const button = event.target.closest && event.target.closest("button.number");
  const next = button && neighbour(button, event.key);
  const beyond = button && { ArrowLeft: -40, ArrowRight: 40 }[event.key];
  if (!next && !beyond) return;
  event.preventDefault();
  if (!next) {  // at once: a scroll that is still under way would put the next number out of sight
    button.closest(".scroll").scrollLeft += beyond;
    return;
  }
  button.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});

addEventListener("focusin", event => {  // the first column stays in place, over what scrolls below it
  const cell = event.target.closest(".scroll :is(td, th)");
  const first = cell && cell.closest("table").querySelector("tbody th[scope=row]");
  if (!first || cell.matches("tr:first-child > :first-child")) return;
  const covered = first.getBoundingClientRect().right - event.target.getBoundingClientRect().left;
  if (covered > 0) cell.closest(".scroll").scrollLeft -= covered + 8;
});

// --- the card of a number: hovering shows it, pressing keeps it -----------------------------------

const card = byId("card");
const title = byId("card-title");
let timer = 0, shownFor = null;
function namesOf(row) {  // the texts before its first number
  const cells = [...row.cells], end = cells.findIndex(cell => cell.matches(".n, .long"));
  return cells.slice(0, end).map(cell => cell.textContent.trim()).filter(name => name !== "–").join(", ");
}
function fill(button) {
  const cell = button.closest("td"), row = cell.parentElement, figure = cell.closest("figure");
  const heading = figure && all("th[data-column]", cell.closest("table"))
    .find(th => Number(th.dataset.column) === cell.cellIndex);
  const group = row.parentElement.querySelector("tr.group");
  const told = [figure.querySelector(".label").textContent.replace(/\.$/, ""),
    group && group.textContent.trim(), namesOf(row),
    heading && [heading.dataset.group, heading.textContent.trim()].filter(Boolean).join(", ")];
  title.textContent = button.textContent.trim();
  const parts = [make("p", { className: "place" }, told.filter(Boolean).join(" · "))];
  const published = cell.dataset.published !== undefined;
  const letter = cell.querySelector(".source");
  if (published || letter) {
    const note = letter && all(".notes li", figure)
      .find(li => li.firstElementChild && li.firstElementChild.textContent === letter.textContent);
    const where = note ? note.textContent.replace(letter.textContent, "").trim() : "the paper";
    parts.push(make("p", {}, `${published ? "Published, not measured here. " : ""}Source: ${where}`));
  }
  const record = cell.dataset.run && byId(`run-${cell.dataset.run}`);
  if (record) {
    const link = make("a", { href: `#${record.id}` }, "The whole record, in its place");
    link.addEventListener("click", () => card.close());
    if (published) parts.push(make("p", {}, "The run that put it in the table:"));
    parts.push(record.querySelector("dl").cloneNode(true), make("p", {}, link));
  }
  card.lastElementChild.replaceChildren(...parts);
  card.lastElementChild.scrollTop = 0;
}
function place(button) {  // beside the number, never over it
  const box = button.getBoundingClientRect();
  const left = Math.min(box.left, innerWidth - card.offsetWidth - 8);
  const below = innerHeight - box.bottom - 14, above = box.top - 14;
  card.style.maxHeight = `min(30rem, ${Math.max(below, above)}px)`;
  card.style.left = `${Math.max(8, left)}px`;
  card.style.top = `${below >= above ? box.bottom + 6 : box.top - 6 - card.offsetHeight}px`;
}
function show(button, kept) {
  clearTimeout(timer);
  if (card.open) card.close();
  shownFor = button;
  fill(button);
  if (kept) card.showModal();
  else card.setAttribute("open", "");  // show() would take the focus
  card.classList.toggle("kept", kept);
  place(button);
}
const kept = () => card.open && card.classList.contains("kept");
const hide = () => { if (card.open && !kept()) card.close(); };
const later = (action, delay) => { clearTimeout(timer); timer = setTimeout(action, delay); };
const numberAt = event => event.target.closest && event.target.closest("button.number");
addEventListener("pointerover", event => {
  if (event.pointerType !== "mouse" || kept()) return;
  const button = numberAt(event);
  if (button && button === shownFor && card.open) clearTimeout(timer);
  else if (button) later(() => show(button, false), 350);
  else if (card.contains(event.target)) clearTimeout(timer);
  else later(hide, 250);
});
addEventListener("click", event => {
  const button = numberAt(event);
  if (button) show(button, true);
  else if (event.target === card) card.close();  // beside it: the backdrop
});
addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
addEventListener("scroll", hide, { passive: true });
card.addEventListener("close", () => { if (!card.open) card.classList.remove("kept"); });

// --- search ---------------------------------------------------------------------------------------

const form = document.querySelector("form.search");
const field = byId("search");
// Signs of minus, dashes and quotes are those of a keyboard, on both sides.
const typed = text => text.toLowerCase().replace(/[−–‐‑]/g, "-").replace(/[‘’]/g, "'").replace(/[“”]/g, '"');
const textOf = element => element ? typed(element.textContent) : "";
const things = all("main figure").map(figure => {
  const section = figure.closest("section"), drawn = figure.querySelector("[role=img]");
  return {
    figure,
    about: [figure.querySelector("figcaption"), section.querySelector("h2"), section.querySelector(".authors"),
      ...all("thead", figure)].map(textOf).join(" ") + typed(drawn ? drawn.getAttribute("aria-label") : ""),
    kind: figure.classList.contains("table") ? "table" : "figure",
    rows: all("tbody tr:not(.group)", figure).map(row => {
      const absent = row.closest("details.rows");  // its summary says why the row was not run
      const parts = [absent && absent.querySelector("summary"), row.parentElement.querySelector("tr.group")];
      return { row, text: [...parts, ...row.cells].map(textOf).join(" ") };
    }),
  };
});
const findings = all(".findings > div").map(element => ({ element, text: textOf(element) }));
const counted = (n, name) => `${n} ${name}${n === 1 ? "" : "s"}`;
let openedBySearch = [];
function search() {
  const words = typed(field.value).split(/\s+/).filter(Boolean);
  const searching = words.length > 0;
  const found = { table: 0, figure: 0, rows: 0, findings: 0 };
  document.body.classList.toggle("searching", searching);
  openedBySearch.forEach(d => d.open = false);
  openedBySearch = [];
  for (const { figure, about, kind, rows } of things) {
    // Where no row holds every word, those that the caption holds need not stand in the row.
    const inRows = rows.some(({ text }) => words.every(word => text.includes(word)));
    const left = inRows ? words : words.filter(word => !about.includes(word));
    let matched = 0;
    for (const { row, text } of rows) {
      row.hidden = !left.every(word => text.includes(word));
      matched += !row.hidden;
    }
    figure.hidden = searching && left.length > 0 && matched === 0;
    found.rows += matched;
    found[kind] += !figure.hidden;
    for (const body of all("tbody", figure)) body.hidden = !bodyRows(body).some(row => !row.hidden);
    for (const part of all("details.rows, .scroll", figure)) {
      const rowsHere = all("tbody tr:not(.group)", part);
      part.hidden = !rowsHere.some(row => !row.hidden);
      if (searching && left.length && part.tagName === "DETAILS" && !part.hidden && !part.open) {
        part.open = true;
        openedBySearch.push(part);
      }
    }
    all("table", figure).forEach(oneTabStop);
  }
  for (const { element, text } of findings) {
    element.hidden = !words.every(word => text.includes(word));
    found.findings += !element.hidden;
  }
  for (const section of all("main > section")) {
    section.hidden = searching && !section.querySelector("figure:not([hidden]), .findings > div:not([hidden])");
  }
  const told = [counted(found.rows, "row"), counted(found.table, "table"),
    counted(found.figure, "figure"), counted(found.findings, "finding")].join(", ");
  form.querySelector("output").value = searching ? told : "";
}
function endSearch() {
  field.value = "";
  search();
}
form.hidden = things.length === 0;
field.addEventListener("input", search);
form.addEventListener("submit", event => event.preventDefault());

// --- speech: the words that are being said ---------------------------------------------------------

for (const clip of all(".clip")) {
  const audio = clip.querySelector("audio");
  audio.addEventListener("timeupdate", () => all(".words li", clip).forEach(word => {
    const { start, end } = word.dataset;
    word.classList.toggle("now", audio.currentTime >= start && audio.currentTime < end && !audio.ended);
  }));
}

openTarget();
