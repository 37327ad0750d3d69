
// How it looks. What a catalog says becomes text nodes and attributes that load and run nothing;
// an image's address becomes its `src` once the reviewer has asked for images.

const ROWS = 100; // of the list are drawn; more on request
const LEVELS = [80, 85, 90, 95];
const DONE = { include: "included", exclude: "excluded", withhold: "withheld", flag: "flagged", leave: "left" };
const BLOCKED = {
  denied_pattern: "a denied pattern keeps the name out",
  provider_withheld: "all tags of this machine are withheld",
  superseded_spelling: "another spelling replaces this one",
};
const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "rect", "line", "polyline", "text", "title"]);

const $ = (id) => document.getElementById(id);
const choices = [...document.querySelectorAll("[data-decision]")];
const number = new Intl.NumberFormat("en").format;
const signed = new Intl.NumberFormat("en", { signDisplay: "exceptZero" }).format;
const counted = (count, what) => `${number(count)} ${what}${count === 1 ? "" : "s"}`;
const accuracy = (value) => Number(value).toFixed(2);
const percent = (share) => `${Math.round(share * 100)} %`;
const spaced = (category) => category.replaceAll("_", " ");
const nameOf = (machine) => machine || "no machine named";

let list = []; // the labels that the filters leave, in order
let rows = ROWS;
let current = null;
let pending = null; // a decision that waits for its reason
let wantsImages = false;

function make(tag, attributes, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter(Boolean));
  return element;
}

const fill = (element, ...children) => element.replaceChildren(...children.filter(Boolean));
const addUp = (numbers) => numbers.reduce((total, each) => total + each, 0);
const quiet = (...words) => make("p", { class: "quiet" }, ...words);
const options = (pairs) => pairs.map(([value, words]) => make("option", { value }, words));
const categoryOptions = (categories) => categories.map((category) => [category, spaced(category)]);

function say(words) {
  $("notice").textContent = words;
}

// The list.

const queue = data.labels.filter((label) => label.queue).sort((a, b) => a.queue - b.queue);
const bestCase = (label) => Math.min(...label.said.map(({ verdicts }) => verdicts?.between[1] ?? Infinity));
const judged = data.labels.filter((label) => bestCase(label) < Infinity).sort((a, b) => bestCase(a) - bestCase(b));
const chosenFor = (label) => decisions.get(label.key)?.decision;
const SHOW = {
  queue: ["Awaiting review", (label) => label.queue],
  all: ["All labels", () => true],
  include: ["Included", (label) => SHOWN.has(label.decision)],
  exclude: ["Excluded", (label) => label.decision === "exclude"],
  withhold: ["Withheld", (label) => label.decision === "withhold"],
  flag: ["Flagged", (label) => label.decision === "flag"],
  judged: ["Judged, wrong most surely first", (label) => bestCase(label) < Infinity],
  decided: ["Decided here", isDecided],
  left: ["Left here", (label) => chosenFor(label) === "leave"],
};

function filter() {
  const [shown, category, machine] = ["shown", "category", "machine"].map((id) => $(id).value);
  const searched = keyOf($("search").value);
  const found = ({ queue, judged }[shown] ?? data.labels).filter((label) =>
    SHOW[shown][1](label)
    && (!category || planned(label).category === category)
    && (!machine || label.said.some((said) => `of ${said.machine}` === machine))
    && (label.key.includes(searched) || label.spellings?.some((other) => keyOf(other).includes(searched))));
  const begins = (label) => label.key.startsWith(searched);
  list = [...found.filter(begins), ...found.filter((label) => !begins(label))];
  rows = ROWS;
  renderList();
  $("list").scrollTop = 0;
}

function renderList() {
  const place = list.indexOf(current);
  if (place >= rows) rows = place + ROWS;
  const done = list.filter(isDecided).length;
  $("found").textContent = list.length
    ? `${counted(list.length, "label")}, with the images each would show on; ${number(done)} decided here`
    : "None. Show all labels, of any category and machine, to look further.";
  fill($("list"), ...list.slice(0, rows).map(row));
  $("further").hidden = list.length <= rows;
}

