
// How it looks. What a catalog says becomes text nodes and attributes that load and run nothing;
// addresses of images become `src` once the reviewer has asked for images.

const SHOWN_AT_ONCE = 150; // rows of the list; more on request
const LEVELS = [80, 85, 90, 95];
const KEYS = { i: "include", e: "exclude", w: "withhold", f: "flag", l: "leave" };
const WORDS = { include: "Include", exclude: "Exclude", withhold: "Withhold", flag: "Flag", leave: "Leave" };
const DONE = { include: "included", exclude: "excluded", withhold: "withheld", flag: "flagged", leave: "left" };
const BLOCKED = {
  denied_pattern: "a denied pattern keeps the name out",
  provider_withheld: "all tags of this machine are withheld",
  superseded_spelling: "another spelling replaces this one",
};

const $ = (id) => document.getElementById(id);
const count = new Intl.NumberFormat("en").format;
const signed = new Intl.NumberFormat("en", { signDisplay: "exceptZero" }).format;
const counted = (images) => `${count(images)} image${images === 1 ? "" : "s"}`;
const inWords = (category) => category.replaceAll("_", " ");
const machineName = (machine) => machine || "no machine named";

function make(tag, attributes = {}, ...children) {
  const element = tag in SVG ? document.createElementNS(SVG_SPACE, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter(Boolean));
  return element;
}
const SVG = { svg: 1, rect: 1, line: 1, text: 1, title: 1 };
const SVG_SPACE = "http://www.w3.org/2000/svg";

let list = []; // the labels that the filters leave, in order
let rows = SHOWN_AT_ONCE;
let current = null;
let pending = null; // a decision that waits for its reason
let wantsImages = false;

// The list.

const queue = data.labels.filter((label) => label.queue).sort((a, b) => a.queue - b.queue);
const isDecided = (label) => decisions.has(label.key) && decisions.get(label.key).decision !== "leave";
const SHOW = {
  queue: ["Awaiting review", (label) => label.queue],
  all: ["All labels", () => true],
  include: ["Included", (label) => SHOWN.has(label.decision)],
  exclude: ["Excluded", (label) => label.decision === "exclude"],
  withhold: ["Withheld", (label) => label.decision === "withhold"],
  flag: ["Flagged", (label) => label.decision === "flag"],
  decided: ["Decided here", isDecided],
  left: ["Left here", (label) => decisions.get(label.key)?.decision === "leave"],
};

function filter() {
  const shown = $("shown").value;
  const searched = keyOf($("search").value);
  const among = (shown === "queue" ? queue : data.labels).filter(
    (label) =>
      SHOW[shown][1](label) &&
      ($("category").value === "" || planned(label).category === $("category").value) &&
      ($("machine").value === "" || label.said.some(({ machine }) => `of ${machine}` === $("machine").value)) &&
      (label.key.includes(searched) || label.spellings?.some((spelling) => keyOf(spelling).includes(searched))),
  );
  const starts = among.filter((label) => label.key.startsWith(searched));
  list = searched ? [...starts, ...among.filter((label) => !label.key.startsWith(searched))] : among;
  rows = SHOWN_AT_ONCE;
  renderList();
}

