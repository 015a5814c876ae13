// What is wrong with the page as it is drawn, as sentences: sizes, contrast, what is touched, and whatever does not fit.
() => {
  const found = [];
  const scale = Math.min(innerWidth / 800, innerHeight / 480);
  const SMALLEST = 28 * scale - 0.01;
  const name = (element) =>
    `${element.localName}${element.className ? `.${[...element.classList].join(".")}` : ""}[${element.dataset.key ?? ""}]`;
  const colours = (text) => {
    const parts = text.match(/[\d.]+/g).map(Number);
    return { rgb: parts.slice(0, 3), alpha: parts[3] ?? 1 };
  };
  // WCAG 2.2, relative luminance.
  const luminance = ([r, g, b]) => {
    const linear = [r, g, b].map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = colours(getComputedStyle(one).backgroundColor);
      if (colour.alpha === 1) return colour.rgb;
      if (colour.alpha > 0) found.push(`${name(one)}: a ground that is half seen through`);
    }
    return [255, 255, 255];
  };
  const contrast = (element) => {
    const [low, high] = [luminance(colours(getComputedStyle(element).color).rgb), luminance(ground(element))].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const isInside = (inner, outer) =>
    inner.left >= outer.left - 1.5 && inner.right <= outer.right + 1.5 && inner.top >= outer.top - 1.5 && inner.bottom <= outer.bottom + 1.5;
  const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page is too wide");
  if (document.documentElement.scrollHeight > innerHeight) found.push("the page is too high");
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest(".unseen, script")) continue;
    const style = getComputedStyle(element);
    if (parseFloat(style.fontSize) < SMALLEST) found.push(`${name(element)}: ${style.fontSize} is too small`);
    if (contrast(element) < 7) found.push(`${name(element)}: contrast ${contrast(element).toFixed(1)}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    // A name that is too long ends in an ellipsis.
    if (style.textOverflow === "ellipsis") continue;
    const box = element.closest("button, .field, .result, #bar, #page").getBoundingClientRect();
    for (const rect of range.getClientRects()) {
      texts.push({ rect, element });
      if (!isInside(rect, screen) || !isInside(rect, box)) found.push(`${name(element)}: text does not fit`);
    }
  }
  for (const one of document.querySelectorAll("#page *, #bar *")) {
    const box = one.getBoundingClientRect();
    if (!one.closest("picture") && !isInside(box, screen)) found.push(`${name(one)}: outside`);
  }
  const targets = [...document.querySelectorAll("button, input, .field[tabindex]")].filter((one) => one.getClientRects().length);
  for (const one of targets) {
    const box = one.getBoundingClientRect();
    const least = one.closest("#bar") ? 96 : 56;
    if (box.height < least * scale - 0.5) found.push(`${name(one)}: ${box.height.toFixed(0)} px high`);
    if (box.width < 56 * scale) found.push(`${name(one)}: ${box.width.toFixed(0)} px wide`);
    if (one.localName === "button" && !one.textContent.trim()) found.push(`${name(one)}: says nothing`);
  }
  const boxes = [...targets, ...document.querySelectorAll("h1, .problem, .picture, .action, .until, .next, figure, li")].map((one) => ({ one, box: one.getBoundingClientRect() }));
  boxes.forEach(({ one, box }, at) => {
    for (const { one: other, box: its } of boxes.slice(at + 1)) {
      if (one.contains(other) || other.contains(one)) continue;
      const across = Math.min(box.right, its.right) - Math.max(box.left, its.left);
      const along = Math.min(box.bottom, its.bottom) - Math.max(box.top, its.top);
      if (across > 2 && along > 2) found.push(`${name(one)} lies on ${name(other)}`);
    }
  });
  for (const one of document.querySelectorAll("button, .field, #page > div")) {
    if (one.scrollHeight > one.clientHeight + 1) found.push(`${name(one)}: cut off below`);
  }
  const heads = document.querySelectorAll("h1");
  if (heads.length + document.querySelectorAll(".problem").length !== 1) found.push("not one main line");
  for (const head of heads) if (parseFloat(getComputedStyle(head).fontSize) < 48 * scale - 0.01) found.push("the main line is too small");
  for (const image of document.querySelectorAll("img")) {
    if (!image.src.includes(".mjpg") && !image.src.includes("/photo") && image.complete && !image.naturalWidth) found.push(`${image.src}: no picture`);
    if (!image.hasAttribute("alt")) found.push(`${image.src}: nothing for who cannot see it`);
  }
  return [...new Set(found)];
}