function row(label) {
  const decision = chosenFor(label);
  const images = shownImages(label, { decision: "include", minimum: label.minimum });
  const change = decision !== "leave" && ` ${signed(sum(changedImages(label, planned(label))))}`;
  return make("li", {}, make("a", { href: addressOf(label), "aria-current": label === current || null },
    make("span", { class: "label" }, label.label),
    make("span", { class: "quiet number" }, number(images)),
    $("shown").value === "judged" && label.said.some(({ verdicts }) => verdicts?.made_up)
      && make("span", { class: "quiet" }, "made up"),
    decision && make("span", { class: `mark ${decision}` }, DONE[decision], change)));
}

const addressOf = (label) => `#/${encodeURIComponent(label.key)}`;

function step(by) {
  const next = list[list.includes(current) ? list.indexOf(current) + by : 0];
  if (next) open(next);
  else say(`That was the ${by > 0 ? "last" : "first"} label of the list.`);
}

function open(label, { focus = true } = {}) {
  current = label;
  if (location.hash !== addressOf(label)) location.hash = addressOf(label);
  document.title = `${label.label} – Label review`;
  renderList();
  renderLabel();
  $("list").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
  if (!focus) return;
  $("label").focus({ preventScroll: true });
  $("label").scrollIntoView();
}

function openAddress() {
  if (current && location.hash === addressOf(current)) return;
  const label = data.labels.find((one) => addressOf(one) === location.hash);
  if (label) open(label);
}

// What is decided on a label.

function renderLabel() {
  $("label").textContent = current.label;
  renderPanel();
  renderEvidence();
}

function badge(label) {
  const { decision, unreviewed, minimum, category } = planned(label);
  if (unreviewed || !decision) return make("span", { class: "mark" }, "awaits review");
  return make("span", { class: `mark ${decision}` }, DONE[decision],
    minimum && ` from ${minimum}`, category && ` (${spaced(category)})`);
}

function inForce({ decision, unreviewed, minimum, category, reason, reviewed_by: by, reviewed_on: on, note }) {
  if (!decision) return [make("p", {}, "Nobody has reviewed it.")];
  const names = (by ?? "").split(";").map(trim).filter(Boolean).join(", ");
  return [
    make("p", {}, unreviewed ? "Awaits more reviewers: " : "In force: ", DONE[decision],
      minimum && ` from ${accuracy(minimum)}`, category && `, ${spaced(category)}: ${reason}`, "."),
    names && quiet(`Signed by ${names}`, on && ` on ${on}`, "."),
    note && quiet(`Note: ${note}`),
  ];
}

function relatives(label) {
  const related = (label.parents ?? []).map((name) => ["Parent", byKey.get(keyOf(name)) ?? { label: name }]);
  if (label.aliasOf) related.push(["Alias of", byKey.get(label.aliasOf)]);
  for (const alias of aliases.get(label.key) ?? []) related.push(["Alias", alias]);
  for (const other of sameWord(label)) related.push(["Same word", other]);
  return related.filter(([, other]) => other && other !== label);
}

const isSensitive = ({ decision }) => decision === "withhold" || decision === "flag";

const barrier = ({ unwritable, is_denied: isDenied, replaced_by: replacedBy }) =>
  unwritable || (isDenied ? "A denied pattern keeps this name out, whatever is decided here."
    : replacedBy && `Corrected to “${replacedBy}”, so only that can be included.`);
const bars = (label, name) => (SHOWN.has(name) || (label.unwritable && name !== "leave")) && barrier(label);

function blocked({ said }) {
  const causes = new Set(said.map(({ blocked_by: by }) => by && (BLOCKED[by] ?? by)));
  return causes.size > 0 && !causes.has(undefined) && `No decision shows it: ${[...causes].join("; ")}.`;
}

