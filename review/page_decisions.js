"use strict";
// What is decided, what that would change, and the file of decisions; nothing of how it looks.

const data = JSON.parse(document.getElementById("data").textContent);
const COLUMNS = ["label", "decision", "minimum_accuracy", "category", "reason", "reviewed_by", "reviewed_on"];
const DECISIONS = ["include", "exclude", "withhold", "flag"];
const SHOWN = new Set(["include", "flag"]);
const STORE = `label-review ${data.catalog}`;
// In no value of the policy's files, each of which is one line.
const CONTROL = /\p{Cc}/u;

const trim = (text) => text.replace(/^[ \t\n\r\f\v]+|[ \t\n\r\f\v]+$/g, "");
// As functions/label_key.sql: A to Z, and the capitals of Latin-1 and Latin Extended-A.
const keyOf = (name) =>
  trim(name).replace(/[A-ZÀ-ÖØ-Þ\u0100-\u012f\u0131-\u017f]/g, (letter) => letter.toLowerCase());
// Bins are whole hundredths, and 0.55 * 100 is more than 55.
const hundredths = (accuracy) => Math.round(Number(accuracy) * 1e6) / 1e4;
const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

const byKey = new Map();
const aliases = new Map();
for (const label of data.labels) {
  label.key = keyOf(label.label);
  label.said ??= [];
  byKey.set(label.key, label);
  const alias = /^alias of ([^;]+)/.exec(label.note ?? "");
  if (alias) {
    label.aliasOf = keyOf(alias[1]);
    aliases.set(label.aliasOf, [...(aliases.get(label.aliasOf) ?? []), label]);
  }
}

// Labels of the same word in another number.
function sameWord({ key }) {
  const forms = [`${key}s`, `${key}es`, key.replace(/y$/, "ies"), key.replace(/s$/, ""),
    key.replace(/es$/, ""), key.replace(/ies$/, "y")];
  return [...new Set(forms)].filter((form) => form !== key && byKey.has(form)).map((form) => byKey.get(form));
}

// Decisions by key, each in the words of the file; a label that was left has one too.
let decisions = new Map();
let reviewer = "";
let singleKeys = true;
let isKept = true;
const unkept = { decisions: new Map(), settings: {} };
const undone = []; // each a list of key, decision before and decision since

function read({ decisions: kept, ...settings }) {
  decisions = new Map(kept);
  ({ reviewer = "", singleKeys = true } = settings);
}

const stored = () => JSON.parse(localStorage.getItem(STORE) ?? "{}");

function restore() {
  if (!isKept) return; // what is here is nowhere else
  try {
    read(stored());
  } catch {
    isKept = false;
  }
}

function set(all, changes) {
  for (const [key, decision] of changes) {
    if (decision) all.set(key, decision);
    else all.delete(key);
  }
  return all;
}

// Beside what other windows keep, of which only what is changed here is replaced.
function keep(changes, settings) {
  for (const [key, decision] of changes) unkept.decisions.set(key, decision);
  Object.assign(unkept.settings, settings);
  let kept = {};
  try {
    kept = stored();
  } catch {
    // It cannot be read, so there is nothing to spare.
  }
  const all = { ...kept, ...unkept.settings, decisions: [...set(new Map(kept.decisions), unkept.decisions)] };
  try {
    localStorage.setItem(STORE, JSON.stringify(all));
    isKept = true;
    unkept.decisions.clear();
    unkept.settings = {};
    read(all);
  } catch {
    isKept = false;
    set(decisions, changes);
    ({ reviewer, singleKeys } = { reviewer, singleKeys, ...settings });
  }
}

function change(changes) {
  restore();
  undone.push(changes.map(([key, decision]) => [key, decisions.get(key), decision]));
  keep(changes, {});
}

// Returns the key of a label whose decision came back; nothing if there is none to undo, and null
// if another window has decided otherwise since.
function undo() {
  restore();
  const isOwn = ([key, , since]) => JSON.stringify(decisions.get(key) ?? null) === JSON.stringify(since ?? null);
  const changes = undone.pop();
  const own = changes?.filter(isOwn);
  if (!own?.length) return changes?.length ? null : undefined;
  keep(own, {});
  return own[0][0];
}