function renderList() {
  const place = list.indexOf(current);
  if (place >= rows) rows = place + SHOWN_AT_ONCE;
  const done = list.filter((label) => decisions.has(label.key)).length;
  $("found").textContent = list.length
    ? `${count(list.length)} label${list.length === 1 ? "" : "s"}, ${count(done)} decided or left here`
    : $("search").value && $("shown").value !== "all"
      ? "None is among these; choose “All labels” to look further."
      : "None.";
  $("list").replaceChildren(...list.slice(0, rows).map(row));
  $("further").hidden = list.length <= rows;
  $("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
}

function row(label) {
  const decision = decisions.get(label.key);
  const images = label.said.reduce((total, said) => total + said.images, 0);
  return make("li", {}, make(
    "a", { href: addressOf(label), "aria-current": label === current ? "true" : null },
    make("span", { class: "label" }, label.label),
    make("span", { class: "quiet number" }, count(images), make("span", { class: "unseen" }, " images")),
    decision && make("span", { class: `mark ${decision.decision}` }, DONE[decision.decision],
      isDecided(label) && ` ${signed(sum(changedImages(label, planned(label))))}`),
  ));
}

const addressOf = (label) => `#/${encodeURIComponent(label.key)}`;

function step(by) {
  const place = list.indexOf(current);
  const next = list[place < 0 ? 0 : place + by];
  if (next) open(next);
  else say(by > 0 ? "That was the last label of the list." : "That was the first label of the list.");
}

function open(label, { focus = true } = {}) {
  current = label;
  pending = null;
  if (location.hash !== addressOf(label)) location.hash = addressOf(label);
  document.title = `${label.label} – Label review`;
  renderList();
  renderLabel();
  if (focus) $("label").focus({ preventScroll: true });
  $("main").scrollTop = 0;
}

function openAddress() {
  let key = null;
  try {
    key = decodeURIComponent(location.hash.slice(2));
  } catch {
    // An address that somebody has typed, and that is none.
  }
  const label = byKey.get(key);
  if (label && label !== current) open(label);
}

// A label.

function renderLabel() {
  const label = current;
  $("main").replaceChildren(
    make("h2", { id: "label", tabindex: -1 }, label.label),
    make("section", { id: "panel", "aria-labelledby": "panel-title" }),
    make("div", { id: "evidence" }),
  );
  renderPanel();
  renderEvidence();
}

function badge(label) {
  const plan = planned(label);
  const word = plan.unreviewed ? "awaits review" : DONE[plan.decision];
  return make("span", { class: `mark ${plan.unreviewed ? "open" : plan.decision}` }, word, plan.category && ` (${inWords(plan.category)})`);
}

function inForce(label) {
  const words = !label.decision ? "Nobody has reviewed it"
    : `${label.unreviewed ? "Awaits more reviewers" : "In force"}: ${DONE[label.decision]}`;
  const minimum = label.minimum && ` from ${Number(label.minimum).toFixed(2)}`;
  const reason = label.category && `, ${inWords(label.category)}: ${label.reason}`;
  const names = label.reviewed_by?.split(";").map(trim).join(", ");
  return make("div", { class: "in-force" },
    make("p", {}, words, minimum, reason, "."),
    names && make("p", { class: "quiet" }, `Signed by ${names}`, label.reviewed_on && ` on ${label.reviewed_on}`, "."),
    label.note && make("p", { class: "quiet" }, `Note: ${label.note}`));
}

function relatives(label) {
  const related = (label.parents ?? []).map((name) => ["Parent", byKey.get(keyOf(name)) ?? { label: name }]);
  if (label.aliasOf !== undefined) related.push(["Alias of", byKey.get(label.aliasOf)]);
  for (const alias of aliases.get(label.key) ?? []) related.push(["Alias", alias]);
  for (const other of sameWord(label)) related.push(["Same word", other]);
  return related.filter(([, other]) => other && other !== label);
}

// What a reviewer has to know before the decision.
function warnings(label) {
  const found = relatives(label)
    .filter(([, other]) => other.key !== undefined && planned(other).decision === "withhold")
    .map(([kind, other]) => `${kind} “${other.label}” is withheld (${inWords(planned(other).category ?? "")}: ${planned(other).reason}).`);
  const plan = planned(label);
  const of = byKey.get(label.aliasOf);
  if (label.is_denied) found.push("A denied pattern keeps this name out, whatever is decided here.");
  if (label.replaced_by) found.push(`Corrected to “${label.replaced_by}”, so only that can be included.`);
  if (plan.goesWith) found.push(`It goes with “${plan.goesWith.label}”, of which it is an alias.`);
  if (of && SHOWN.has(plan.decision) && !SHOWN.has(planned(of).decision)) {
    found.push(`It is an alias of “${of.label}”, which is not included; include both or neither.`);
  }
  return found;
}

const canBeShown = (label) => !label.is_denied && !label.replaced_by;

function renderPanel() {
  const label = current;
  const decision = decisions.get(label.key);
  const warned = warnings(label);
  const plan = planned(label);
  const others = sameWord(label);
  const minimum = decision ? decision.minimum_accuracy : (label.minimum ?? "");
  const choice = (name, key) => make("button",
    { type: "button", class: `choice ${name}`, "data-decision": name, "aria-keyshortcuts": key, "aria-pressed": String(decision?.decision === name) },
    make("kbd", {}, key), make("span", {}, WORDS[name]), make("span", { class: "quiet number", "data-effect": name }));
  $("panel").replaceChildren(...[
    make("h3", { id: "panel-title" }, "Decision"),
    inForce(label),
    warned.length && make("ul", { class: "warnings", "aria-label": "Warnings" }, ...warned.map((words) => make("li", {}, words))),
    make("form", { id: "form", autocomplete: "off" },
      make("label", {}, "Minimum accuracy ", make("input", {
        id: "minimum", type: "number", min: 0, max: 1, step: 0.01, value: minimum,
        placeholder: Number(label.said[0]?.minimum ?? 0.9).toFixed(2), "aria-describedby": "minimum-words" })),
      make("p", { id: "minimum-words", class: "quiet" }, "Empty: the machine’s own."),
      make("div", { class: "choices" }, ...Object.entries(KEYS).map(([key, name]) => choice(name, key))),
      make("div", { id: "details", hidden: true },
        make("label", { id: "of-category" }, "Category ", make("select", { id: "of" })),
        make("label", {}, "Reason ", make("input", { id: "reason", pattern: ".*\\S.*", list: "reasons", title: "Why, in a few words" })),
        make("datalist", { id: "reasons" }),
        make("button", { id: "submit", class: "primary" })),
      others.length && make("fieldset", {}, make("legend", {}, "Also decide:"),
        ...others.map((other) => make("label", { class: "also" },
          make("input", { type: "checkbox", value: other.key }), " ", other.label, " ", badge(other))))),
    make("p", { id: "effect" }, decision && decision.decision !== "leave"
      ? `Decided here: ${DONE[decision.decision]}${decision.reason ? ` (${decision.reason})` : ""}. ${effectWords(label, plan)}`
      : decision ? "Left for now." : effectWords(label, plan)),
  ].filter(Boolean));
  renderEffects();
}

function effectWords(label, plan) {
  const images = sum(changedImages(label, plan));
  const shown = label.said.reduce((total, said) => total + imagesShown(said, plan), 0);
  if (!images) return `It shows on ${counted(shown)}.`;
  return `It would show on ${count(Math.abs(images))} ${images > 0 ? "more" : "fewer"} image${Math.abs(images) === 1 ? "" : "s"}.`;
}

// Beside each choice, what it would change with the minimum that stands in the field.
function renderEffects() {
  for (const place of $("panel").querySelectorAll("[data-effect]")) {
    const chosen = { decision: place.dataset.effect, minimum_accuracy: $("minimum").value, category: current.category ?? "", reviewed_by: "" };
    const plan = chosen.decision === "leave" ? current : { ...chosen, minimum: chosen.minimum_accuracy, unreviewed: isUnreviewed(current, chosen) };
    const images = sum(changedImages(current, plan));
    place.textContent = images ? `${signed(images)}` : "±0";
  }
}

function choose(name) {
  if (!current) return;
  if (SHOWN.has(name) && !canBeShown(current)) {
    say(`“${current.label}” cannot be shown: ${warnings(current).find((words) => /denied|Corrected/.test(words))}`);
  } else if (name === "leave" || name === "include") {
    decide(name, {});
  } else {
    ask(name);
  }
}

function ask(name) {
  pending = name;
  const categories = data.categories[name] ?? [];
  const before = planned(current);
  const known = before.decision === name;
  $("of-category").hidden = !categories.length;
  $("of").required = categories.length > 0;
  $("of").replaceChildren(make("option", { value: "" }, "choose"),
    ...categories.map((category) => make("option", { value: category, selected: known && before.category === category }, inWords(category))));
  $("reason").required = true; // while it is hidden, it would hold up an inclusion
  $("reason").value = known ? (before.reason ?? "") : "";
  $("submit").textContent = WORDS[name];
  $("details").hidden = false;
  suggest();
  $(categories.length ? "of" : "reason").focus();
}

// Reasons that were given for the same before.
function suggest() {
  const category = $("of").value;
  const given = [...decided(), ...data.labels]
    .filter((one) => one.decision === pending && one.reason && (one.category ?? "") === category)
    .map(({ reason }) => reason);
  $("reasons").replaceChildren(...[...new Set(given)].slice(0, 20).map((reason) => make("option", { value: reason })));
}

function decide(name, { category = "", reason = "" }) {
  const minimum = $("minimum");
  if (SHOWN.has(name) && !minimum.reportValidity()) return;
  const boxes = [...$("panel").querySelectorAll("input[type=checkbox]:checked")];
  const chosen = [current, ...boxes.map(({ value }) => byKey.get(value))];
  const decision = {
    decision: name, minimum_accuracy: SHOWN.has(name) ? minimum.value : "", category, reason, reviewed_by: "", reviewed_on: today(),
  };
  const taken = chosen.filter((label) => !SHOWN.has(name) || canBeShown(label));
  change(taken.map((label) => [label.key, { label: label.label, ...decision }]));
  const names = taken.map(({ label }) => `“${label}”`).join(", ");
  say(`${names} ${DONE[name]}. ${name === "leave" ? "" : effectWords(current, planned(current))}`);
  renderTotals();
  const after = list.slice(list.indexOf(current) + 1).find((label) => !decisions.has(label.key));
  if (after) {
    open(after);
  } else {
    open(current);
    say(`${names} ${DONE[name]}. No label after it awaits a decision in this list.`);
  }
}

// The evidence.

function renderEvidence() {
  const label = current;
  const spellings = label.spellings && make("p", { class: "quiet" }, `Also written ${label.spellings.join(", ")}.`);
  $("evidence").replaceChildren(...[spellings, gallery(label), machines(label), disagreements(label), related(label)].filter(Boolean));
  $("images")?.addEventListener("click", () => {
    wantsImages = true;
    renderEvidence();
    $("gallery").focus();
  });
}

function section(title, ...children) {
  return make("section", {}, make("h3", {}, title), ...children);
}

function gallery(label) {
  const found = new Map(); // by image, in the order of ranks
  for (let rank = 0; rank < Math.max(0, ...label.said.map((said) => said.images_like?.length ?? 0)); rank++) {
    for (const { machine, images_like: images } of label.said) {
      if (!images?.[rank]) continue;
      const [image, accuracy] = images[rank];
      const sayings = found.get(image) ?? found.set(image, []).get(image);
      sayings.push(`${machineName(machine)} ${accuracy === null ? "" : accuracy.toFixed(2)}`);
    }
  }
  const ask = !wantsImages && found.size > 0 && make("p", { class: "consent" },
    make("button", { id: "images", type: "button" }, "Load images"),
    make("span", { class: "quiet" }, " They lie on other servers, which then see that somebody looks at them. Asked once for the whole page."));
  const shown = found.size
    ? make("ul", { class: "gallery" }, ...[...found].map(([image, sayings]) => card(image, sayings.join(", "))))
    : make("p", { class: "quiet" }, "No image is known to show it.");
  return make("section", {}, make("h3", { id: "gallery", tabindex: -1 }, "Images"), ask, shown);
}

function card(place, words) {
  const [title, address, page, creator, license] = data.images[place] ?? [];
  const name = title || "untitled";
  const image = wantsImages && address && make("img", { src: address, alt: name, loading: "lazy" });
  return make("li", {},
    wantsImages && make("div", { class: "frame" }, image),
    make("p", {}, page ? make("a", { href: page, target: "_blank", rel: "noopener noreferrer" }, name) : name),
    make("p", { class: "quiet" }, [creator, license].filter(Boolean).join(", ")),
    make("p", { class: "quiet" }, words));
}

function machines(label) {
  if (!label.said.length) return section("Machines", make("p", { class: "quiet" }, "No machine says it; the label policy alone has it."));
  return section("Machines", ...label.said.map((said) => {
    const minimum = hundredths(label.minimum || said.minimum);
    const spelling = said.label === label.label ? "" : ` “${said.label}”`;
    return make("div", { class: "machine" },
      make("h4", {}, machineName(said.machine), spelling),
      make("p", { class: "quiet" }, `${counted(said.images)}, shown on ${count(imagesShown(said, label))}; minimum ${(minimum / 100).toFixed(2)}`,
        said.blocked_by && `; ${BLOCKED[said.blocked_by] ?? said.blocked_by}`),
      histogram(said, minimum),
      make("table", {}, make("caption", {}, "Images kept from an accuracy on"),
        make("thead", {}, make("tr", {}, ...LEVELS.map((level) => make("th", { scope: "col" }, (level / 100).toFixed(2))))),
        make("tbody", {}, make("tr", {}, ...LEVELS.map((level) => make("td", {}, count(keptAt(said, level))))))),
      ...(said.agreement ?? []).map(agreement));
  }));
}

function histogram(said, minimum) {
  const bins = Object.entries(said.bins).map(([bin, images]) => [Number(bin), images]).filter(([bin]) => bin <= 100);
  if (!bins.length) return make("p", { class: "quiet" }, "Its tags have no accuracy, and are kept at each minimum.");
  const [width, height, foot] = [420, 96, 16];
  const first = Math.min(50, minimum, ...bins.map(([bin]) => bin));
  const top = Math.max(...bins.map(([, images]) => images));
  const x = (bin) => ((bin - first) / (101 - first)) * width;
  const tall = (images) => (images / top) * (height - foot - 12);
  const words = `Histogram: ${counted(said.images)} by accuracy, ${count(keptAt(said, minimum))} of them at the minimum of ${(minimum / 100).toFixed(2)} or above; at most ${count(top)} in a bin of 0.01.`;
  return make("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": words },
    ...bins.map(([bin, images]) => make("rect",
      { x: x(bin), y: height - foot - tall(images), width: width / (101 - first) - 0.8, height: tall(images), class: bin < minimum ? "below" : null },
      make("title", {}, `${(bin / 100).toFixed(2)}: ${count(images)}`))),
    make("line", { x1: 0, x2: width, y1: height - foot, y2: height - foot }),
    make("line", { class: "minimum", x1: x(minimum), x2: x(minimum), y1: 0, y2: height - foot }),
    make("text", { class: "minimum", x: x(minimum) - 3, y: 9 }, `minimum ${(minimum / 100).toFixed(2)}`),
    ...[60, 70, 80, 90, 100].map((bin) => make("text", { x: Math.min(x(bin), width - 9), y: height - 4 }, (bin / 100).toFixed(1))));
}

