// Markdown as DOM nodes: marked reads it, and every token becomes an element of ours; HTML in it stays text.
import { Lexer } from "marked";
import { h } from "preact";

const SAFE = /^(https?:|mailto:)/i;
const LONGEST = 200_000;

/** @param {{text: string}} props */
export function Markdown({ text }) {
  if (text.length > LONGEST) return h("pre", null, text);
  let tokens;
  try {
    tokens = new Lexer({ gfm: true }).lex(text);
  } catch {
    return h("pre", null, text); // what marked cannot read is shown as it is
  }
  return h("div", { class: "markdown" }, blocks(tokens));
}

const blocks = (tokens) => tokens.map(block);
const inlines = (tokens, text) => (tokens ? tokens.map(inline) : plain(text ?? ""));

function block(token) {
  switch (token.type) {
    case "heading":
      return h(`h${Math.min(6, token.depth + 2)}`, null, inlines(token.tokens));
    case "paragraph":
      return h("p", null, inlines(token.tokens));
    case "code":
      return h("pre", { "data-language": token.lang || null, tabindex: 0 }, h("code", null, token.text));
    case "blockquote":
      return h("blockquote", null, blocks(token.tokens));
    case "list":
      return h(token.ordered ? "ol" : "ul", token.ordered ? { start: token.start || 1 } : null, token.items.map((item) => h("li", null, blocks(item.tokens))));
    case "hr":
      return h("hr");
    case "table":
      return h("div", { class: "scroll" }, h("table", null, [
        h("thead", null, h("tr", null, token.header.map((cell) => h("th", null, inlines(cell.tokens))))),
        h("tbody", null, token.rows.map((row) => h("tr", null, row.map((cell) => h("td", null, inlines(cell.tokens)))))),
      ]));
    case "text":
      return h("span", null, inlines(token.tokens, token.text));
    case "space":
    case "def":
      return null;
    default:
      return h("p", null, token.raw);
  }
}

function inline(token) {
  switch (token.type) {
    case "strong":
      return h("strong", null, inlines(token.tokens));
    case "em":
      return h("em", null, inlines(token.tokens));
    case "del":
      return h("del", null, inlines(token.tokens));
    case "codespan":
      return h("code", null, token.text);
    case "br":
      return h("br");
    case "link":
      return SAFE.test(token.href)
        ? h("a", { href: token.href, rel: "noreferrer noopener", target: "_blank" }, inlines(token.tokens))
        : h("span", null, token.raw);
    case "image":
      return h("span", { class: "hint" }, `[picture: ${token.text || token.href}]`); // nothing is loaded from elsewhere
    case "text":
    case "escape":
      return inlines(token.tokens, token.text);
    default:
      return token.raw;
  }
}

/** marked leaves entities as they were written; a text node needs the few that people write. */
function plain(text) {
  return text.replace(/&(lt|gt|amp|quot|#39);/g, (whole, name) => ({ lt: "<", gt: ">", amp: "&", quot: '"', "#39": "'" })[name]);
}