// What a reviewer has to know before the decision.
function warnings(label) {
  const found = [barrier(label) || blocked(label)];
  if (isSensitive(label)) {
    const { decision, category, reason } = label;
    found.push(`It is ${DONE[decision]} now (${spaced(category ?? "")}: ${reason}): to include it takes that away.`);
  }
  for (const [kind, other] of relatives(label)) {
    const { decision, category, reason } = planned(other);
    if (decision === "withhold") found.push(`${kind} “${other.label}” is withheld (${spaced(category)}: ${reason}).`);
    if (kind === "Alias" && SHOWN.has(other.decision)) found.push(`“${other.label}” is its alias, and goes with it.`);
  }
  const plan = planned(label);
  const of = byKey.get(label.aliasOf);
  if (plan.goesWith) found.push(`It goes with “${of.label}”, of which it is an alias.`);
  if (of && SHOWN.has(plan.decision) && !SHOWN.has(planned(of).decision)) {
    found.push(`It is an alias of “${of.label}”, which is not included; include both or neither.`);
  }
  return found.filter(Boolean);
}

function renderPanel() {
  const decision = decisions.get(current.key);
  const others = sameWord(current).filter((other) => !other.unwritable);
  pending = null;
  fill($("in-force"), ...inForce(current));
  fill($("warnings"), ...warnings(current).map((words) => make("li", {}, words)));
  $("minimum").value = ownMinimum(current);
  $("minimum").disabled = false;
  $("minimum").placeholder = accuracy(current.said[0]?.minimum ?? 0.9);
  $("details").hidden = true;
  $("reason").value = "";
  $("of").required = $("reason").required = false; // hidden, they would hold up an inclusion
  $("also").hidden = !others.length;
  fill($("also").lastElementChild, ...others.map((other) =>
    make("label", {}, make("input", { type: "checkbox", value: other.key }), other.label, badge(other))));
  for (const choice of choices) choice.setAttribute("aria-pressed", decision?.decision === choice.dataset.decision);
  const why = decision?.reason && ` (${decision.reason})`;
  const done = decision ? `Decided here: ${DONE[decision.decision]}${why}. ` : "";
  $("effect").textContent = done + effectWords(current);
  renderEffects();
}

function effectWords(label) {
  const plan = planned(label);
  const images = sum(changedImages(label, plan));
  const shown = shownImages(label, plan);
  if (!images) return `It shows on ${shown ? counted(shown, "image") : "no image"}.`;
  return `It would show on ${number(Math.abs(images))} ${images > 0 ? "more" : "fewer"} images.`;
}

const plain = (minimum) => minimum && Math.abs(minimum).toLocaleString("en", { maximumFractionDigits: 9 });

function ownMinimum(label) {
  const decision = decisions.get(label.key);
  return SHOWN.has(decision?.decision) ? decision.minimum_accuracy : (label.minimum ?? "");
}

const ticked = () => [...$("also").querySelectorAll(":checked")].map((box) => byKey.get(box.value));

// A label that is decided along keeps its own minimum, unless another was typed.
function changesBy(name, categoryFor, reason) {
  const minimum = plain($("minimum").value);
  const isTyped = minimum !== plain(ownMinimum(current));
  return [current, ...ticked()].filter((label) => !bars(label, name)).map((label) => {
    const own = label === current || isTyped ? minimum : plain(ownMinimum(label));
    const decision = { label: label.label, decision: name, minimum_accuracy: SHOWN.has(name) ? own : "" };
    return [label.key, { ...decision, category: categoryFor(label), reason, reviewed_by: "", reviewed_on: today() }];
  });
}

// Beside each choice, what it would change with the minimum that stands in the field.
function renderEffects() {
  for (const choice of choices) {
    const name = choice.dataset.decision;
    const images = name === "leave" ? 0 : imagesMore(changesBy(name, ({ category }) => category ?? "", ""));
    choice.lastElementChild.textContent = images ? signed(images) : name === "leave" ? "" : "±0";
  }
}

function choose(name) {
  const bar = bars(current, name);
  $("minimum").disabled = !SHOWN.has(name); // what is wrong in it holds up no other decision
  if (bar) say(`“${current.label}” cannot be ${SHOWN.has(name) ? "shown" : "decided"}. ${bar}`);
  else if (name === "leave" || (name === "include" && ![current, ...ticked()].some(isSensitive))) decide(name, "", "");
  else ask(name);
}