const percent = (share) => `${Math.round(share * 100)} %`;

function agreement({ machine, images, confirmed, between: [low, high] }) {
  const interval = low !== null && high !== null && ` (${percent(low)} to ${percent(high)})`;
  return make("p", {}, `${machineName(machine)} confirms ${count(confirmed)} of ${counted(images)}`,
    images > 0 && `: ${percent(confirmed / images)}`, interval);
}

function disagreements(label) {
  const cards = label.said.flatMap(({ machine, agreement }) => (agreement ?? []).flatMap((with_) =>
    (with_.unconfirmed ?? []).map((image) => card(image, `${machineName(machine)} says it, ${machineName(with_.machine)} does not`))));
  return cards.length ? section("Images on which machines disagree", make("ul", { class: "gallery" }, ...cards)) : null;
}

function related(label) {
  const found = relatives(label);
  return found.length ? section("Related labels", make("ul", { class: "related" }, ...found.map(([kind, other]) => make("li", {},
    make("span", { class: "quiet" }, `${kind} `),
    other.key === undefined ? other.label : make("a", { href: addressOf(other) }, other.label), " ",
    other.key !== undefined && badge(other))))) : null;
}

// What holds for the page.

const say = (words) => {
  $("notice").textContent = words;
};

function renderTotals() {
  const { decided: labels, more, fewer, machines: each } = totals();
  const absent = decided().filter(({ label }) => !byKey.has(keyOf(label))).length;
  $("totals").textContent = `${count(labels)} label${labels === 1 ? "" : "s"} decided; would show on ${count(more)} more images, ${count(fewer)} fewer.`;
  $("machines").textContent = [
    ...[...each].map(([machine, of]) => `${machineName(machine)}: ${count(of.more)} more, ${count(of.fewer)} fewer`),
    ...(absent ? [`${count(absent)} of the labels are not on this page`] : []),
  ].join(" · ");
  $("unkept").hidden = isKept;
  $("undo").disabled = !undone.length;
  $("clear").disabled = !decisions.size;
}

