// A long list of rows of one height: only those near the visible part are in the page.
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { html } from "./html.js";

const SPARE = 10;

/** @param {{rows: object[], height: number, row: (item: object, index: number) => object, label: string}} props */
export function WindowedList({ rows, height, row, label }) {
  const frame = useRef(null);
  const [from, setFrom] = useState(0);
  const [room, setRoom] = useState(20);
  useLayoutEffect(() => {
    const measure = () => setRoom(Math.ceil(frame.current.clientHeight / height) || 20);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(frame.current);
    return () => observer.disconnect();
  }, [height]);
  const onScroll = () => setFrom(Math.floor(frame.current.scrollTop / height));
  const first = Math.max(0, Math.min(from, rows.length - room) - SPARE);
  const shown = rows.slice(first, first + room + 2 * SPARE);
  return html`<div class="windowed" ref=${frame} onScroll=${onScroll} tabindex="0" role="region" aria-label=${label}>
    <ul style=${{ height: `${rows.length * height}px` }}>
      ${shown.map((item, index) => html`<li key=${item.id} style=${{ top: `${(first + index) * height}px`, height: `${height}px` }}
        aria-setsize=${rows.length} aria-posinset=${first + index + 1}>${row(item, first + index)}</li>`)}
    </ul>
  </div>`;
}
