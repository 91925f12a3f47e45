// Behaviour of the pages. The server renders all HTML: this module fetches a page again when the stream names a part of
// it, and exchanges the parts that differ. It makes no HTML itself.

const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const one = (selector, root = document) => root.querySelector(selector);

// Messages

let toastTimer = 0;
function toast(text, failed = false) {
  const element = one("#toast");
  element.textContent = text;
  element.classList.toggle("failed", failed);
  element.classList.add("shown");
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => element.classList.remove("shown"), failed ? 8000 : 3500);
}

function ask(title, text, verb) {
  const dialog = one("#confirm");
  one("#confirm-title").textContent = title;
  one("#confirm-text").textContent = text;
  one("#confirm-yes").textContent = verb;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

// Parts of the page

const picked = new Set();

function showPicked() {
  for (const box of all("[data-pick]")) box.checked = picked.has(box.value);
  const label = one("[data-selected]");
  if (!label) return;
  label.textContent = picked.size ? `${picked.size} selected` : "none selected";
  for (const button of all("[data-bulk]")) button.disabled = !picked.size;
  const boxes = all("[data-pick]");
  const every = one("[data-select-all]");
  every.checked = boxes.length > 0 && boxes.every((box) => box.checked);
  every.indeterminate = picked.size > 0 && !every.checked;
}

function exchange(part, fresh) {
  if (part.isEqualNode(fresh) || part.dataset.shown === fresh.outerHTML) return;
  const shown = fresh.outerHTML;
  const open = all("details[open]", part).map((each) => each.id);
  const scrolled = all("pre", part).map((each) => [each.scrollLeft, each.scrollTop]);
  const focused = part.contains(document.activeElement) ? describe(document.activeElement, part) : null;
  const adopted = document.importNode(fresh, true);
  part.replaceWith(adopted);
  adopted.dataset.shown = shown;
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  all("pre", adopted).forEach((each, number) => each.scrollTo(...(scrolled[number] ?? [0, 0])));
  if (focused) find(focused, adopted)?.focus({ preventScroll: true });
}

// An element that has the focus is found again by its tag and its place among equal ones.
const keys = ["data-id", "data-action", "data-run", "data-scheduler", "data-mark", "href", "value"];
const describe = (element) => [element.tagName, keys.map((key) => element.getAttribute(key)), rowOf(element)];
function find([tag, values, row], part) {
  const same = all(tag, part).filter((each) => keys.every((key, number) => each.getAttribute(key) === values[number]));
  return same.find((each) => rowOf(each) === row) ?? same[0];
}
const rowOf = (element) => one("[data-open]", element.closest("[data-row]") ?? element)?.getAttribute("href") ?? null;

let leaving = false;
let aborter = new AbortController();
let fetching = false;
let waiting = null;
async function update(topics) {
  if (leaving) return;
  if (fetching) {
    waiting = new Set([...(waiting ?? []), ...topics]);
    return;
  }
  const concerns = (part) => part.dataset.live.split(" ").some((topic) => topics.has(topic) || topics.has("all"));
  if (!all("[data-live]").some(concerns)) return;
  fetching = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, signal: aborter.signal });
    if (!answer.ok) {
      connection("lost", rejections[answer.status] ?? "connection lost");
    } else {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of all("[data-live]").filter(concerns)) {
        const fresh = page.getElementById(part.id);
        if (fresh) exchange(part, fresh);
      }
      showTimes();
      showPicked();
      if (stream?.readyState === EventSource.OPEN) connection("live", "live");
    }
  } catch {
    if (!leaving) lost("connection lost");
  } finally {
    fetching = false;
    const next = waiting;
    waiting = null;
    if (next) update(next);
  }
}

// Stream of changes; a hidden page has none

const rejections = { 401: "not logged in", 403: "access denied", 404: "this page does not exist any more" };
let stream = null;
let lostTimer = 0;
let retryTimer = 0;
function connection(state, text) {
  clearTimeout(lostTimer);
  lostTimer = 0;
  const element = one("#connection");
  element.className = state;
  // Screen readers announce each new text.
  if (element.textContent !== text) element.textContent = text;
}
// The server ends each stream after some time, and the browser connects again: short gaps are normal.
function lost(text) {
  lostTimer ||= setTimeout(() => connection("lost", text), 3000);
}

