/** Makes and finds elements; texts always go in as text, never as HTML. */

/**
 * Makes an element.
 * @param {string} tag Such as `button`.
 * @param {Record<string, any>} [properties] `class`, `aria-*`, `data-*` and `for` become attributes, `on*`
 *   listeners, the rest properties.
 * @param {...(Node | string | null | undefined | false)} children Strings become text.
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class" || name === "for" || name.includes("-")) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/**
 * Finds an element of the page.
 * @param {string} id Its id.
 */
export function byId(id) {
  const node = document.getElementById(id);
  if (!node) throw new Error(`index.html has no #${id}`);
  return node;
}
