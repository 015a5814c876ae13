// Builds elements and brings a page to a new state with as little change as can be: focus, animations and the live picture stay.

/**
 * Make an element.
 *
 * @param {string} name tag, with classes after dots: `button.key`.
 * @param {Object} of attributes; `onclick` and other handlers, `value` and `hidden` are set as properties.
 * @param {...(Node|string|null|undefined|false)} inside children; what is empty is left out.
 */
export function h(name, of = {}, ...inside) {
  const [tag, ...classes] = name.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [key, value] of Object.entries(of)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on") || key === "value") made[key] = value;
    else made.setAttribute(key, value === true ? "" : String(value));
  }
  made.append(...inside.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

const HANDLERS = ["onclick", "oninput", "onerror", "onkeydown"];

/** Make `old` like `wanted`, keeping elements that are of the same kind. */
export function bring(old, wanted) {
  for (const { name } of [...old.attributes]) if (!wanted.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of HANDLERS) old[name] = wanted[name];
  if (old.localName === "input" && old.value !== wanted.value) old.value = wanted.value;
  const olds = [...old.childNodes];
  const news = [...wanted.childNodes];
  news.forEach((child, place) => {
    const there = olds[place];
    if (!there) old.append(child);
    else if (!isAlike(there, child)) there.replaceWith(child);
    else if (child.nodeType === Node.ELEMENT_NODE) bring(there, child);
    else if (there.data !== child.data) there.data = child.data;
  });
  olds.slice(news.length).forEach((child) => child.remove());
}

function isAlike(one, other) {
  return (
    one.nodeType === other.nodeType &&
    one.nodeName === other.nodeName &&
    (one.nodeType !== Node.ELEMENT_NODE || one.dataset.key === other.dataset.key)
  );
}

/** Move the focus to the nearest element in a direction, as the eye sees them. */
export function moveFocus(key) {
  const all = [...document.querySelectorAll("button:not(:disabled), input, [tabindex='0']")];
  const now = document.activeElement;
  if (!all.includes(now)) {
    all[0]?.focus();
    return;
  }
  const from = middle(now);
  const isAcross = key === "ArrowLeft" || key === "ArrowRight";
  const sign = key === "ArrowRight" || key === "ArrowDown" ? 1 : -1;
  let best = null;
  let least = Infinity;
  for (const one of all) {
    if (one === now) continue;
    const to = middle(one);
    const along = sign * (isAcross ? to.x - from.x : to.y - from.y);
    // Straight on is nearer than aslant.
    const cost = along + 3 * Math.abs(isAcross ? to.y - from.y : to.x - from.x);
    if (along > 4 && cost < least) [best, least] = [one, cost];
  }
  best?.focus();
}

function middle(element) {
  const box = element.getBoundingClientRect();
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}