function connect() {
  clearTimeout(retryTimer);
  // The page of an error stays as it is: its address has nothing to fetch again.
  if (stream || document.hidden || "still" in document.body.dataset) return;
  const opened = new EventSource("stream");
  stream = opened;
  stream.onopen = () => {
    connection("live", "live");
    update(new Set(["all"]));
  };
  stream.onmessage = (message) => update(new Set(JSON.parse(message.data)));
  stream.onerror = () => {
    if (stream !== opened) return;
    lost("connecting");
    if (opened.readyState !== EventSource.CLOSED) return;
    // After an answer with another status than 200, the browser does not connect again.
    stream = null;
    retryTimer = setTimeout(connect, 5000);
    update(new Set(["all"]));
  };
}

function disconnect() {
  if ("still" in document.body.dataset) return;
  clearTimeout(retryTimer);
  stream?.close();
  stream = null;
  connection("", "paused");
}

document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", (event) => event.persisted && connect());
for (const part of all("[data-every]")) {
  const topics = new Set(part.dataset.live.split(" "));
  setInterval(() => document.hidden || update(topics), Number(part.dataset.every) * 1000);
}

// Times: the texts of the server, each second

const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function relative(seconds) {
  const distance = Math.abs(seconds);
  const unit = units.find(([size]) => distance >= size);
  if (!unit) return "now";
  const amount = `${Math.floor(distance / unit[0])} ${unit[1]}`;
  return seconds > 0 ? `in ${amount}` : `${amount} ago`;
}
function showTimes() {
  for (const element of all('time[data-time="relative"]')) {
    const text = relative((new Date(element.dateTime) - Date.now()) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}
setInterval(showTimes, 1000);

// Actions

async function post(path, body) {
  const answer = await fetch(`api/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const report = await answer.json();
  if (!answer.ok) throw new Error(report.message);
  return report;
}

const words = { run: "due now", pause: "paused", resume: "resumed", cancel: "asked to cancel", reschedule: "rescheduled", remove: "removed" };
const failures = ({ failed }) => (failed.length ? `; ${failed.length} failed: ${failed[0].message}` : "");
const counted = (number) => (number === 1 ? "1 task" : `${number} tasks`);

async function act(action, ids, trigger) {
  const report = await post("actions", { action, task_ids: ids, ...(trigger ? { trigger } : {}) });
  toast(`${counted(report.done.length)} ${words[action]}${failures(report)}`, report.failed.length > 0);
  return report;
}

async function pressed(button) {
  const { action, id, then } = button.dataset;
  if (button.dataset.scheduler) {
    const report = await post("scheduler", { action: button.dataset.scheduler });
    const word = button.dataset.scheduler === "pause" ? "paused" : "resumed";
    const done = report.done.length === 1 ? `The scheduler is ${word}` : `${report.done.length} schedulers are ${word}`;
    toast(`${done}${failures(report)}`, report.failed.length > 0);
  } else if (button.dataset.run) {
    const report = await post("cancel-run", { run_id: button.dataset.run });
    toast(report.failed[0]?.message ?? "The run is asked to cancel", report.failed.length > 0);
  } else {
    const ids = id === undefined ? [...picked] : [id];
    if (action === "remove") {
      const text = `${ids.slice(0, 3).join(", ")}${ids.length > 3 ? ` and ${ids.length - 3} more` : ""}: runs in progress go on.`;
      if (!(await ask(`Remove ${counted(ids.length)}?`, text, "Remove"))) return;
    }
    // The page of a removed task cannot be fetched again.
    if (then) {
      leaving = true;
      aborter.abort();
      aborter = new AbortController();
    }
    const report = await act(action, ids).catch((error) => {
      leaving = false;
      throw error;
    });
    if (then && !report.failed.length) {
      location.assign(then);
      return;
    }
    leaving = false;
    picked.clear();
    showPicked();
  }
  await update(new Set(["all"]));
}

function openDialog(dialog) {
  const subject = one("[data-subject]", dialog);
  // The dialog of one task names it; this one is for the selected tasks.
  if (!one("[data-reschedule]", dialog).dataset.reschedule) subject.textContent = `${counted(picked.size)} selected`;
  one("[data-error]", dialog).textContent = "";
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("help" in button.dataset) one("#help").showModal();
  if (button.dataset.dialog) openDialog(document.getElementById(button.dataset.dialog));
  if ("close" in button.dataset) button.closest("dialog").close();
  if (!(button.dataset.action || button.dataset.run || button.dataset.scheduler)) return;
  button.setAttribute("aria-busy", "true");
  pressed(button)
    .catch((error) => toast(error.message, true))
    .finally(() => button.removeAttribute("aria-busy"));
});

document.addEventListener("change", (event) => {
  const box = event.target;
  if ("pick" in box.dataset) picked[box.checked ? "add" : "delete"](box.value);
  if ("selectAll" in box.dataset) {
    for (const each of all("[data-pick]")) picked[box.checked ? "add" : "delete"](each.value);
    if (!box.checked) picked.clear();
  }
  if ("triggerType" in box.dataset) {
    for (const part of all("[data-trigger]")) part.hidden = part.disabled = part.dataset.trigger !== box.value;
  }
  showPicked();
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (form.dataset.reschedule === undefined) return;
  event.preventDefault();
  const values = Object.fromEntries(new FormData(form));
  const triggers = {
    interval: () => ({ type: "interval", [values.unit]: Number(values.amount) }),
    cron: () => ({ type: "cron", expression: values.expression, timezone: values.timezone }),
    date: () => ({ type: "date", run_at: new Date(values.run_at).toISOString() }),
    on_demand: () => ({ type: "on_demand" }),
  };
  const ids = form.dataset.reschedule ? [form.dataset.reschedule] : [...picked];
  const problem = one("[data-error]", form);
  problem.textContent = "";
  try {
    const report = await act("reschedule", ids, triggers[values.type]());
    if (!report.done.length) throw new Error(report.failed[0].message);
    form.closest("dialog").close();
    picked.clear();
    showPicked();
    await update(new Set(["all"]));
  } catch (error) {
    problem.textContent = error.message;
  }
});

// Keys

const pages = { t: "tasks", r: "runs", l: "timeline", x: "executors", e: "events" };
let leading = false;
function move(step) {
  const rows = all("[data-row]");
  const now = rows.indexOf(document.activeElement.closest("[data-row]"));
  rows[Math.max(0, Math.min(rows.length - 1, now < 0 ? 0 : now + step))]?.focus();
}
// The marks of the timeline are not in the order of the Tab key: there are hundreds.
const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -Infinity, End: Infinity };
function moveMark(event) {
  const marks = all("[data-mark]", event.target.closest(".timeline [data-row]") ?? document.createElement("i"));
  const step = steps[event.key];
  if (!marks.length || step === undefined) return;
  event.preventDefault();
  const now = marks.indexOf(event.target.closest("[data-mark]"));
  const wanted = now < 0 && step === -1 ? marks.length - 1 : now + step;
  marks[Math.max(0, Math.min(marks.length - 1, wanted))].focus();
}
function showMark(event) {
  const mark = event.target.closest?.("[data-mark]");
  if (mark) one("#mark").textContent = one("title", mark).textContent;
}
document.addEventListener("focusin", showMark);
document.addEventListener("pointerover", showMark);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, dialog")) return;
  const row = event.target.closest("[data-row]");
  moveMark(event);
  if (leading && pages[event.key]) location.assign(pages[event.key]);
  else if (event.key === "/" && one("input[type=search]")) {
    event.preventDefault();
    one("input[type=search]").focus();
  } else if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "?") one("#help").showModal();
  else if (event.key === "x" && row) one("[data-pick]", row)?.click();
  else if (event.key === "Enter" && event.target === row) one("[data-open]", row)?.click();
  leading = event.key === "g";
});

showTimes();
showPicked();
connect();
