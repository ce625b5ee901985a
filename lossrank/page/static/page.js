// Keyboard shortcuts: a button, link or field lists its keys in data-keys. Without this file everything still works with
// the mouse or Tab.
"use strict";

const address = document.body.dataset.address;
// After a refused POST, the browser is at the form's address. A reload must show the row, not send the form again.
if (/\/(decide|undo)$/.test(location.pathname)) history.replaceState(null, "", address);

// While the next page loads, keys are ignored: the person hasn't seen its row yet. Loading may be stopped, so this page
// takes keys again after Esc, or after a time that is longer than the server waits for a locked database. A decision that
// was sent twice by then is stored once, since the form says which decision it replaces.
const PATIENCE = 15000;  // milliseconds
let leaving = false;
function leave() {
  leaving = true;
  setTimeout(() => { leaving = false; }, PATIENCE);
}
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  leave();
  location.reload();  // the back button restored an old page, without later decisions
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

// In the list, the keys for next and previous move the focus, up to the first and last row of the page.
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

// Return the key as on a US keyboard, since Caps Lock and other layouts give other characters: л on k, & on 1 in France.
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