function ask(name) {
  pending = name;
  const categories = data.categories[name] ?? [];
  const before = planned(current).decision === name ? planned(current) : {};
  const note = before.note?.replace(/^alias of [^;]+(; *)?/, "");
  $("of-category").hidden = !categories.length;
  $("of").required = categories.length > 0;
  fill($("of"), ...options([["", "choose"], ...categoryOptions(categories)]));
  $("of").value = before.category ?? "";
  $("reason").required = true;
  $("reason").value = before.reason ?? note ?? "";
  $("submit").textContent = `${name[0].toUpperCase()}${name.slice(1)}`;
  $("details").hidden = false;
  suggest();
  $(categories.length ? "of" : "reason").focus();
}

// Reasons that were given for the same before.
function suggest() {
  const given = [...decided(), ...data.labels].filter(({ decision, category, reason }) =>
    decision === pending && reason && (category ?? "") === $("of").value);
  const reasons = [...new Set(given.map(({ reason }) => reason))].slice(0, 20);
  fill($("reasons"), ...reasons.map((value) => make("option", { value })));
}

function decide(name, category, reason) {
  if (SHOWN.has(name) && !$("minimum").reportValidity()) return;
  const changes = changesBy(name, () => category, reason);
  const again = decisions.has(current.key) ? "Decided again: " : "";
  change(changes);
  const after = list.slice(list.indexOf(current) + 1).find((label) => !decisions.has(label.key));
  const names = changes.map(([, { label }]) => `“${label}”`).join(", ");
  const isAll = queue.includes(current) && queue.every(isDecided);
  say(`${again}${names} ${DONE[name]}. ${isAll ? "All of the queue is decided: export decisions.csv."
    : after ? effectWords(current) : "No label after it in this list awaits a decision."}`);
  renderTotals();
  open(after ?? current);
}

// What is known of a label.

function renderEvidence() {
  fill($("evidence"),
    current.spellings && quiet(`Also written ${current.spellings.join(", ")}.`),
    gallery(current), machines(current), disagreements(current), related(current));
}

const section = (title, ...children) => make("section", {}, make("h3", {}, title), ...children);

function gallery(label) {
  const sayings = new Map(); // by image, in the order of ranks
  const ranked = label.said.flatMap((said) => (said.images_like ?? []).map((like, rank) => [rank, said.machine, ...like]));
  for (const [, machine, image, value] of ranked.sort(([a], [b]) => a - b)) {
    const words = `${nameOf(machine)} ${value === null ? "" : accuracy(value)}`;
    sayings.set(image, [...(sayings.get(image) ?? []), words]);
  }
  const cards = [...sayings].map(([image, words]) => card(image, words.join(", ")));
  return make("section", {}, make("h3", { id: "gallery", tabindex: -1 }, "Images"),
    !wantsImages && cards.length > 0 && make("p", { class: "consent" },
      make("button", { id: "load", type: "button" }, "Load images"),
      make("span", { class: "quiet" }, "They lie on other servers, which then see that somebody looks at them. "
        + "Asked once, for all labels of this page.")),
    cards.length ? make("ul", { class: "gallery" }, ...cards) : quiet("No image is known to show it."));
}

function card(place, words) {
  const [title, address, page, creator, license] = data.images[place] ?? [];
  const name = title || "untitled";
  return make("li", {},
    wantsImages && make("div", { class: "frame" },
      address && make("img", { src: address, alt: name, loading: "lazy" })),
    make("p", {}, page ? make("a", { href: page, target: "_blank", rel: "noopener noreferrer" }, name) : name),
    quiet([creator, license].filter(Boolean).join(", ")), quiet(words));
}