function today() {
  const now = new Date();
  return [now.getFullYear(), now.getMonth() + 1, now.getDate()].map((part) => String(part).padStart(2, "0")).join("-");
}

const isDecided = ({ key }) => DECISIONS.includes(decisions.get(key)?.decision);
const decided = () => [...decisions.values()].filter(({ decision }) => decision !== "leave");

const namesOf = (reviewers) => new Set((reviewers ?? "").split(";").map(keyOf).filter(Boolean));

// Whoever decides as others did stands beside them; a new decision is the reviewer's own.
function isUnreviewed(label, { decision, minimum, category, reviewed_by: by }) {
  const isSame = label.decision === decision && (label.category ?? "") === category
    && (!SHOWN.has(decision) || hundredths(label.minimum ?? "") === hundredths(minimum));
  const names = isSame ? namesOf(label.reviewed_by) : new Set();
  return names.add(keyOf(by || reviewer)).size < data.reviewers_required;
}

// What would be in force: what is decided here, else what is. An alias goes with its label.
function planned(label, seen = new Set()) {
  const decision = decisions.get(label.key);
  if (decision && decision.decision !== "leave") {
    const plan = { ...decision, minimum: decision.minimum_accuracy };
    return { ...plan, unreviewed: isUnreviewed(label, plan) };
  }
  const of = byKey.get(label.aliasOf);
  if (SHOWN.has(label.decision) && of && !seen.has(of)) {
    const plan = planned(of, seen.add(of));
    if (!SHOWN.has(plan.decision)) return { decision: "exclude", goesWith: of };
  }
  return label;
}

function keptAt(said, minimum) {
  let images = 0;
  for (const bin in said.bins) if (Number(bin) >= minimum) images += said.bins[bin];
  return images;
}

function imagesShown(said, plan) {
  if (said.blocked_by || plan.unreviewed || !SHOWN.has(plan.decision)) return 0;
  return keptAt(said, hundredths(plan.minimum || said.minimum));
}

const shownImages = (label, plan) => label.said.reduce((total, said) => total + imagesShown(said, plan), 0);

const changedImages = (label, plan) =>
  label.said.map((said) => [said.machine, imagesShown(said, plan) - imagesShown(said, label)]);

const sum = (changes) => changes.reduce((total, [, images]) => total + images, 0);

// The labels, and those that go with them.
function withAliases(labels, found = new Set()) {
  for (const label of labels) {
    if (found.has(label)) continue;
    found.add(label);
    withAliases((aliases.get(label.key) ?? []).filter((alias) => !isDecided(alias)), found);
  }
  return found;
}

// How many images more labels, and those that go with them, would show on if that were decided.
function imagesMore(changes) {
  const before = decisions;
  decisions = new Map([...before, ...changes]);
  const labels = withAliases(changes.map(([key]) => byKey.get(key)));
  const images = [...labels].reduce((total, label) => total + sum(changedImages(label, planned(label))), 0);
  decisions = before;
  return images;
}

// Counted as `python -m review preview` counts: a machine's label gains images, or loses them.
function totals() {
  const all = { more: 0, fewer: 0, machines: new Map() };
  for (const label of withAliases(decided().map(({ label }) => byKey.get(keyOf(label))).filter(Boolean))) {
    for (const [machine, images] of changedImages(label, planned(label))) {
      if (!images) continue;
      const of = all.machines.get(machine) ?? { more: 0, fewer: 0 };
      all.machines.set(machine, of);
      for (const counts of [all, of]) counts[images > 0 ? "more" : "fewer"] += Math.abs(images);
    }
  }
  return all;
}

