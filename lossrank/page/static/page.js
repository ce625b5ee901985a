// Keys press what is on the page: a button, link or field names its keys in data-keys. Without this file all of it works
// by mouse or Tab.
"use strict";

const address = document.body.dataset.address;
// After a refused POST the browser's address is the form's: a reload must ask for the row, not send the form again.
if (/\/(decide|undo)$/.test(location.pathname)) history.replaceState(null, "", address);

// A press while another page is on its way would be about a row that was not looked at, or not any more. That page may
// never come, if it is stopped: then this one takes keys again after Esc, or after more than a locked database is waited
// for. What was sent twice by then is stored once, since the form says what was seen.
const PATIENCE = 15000;  // milliseconds
let leaving = false;
function leave() {
  leaving = true;
  setTimeout(() => { leaving = false; }, PATIENCE);
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  leave();
  location.reload();  // Back took the page as it was left, without what was decided since
});
addEventListener("submit", (event) => {
  if (leaving) event.preventDefault();
  else leave();
});

for (const select of document.querySelectorAll(".filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}

const help = document.getElementById("help");
const rows = [...document.querySelectorAll(".list [data-row]")];
const steps = { j: 1, n: 1, ArrowRight: 1, ArrowDown: 1, p: -1, ArrowLeft: -1, ArrowUp: -1 };

// In the list, next and previous move the focus, until they leave the page.
function moved(key, row) {
  const to = rows.length && key in steps ? rows[rows.indexOf(row) + steps[key]] : null;
  if (!to) return false;
  to.focus();
  to.scrollIntoView({ block: "nearest" });
  return true;
}

function named(key, inside) {
  const all = inside ? [...inside.querySelectorAll("[data-keys]")] : [];
  return all.find((element) => element.dataset.keys.split(" ").includes(key));
}

// Caps Lock, or another layout, puts other signs on the same keys: л on k, and & on 1 in France.
function keyOf({ key, code, shiftKey }) {
  if (key.length > 1) return key;
  const moved = key >= "\x80" || (code.startsWith("Digit") && !shiftKey);
  return (moved ? code.replace(/^(Key|Digit)/, "") : key).toLowerCase();
}

addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.key === "Escape") leaving = false;
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.repeat || leaving) return;
  if (target.matches("input, select, textarea")) {
    if (event.key === "Escape") target.blur();
    return;
  }
  const key = keyOf(event);
  if (help.matches(":popover-open") && key !== "?") return;
  const row = target.closest("[data-row]") ?? (rows.length ? null : document.querySelector("[data-row]"));
  if (key === "Enter" && target !== row) return;
  if (moved(key, row)) {
    event.preventDefault();
    return;
  }
  const found = named(key, row) ?? [...document.querySelectorAll("[data-keys]")].find(
    (element) => !element.closest(".list [data-row]") && element.dataset.keys.split(" ").includes(key));
  if (!found) return;
  event.preventDefault();
  if (found.matches("input, select")) {
    found.focus();
    found.select?.();
  } else {
    found.click();
    if (found.matches("a")) leave();
  }
});