function machines(label) {
  if (!label.said.length) return section("Machines", quiet("No machine says it; the label policy alone has it."));
  return section("Machines", ...label.said.map((said) => {
    const minimum = hundredths(label.minimum || said.minimum);
    return make("div", { class: "machine" },
      make("h4", {}, nameOf(said.machine), said.label !== label.label && ` “${said.label}”`),
      quiet(`${counted(said.images, "image")}, shown on ${number(imagesShown(said, label))}; minimum `,
        accuracy(minimum / 100), said.blocked_by && `; ${BLOCKED[said.blocked_by] ?? said.blocked_by}`),
      histogram(said, minimum),
      make("table", {}, make("caption", {}, "Images kept from an accuracy on"),
        make("thead", {}, make("tr", {},
          ...LEVELS.map((level) => make("th", { scope: "col" }, accuracy(level / 100))))),
        make("tbody", {}, make("tr", {}, ...LEVELS.map((level) => make("td", {}, number(keptAt(said, level))))))),
      said.verdicts && verdicts(said.verdicts),
      ...(said.agreement ?? []).map(agreement));
  }));
}

function histogram(said, minimum) {
  const bins = Object.entries(said.bins).map(([bin, images]) => [Number(bin), images]).filter(([bin]) => bin <= 100);
  if (!bins.length) return quiet("Its tags have no accuracy, and are kept at each minimum.");
  const [width, floor] = [420, 80];
  const first = Math.min(50, minimum, ...bins.map(([bin]) => bin));
  const top = Math.max(...bins.map(([, images]) => images));
  const x = (bin) => ((bin - first) / (101 - first)) * width;
  const tall = (images) => (images / top) * (floor - 14);
  const words = `Histogram of accuracy in bins of 0.01: ${number(keptAt(said, minimum))} of `
    + `${counted(said.images, "image")} at the minimum of ${accuracy(minimum / 100)} or above.`;
  return make("svg", { viewBox: `0 0 ${width} 96`, class: said.blocked_by ? "blocked" : null, role: "img", "aria-label": words },
    ...bins.map(([bin, images]) => make("rect", {
      x: x(bin), y: floor - tall(images), width: x(first + 1) - 0.8, height: tall(images),
      class: bin < minimum ? "below" : null,
    }, make("title", {}, `${accuracy(bin / 100)}: ${number(images)}`))),
    make("line", { x1: 0, x2: width, y1: floor, y2: floor }),
    said.fit && make("polyline", { points: expectedShares(said.fit).map((share, bin) =>
      [x(bin + 0.5), floor - Math.min(tall(share * said.images), floor)]).slice(first).join(" ") }),
    make("line", { class: "minimum", x1: x(minimum), x2: x(minimum), y1: 0, y2: floor }),
    make("text", { class: minimum - first < 25 ? "minimum left" : "minimum", x: x(minimum), y: 9 },
      ` minimum ${accuracy(minimum / 100)} `),
    ...[0, 20, 40, 60, 70, 80, 90, 100].filter((bin) => bin >= first).map((bin) =>
      make("text", { x: Math.max(8, Math.min(x(bin), width - 8)), y: floor + 12 }, (bin / 100).toFixed(1))));
}

const PARTS = 10_000; // of the accuracies from 0 to 1, a hundred of each bin

// Of the images in each bin below 1, as the fit expects them: each part of a bin by the density in its middle.
// What a log-normal has above 1 is left out.
function expectedShares([fit, one, other]) {
  const middles = Array.from({ length: PARTS }, (_, part) => (part + 0.5) / PARTS);
  const masses = fit === "beta" ? betaMasses(middles, one, other) : middles.map((value) =>
    Math.exp(-(((Math.log(value) - one) / other) ** 2) / 2) / (value * other * Math.sqrt(2 * Math.PI) * PARTS));
  return Array.from({ length: 100 }, (_, bin) => addUp(masses.slice(bin * PARTS / 100, (bin + 1) * PARTS / 100)));
}

// As logarithms, or those of a narrow Beta would all be 0. The power of 1 - x, which may have no bound at 1, is
// integrated exactly.
function betaMasses(middles, alpha, beta) {
  const half = 0.5 / PARTS;
  const logs = middles.map((value) => (alpha - 1) * Math.log(value) + beta * Math.log(1 - value + half)
    + Math.log1p(-(Math.max(0, (1 - value - half) / (1 - value + half)) ** beta)));
  const most = Math.max(...logs);
  const masses = logs.map((log) => Math.exp(log - most));
  const whole = addUp(masses);
  return masses.map((mass) => mass / whole);
}