const quoted = (value) => (/[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);

function decisionsAsCsv() {
  const lines = decided()
    .sort((a, b) => byText(keyOf(a.label), keyOf(b.label)))
    .map((decision) => ({ ...decision, reviewed_by: decision.reviewed_by || reviewer }))
    .map((decision) => COLUMNS.map((column) => quoted(decision[column])).join(","));
  return [COLUMNS.join(","), ...lines].map((line) => `${line}\n`).join("");
}

function parseCsv(text) {
  const cell = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y;
  const rows = [];
  let line = 1;
  while (cell.lastIndex < text.length) {
    const row = { line, values: [] };
    for (let end = ","; end === ","; ) {
      const found = cell.exec(text);
      if (!found) throw new Error(`Line ${line}: a quotation mark is missing, or one too many; put it right, or export the file again.`);
      row.values.push(found[1]?.replaceAll('""', '"') ?? found[2]);
      line += found[0].split("\n").length - 1;
      end = found[3];
    }
    rows.push(row);
  }
  return rows;
}

// Returns the decisions of a file by key; throws a sentence that names the line.
function readDecisions(text) {
  const [header, ...rows] = parseCsv(text.replace(/^\ufeff/, ""));
  if (header?.values.join() !== COLUMNS.join()) {
    throw new Error(`Line 1: it has to be ${COLUMNS.join()}; choose a file that this page has exported.`);
  }
  const found = new Map();
  for (const { line, values } of rows) {
    if (!values.some(trim)) continue;
    const decision = Object.fromEntries(COLUMNS.map((column, place) => [column, trim(values[place] ?? "")]));
    if (decision.reason.toLowerCase() === "null") decision.reason = ""; // as dbt reads it
    const key = keyOf(decision.label);
    const same = found.get(key) ?? [];
    const wrong =
      values.length !== COLUMNS.length
        ? `has ${values.length} values, it needs ${COLUMNS.length}; put the commas right`
        : problemOf(decision) ?? (same.some((other) => substance(other) !== substance(decision))
          && `decides on “${decision.label}” otherwise than a line above; keep one of them`);
    if (wrong) throw new Error(`Line ${line}: ${wrong}. Nothing was imported.`);
    found.set(key, [...same, decision]);
  }
  return new Map([...found].map(([key, same]) => [key, same.length > 1 ? together(same) : same[0]]));
}

// What reviewers have to agree on.
const substance = ({ decision, minimum_accuracy: minimum, category }) =>
  [decision, minimum && Number(minimum), category].join();

// One decision of all who decide the same.
function together(same) {
  const names = new Map();
  for (const name of same.flatMap(({ reviewed_by: by }) => by.split(";")).map(trim).filter(Boolean)) {
    if (!names.has(keyOf(name))) names.set(keyOf(name), name);
  }
  const reasons = new Set(same.map(({ reason }) => reason).filter(Boolean));
  const days = same.map(({ reviewed_on: on }) => on).sort(byText);
  return { ...same[0], reason: [...reasons].join("; "), reviewed_by: [...names.values()].join(";"), reviewed_on: days.at(-1) };
}

function problemOf({ label, decision, minimum_accuracy: minimum, category, reason, reviewed_by: by, reviewed_on: on }) {
  const categories = data.categories[decision] ?? [""];
  if (!label) return "names no label; name one, or take the line out";
  if ([label, reason, by].some((text) => CONTROL.test(text))) return "has a line end or a control character in a value; take it out";
  if (!DECISIONS.includes(decision)) return `decides “${decision}”; say one of ${DECISIONS.join(", ")}`;
  if (minimum && !SHOWN.has(decision)) return `has a minimum accuracy, which ${decision} has not; leave it empty`;
  if (!/^(0?\.\d+|[01](\.\d*)?|)$/.test(minimum) || minimum > 1) return "has a minimum accuracy that is no number from 0 to 1; put it right, or leave it empty";
  if (!categories.includes(category)) return categories[0] ? `needs a category; say one of ${categories.join(", ")}` : `has a category, which ${decision} has not; leave it empty`;
  if (decision !== "include" && !reason) return "has no reason; say why";
  if (!by) return "does not say who reviewed the label; name who did";
  const date = new Date(on);
  if (Number.isNaN(date.getTime()) || date.toISOString().slice(0, 10) !== on) return "has no date as 2026-01-31; say on which day it was";
  return null;
}
