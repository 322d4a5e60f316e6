// Templates without a build step: htm makes Preact nodes, text always becomes text nodes.
import { h } from "preact";
import htm from "htm";

export const html = htm.bind(h);