function render() {
  renderTotals();
  filter();
  if (current) renderLabel();
}

function undoLast() {
  const key = undo();
  if (key === null) return say("There is nothing to undo.");
  const label = byKey.get(key);
  render();
  if (label) open(label);
  say("Undone.");
}

function exportDecisions() {
  if (!decided().length) return say("There is nothing to export: no label is decided.");
  if (!reviewer && decided().some(({ reviewed_by: by }) => !by)) {
    say("Who reviewed the labels? Type your name, then export.");
    return $("reviewer").focus();
  }
  const link = make("a", { download: "decisions.csv" });
  link.href = URL.createObjectURL(new Blob([decisionsAsCsv()], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  say(`${count(decided().length)} decisions exported. They stay here until you clear them.`);
}

async function importDecisions(file) {
  let found;
  try {
    found = readDecisions(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
  } catch (error) {
    return say(error instanceof TypeError ? "The file is not UTF-8 text; save it as CSV in UTF-8." : error.message);
  }
  const replaced = [...found].filter(([key, decision]) => decisions.has(key) && COLUMNS.some((column) => decisions.get(key)[column] !== decision[column]));
  change([...found]);
  render();
  say(`${count(found.size)} decisions imported${replaced.length ? `, ${count(replaced.length)} in place of others; undo takes that back` : ""}.`);
}

function fillFilters() {
  const options = (pairs) => pairs.map(([value, words]) => make("option", { value }, words));
  const machines = [...new Set(data.labels.flatMap(({ said }) => said.map(({ machine }) => machine)))].sort(byText);
  const among = (name) => data.labels.filter(SHOW[name][1]).length;
  $("shown").replaceChildren(...options(Object.entries(SHOW).map(([name, [words]]) =>
    [name, ["decided", "left"].includes(name) ? words : `${words} (${count(among(name))})`])));
  $("category").replaceChildren(...options([["", "any"], ...Object.values(data.categories).flat().map((category) => [category, inWords(category)])]));
  $("machine").replaceChildren(...options([["", "any"], ...machines.map((machine) => [`of ${machine}`, machineName(machine)])]));
  $("shown").value = queue.length ? "queue" : "all";
}

function listen() {
  for (const id of ["search", "shown", "category", "machine"]) $(id).addEventListener("input", filter);
  $("further").addEventListener("click", () => {
    const first = rows;
    rows += SHOWN_AT_ONCE;
    renderList();
    $("list").children[first]?.firstChild.focus();
  });
  $("reviewer").addEventListener("change", () => {
    reviewer = trim($("reviewer").value.replaceAll(";", " "));
    $("reviewer").value = reviewer;
    keep();
  });
  $("import").addEventListener("change", async ({ target }) => {
    if (target.files.length) await importDecisions(target.files[0]);
    target.value = "";
  });
  $("export").addEventListener("click", exportDecisions);
  $("undo").addEventListener("click", undoLast);
  $("clear").addEventListener("click", () => {
    if (!confirm("Clear all decisions that this browser keeps for the page?")) return;
    change([...decisions.keys()].map((key) => [key, null]));
    render();
    say("All decisions are cleared.");
  });
  $("help").addEventListener("click", () => $("keys").showModal());
  $("close").addEventListener("click", () => $("keys").close());
  $("main").addEventListener("click", ({ target }) => {
    const name = target.closest("[data-decision]")?.dataset.decision;
    if (name) choose(name);
  });
  $("main").addEventListener("input", ({ target }) => {
    if (target.id === "minimum") renderEffects();
    if (target.id === "of") suggest();
  });
  $("main").addEventListener("submit", (event) => {
    event.preventDefault();
    if (pending) decide(pending, { category: $("of").value, reason: trim($("reason").value) });
    else choose("include");
  });
  document.addEventListener("keydown", pressed);
  addEventListener("hashchange", openAddress);
  // Another window on the same page.
  addEventListener("storage", ({ key }) => {
    if (key !== STORE) return;
    restore();
    render();
  });
}

function pressed(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  const isTyping = target.matches("input:not([type=checkbox]), select, textarea");
  if (key === "Escape" && current) {
    if (pending) renderPanel();
    pending = null;
    $("label").focus();
  } else if (key === "Enter" && target.id === "search" && list.length) {
    open(list[0]);
  } else if (!isTyping) {
    const acts = {
      u: undoLast, n: () => step(1), j: () => step(1), p: () => step(-1), k: () => step(-1),
      "/": () => $("search").focus(), "?": () => $("keys").showModal(),
    };
    const act = acts[key] ?? (KEYS[key] && (() => choose(KEYS[key])));
    if (!act) return;
    act();
  } else {
    return;
  }
  event.preventDefault();
}

restore();
$("reviewer").value = reviewer;
fillFilters();
listen();
render();
openAddress();
if (!current && list.length) open(list[0], { focus: false });