function verdicts({ judged, right, made_up: madeUp, between: [low, high] }) {
  return make("p", {}, `People judged ${counted(judged, "tag")}: ${number(right)} right (${percent(low)} to `
    + `${percent(high)})${madeUp ? `; ${number(madeUp)} of the verdicts made up` : ""}.`);
}

function agreement({ machine, images, confirmed, between: [low, high] }) {
  return make("p", {}, `${nameOf(machine)} confirms ${number(confirmed)} of ${counted(images, "image")}`,
    images > 0 && `: ${percent(confirmed / images)}`,
    low !== null && high !== null && ` (${percent(low)} to ${percent(high)})`, ".");
}

function disagreements(label) {
  const cards = label.said.flatMap((said) => (said.agreement ?? []).flatMap((other) => other.unconfirmed.map((image) =>
    card(image, `${nameOf(said.machine)} says it, ${nameOf(other.machine)} does not confirm it`))));
  return cards.length > 0 && section("Images on which machines disagree", make("ul", { class: "gallery" }, ...cards));
}

function related(label) {
  const found = relatives(label).map(([kind, other]) => make("li", {}, make("span", { class: "quiet" }, `${kind} `),
    ...(other.key ? [make("a", { href: addressOf(other) }, other.label), " ", badge(other)] : [other.label])));
  return found.length > 0 && section("Related labels", make("ul", { class: "related" }, ...found));
}

// What holds for the page.

function renderTotals() {
  const { more, fewer, machines: each } = totals();
  const all = decided();
  const absent = all.filter(({ label }) => !byKey.has(keyOf(label))).length;
  $("totals").textContent =
    `${counted(all.length, "label")} decided; would show on ${number(more)} more images, ${number(fewer)} fewer.`;
  $("machines").textContent = [
    ...[...each].map(([machine, of]) => `${nameOf(machine)}: ${number(of.more)} more, ${number(of.fewer)} fewer`),
    absent && `${number(absent)} of the labels are not on this page`,
  ].filter(Boolean).join(" · ");
  $("unkept").hidden = isKept;
  $("undo").disabled = !undone.length;
  $("clear").disabled = !decisions.size;
}

function render() {
  renderTotals();
  filter();
  if (current && !pending) renderLabel();
}

// What is kept may have changed in another window; what is being typed here stays.
function refresh() {
  const before = reviewer;
  const minimum = ownMinimum(current);
  restore();
  if ($("reviewer").value === before) $("reviewer").value = reviewer;
  $("single").checked = singleKeys;
  renderTotals();
  filter();
  const isTyping = $("minimum") === document.activeElement || $("minimum").value !== minimum;
  if (pending || isTyping || ticked().length) renderEffects();
  else renderLabel();
}

function undoLast() {
  const key = undo();
  if (key === null) return say("Another window has decided otherwise since, so that stays.");
  if (key === undefined) return say("There is nothing to undo.");
  render();
  if (byKey.has(key)) open(byKey.get(key));
  say("Undone.");
}

function exportDecisions() {
  if (!decided().length) return say("There is nothing to export: no label is decided.");
  if (!reviewer && decided().some(({ reviewed_by: by }) => !by)) {
    say("Who reviewed the labels? Type your name, then export.");
    return $("reviewer").focus();
  }
  const href = URL.createObjectURL(new Blob([decisionsAsCsv()], { type: "text/csv" }));
  make("a", { download: "decisions.csv", href }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
  say(`${counted(decided().length, "decision")} exported. They stay here until you clear them.`);
}

async function importDecisions(file) {
  try {
    const found = readDecisions(new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()));
    const replaced = [...found].filter(([key, decision]) =>
      decisions.has(key) && COLUMNS.some((column) => decisions.get(key)[column] !== decision[column])).length;
    change([...found]);
    render();
    const others = replaced ? `, ${number(replaced)} in place of others; undo takes that back` : "";
    say(`${counted(found.size, "decision")} imported${others}.`);
  } catch (error) {
    say(error instanceof TypeError ? "The file is not UTF-8 text; save it as CSV in UTF-8." : error.message);
  }
}

