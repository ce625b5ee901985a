"use strict";
// Sorting, search and tooltips. Without this script the page still shows every number and row.
const value = (cell) => (cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v));
const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  for (const button of table.querySelectorAll("th button")) {
    const head = button.parentElement;
    button.disabled = false;
    button.addEventListener("click", () => {
      const ascending = head.getAttribute("aria-sort") !== "ascending";
      for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      const key = (row) => value(row.cells[head.cellIndex]);
      body.append(...[...body.rows].sort((a, b) => (ascending ? 1 : -1) * compare(key(a), key(b))));
    });
  }
}

const filter = document.getElementById("filter");
if (filter) {
  const rows = [...document.getElementById("rows").tBodies[0].rows];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  filter.closest("p").hidden = false;
  filter.addEventListener("input", () => {
    const words = filter.value.toLowerCase().split(/\s+/);
    rows.forEach((row, i) => { row.hidden = !words.every((word) => texts[i].includes(word)); });
    const shown = rows.filter((row) => !row.hidden).length;
    document.getElementById("shown").textContent = filter.value.trim() ? `${shown} of ${rows.length} rows` : "";
  });
}

for (const mark of document.querySelectorAll("svg [aria-roledescription][aria-label]")) {
  if (mark.tagName !== "path") continue;
  const title = document.createElementNS(mark.namespaceURI, "title");
  title.textContent = mark.getAttribute("aria-label");
  mark.append(title);
}