function clearDecisions() {
  if (!confirm("Clear all decisions that this browser keeps for the page?")) return;
  change([...decisions.keys()].map((key) => [key, null]));
  render();
  say("All decisions are cleared.");
}

function sign() {
  keep([], { reviewer: trim($("reviewer").value.replaceAll(";", " ")) }); // names stand with `;` between
  $("reviewer").value = reviewer;
  renderTotals();
  renderEffects(); // no more, or the click that left the field would go to what is not there any longer
}

function fillFilters() {
  const names = [...new Set(data.labels.flatMap(({ said }) => said.map(({ machine }) => machine)))].sort(byText);
  const size = (name, test) => (["decided", "left"].includes(name) ? "" : ` (${number(data.labels.filter(test).length)})`);
  fill($("shown"), ...options(Object.entries(SHOW).map(([name, [words, test]]) => [name, words + size(name, test)])));
  fill($("category"), ...options([["", "any"], ...categoryOptions(Object.values(data.categories).flat())]));
  fill($("machine"), ...options([["", "any"], ...names.map((name) => [`of ${name}`, nameOf(name)])]));
  $("shown").value = queue.length ? "queue" : "all";
}

function drawFurther() {
  const first = rows;
  rows += ROWS;
  renderList();
  $("list").children[first].firstChild.focus();
}

const KEYS = {
  u: undoLast, n: () => step(1), j: () => step(1), p: () => step(-1), k: () => step(-1),
  "/": () => $("search").focus(), "?": () => $("keys").showModal(),
  ...Object.fromEntries(choices.map(({ dataset: { decision } }) => [decision[0], () => choose(decision)])),
};

function press(event) {
  const { key, target } = event;
  const isTyping = target.matches("input:not([type=checkbox]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (key === "Escape") {
    if (pending) renderPanel();
    $("label").focus();
  } else if (key === "Enter" && target.id === "search") {
    if (list.length) open(list[0]);
  } else if (!isTyping && singleKeys && Object.hasOwn(KEYS, key)) {
    KEYS[key]();
  } else {
    return;
  }
  event.preventDefault();
}

function listen() {
  for (const id of ["search", "shown", "category", "machine"]) $(id).addEventListener("input", filter);
  for (const choice of choices) choice.addEventListener("click", () => choose(choice.dataset.decision));
  const clicked = {
    further: drawFurther, export: exportDecisions, undo: undoLast, clear: clearDecisions, help: KEYS["?"],
    close: () => $("keys").close(),
  };
  for (const [id, act] of Object.entries(clicked)) $(id).addEventListener("click", act);
  $("reviewer").addEventListener("change", sign);
  $("import").addEventListener("change", async ({ target }) => {
    if (target.files.length) await importDecisions(target.files[0]);
    target.value = "";
  });
  $("single").addEventListener("change", ({ target }) => keep([], { singleKeys: target.checked }));
  for (const id of ["minimum", "also"]) $(id).addEventListener("input", renderEffects);
  $("of").addEventListener("input", suggest);
  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    if (pending) decide(pending, $("of").value, trim($("reason").value));
  });
  $("evidence").addEventListener("click", ({ target }) => {
    if (target.id !== "load") return;
    wantsImages = true;
    renderEvidence();
    $("gallery").focus();
  });
  document.addEventListener("keydown", press);
  addEventListener("hashchange", openAddress);
  addEventListener("storage", ({ key }) => { // another window on this page
    if (key === STORE) refresh();
  });
  addEventListener("pageshow", ({ persisted }) => persisted && refresh());
}

restore();
$("reviewer").value = reviewer;
$("single").checked = singleKeys;
fillFilters();
listen();
render();
openAddress();
if (!current) open(list[0] ?? data.labels[0], { focus: false });
