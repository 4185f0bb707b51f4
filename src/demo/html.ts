import { escapeHtml } from '../report/html.js';
import { style } from '../report/style.js';
import type { DemoIndex } from './demoIndex.js';

/** What the page may load: its own files only. The runtime compiles WebAssembly and starts workers from them. */
const policy = [
  "default-src 'self'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "worker-src 'self' blob:",
].join('; ');

const demoStyle = `
.columns { display: grid; grid-template-columns: minmax(0, 22rem) minmax(0, 1fr); gap: 1.5rem; align-items: start; }
@media (max-width: 52rem) { .columns { grid-template-columns: minmax(0, 1fr); } body { padding: 1.25rem .9rem 3rem; } }
.panel { padding: 1rem 1.25rem; background: var(--panel); border: 1px solid var(--line); border-radius: 8px; }
.panel + .panel { margin-top: 1rem; }
#drop { display: block; width: 100%; padding: .75rem; text-align: center; cursor: pointer; box-sizing: border-box;
  border: 2px dashed var(--line); border-radius: 8px; color: var(--muted); }
#drop.over { border-color: var(--series-0); color: var(--text); }
#drop:focus-within, button:focus-visible, input:focus-visible { outline: 3px solid var(--series-0); outline-offset: 2px; }
#file { position: absolute; opacity: 0; width: 1px; height: 1px; }
#preview { display: block; width: 100%; max-height: 18rem; margin-bottom: .75rem; object-fit: contain; image-rendering: auto; }
#preview.small { height: 12rem; image-rendering: pixelated; }
video { display: block; width: 100%; border-radius: 6px; }
button { font: inherit; color: var(--text); background: var(--background); border: 1px solid var(--line);
  border-radius: 6px; padding: .35rem .8rem; cursor: pointer; }
button:disabled { color: var(--muted); cursor: default; }
.buttons { display: flex; flex-wrap: wrap; gap: .5rem; margin-top: .75rem; }
.samples { display: grid; grid-template-columns: repeat(auto-fill, minmax(3.25rem, 1fr)); gap: .4rem; }
.samples button { padding: 2px; }
.samples img { display: block; width: 100%; aspect-ratio: 1; object-fit: cover; image-rendering: pixelated; }
.choice { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1.25rem; }
.choice output { font-weight: 600; min-width: 2.5rem; font-variant-numeric: tabular-nums; }
.choice label { display: flex; align-items: center; gap: .35rem; }
input[type=range] { flex: 1 1 9rem; min-width: 0; accent-color: var(--series-0); }
.panel .facts { grid-template-columns: repeat(auto-fill, minmax(8rem, 1fr)); padding: 0; border: 0; margin-top: 1rem; }
.facts dd { font-variant-numeric: tabular-nums; }
#verdict { margin: 0 0 .75rem; font-size: 1.05rem; }
#neighbours { display: grid; grid-template-columns: repeat(auto-fill, minmax(5.5rem, 1fr)); gap: .75rem; margin: 0; padding: 0; list-style: none; }
#neighbours li { min-width: 0; font-size: .82rem; }
#neighbours .tile { aspect-ratio: 1; border-radius: 4px; image-rendering: pixelated; background-repeat: no-repeat; }
#neighbours li.same .tile { outline: 3px solid var(--same); }
#neighbours b { display: block; font-weight: 500; overflow-wrap: anywhere; }
#neighbours span { color: var(--muted); font-variant-numeric: tabular-nums; }
#status { min-height: 1.5em; margin: .75rem 0 0; color: var(--muted); }
#status.alarm { border: 0; padding: 0; color: var(--alarm); }
[hidden] { display: none !important; }
`;

/** Facts of the chosen model by their ids. */
const facts = {
  latency: 'latency of a run',
  memory: 'memory',
  bytes: 'model file',
  parameters: 'parameters',
  macs: 'multiply-adds',
  knn: 'kNN accuracy',
} as const;

/** The page; `page/page.ts` is its script. */
export function renderDemo({ title, count, widths, samples }: DemoIndex): string {
  const list = Object.entries(facts).map(([id, name]) => `<div><dt>${name}</dt><dd id="${id}">–</dd></div>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}${demoStyle}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
<main class="columns">
<div>
<section class="panel" aria-label="Picture">
<img id="preview" alt="the picture" hidden>
<video id="video" muted playsinline hidden></video>
<label id="drop">Drop, paste or <u>choose</u> a picture<input id="file" type="file" accept="image/*"></label>
<div class="buttons">
<button id="camera" type="button" hidden>Camera</button>
<button id="take" type="button" hidden>Take picture</button>
<button id="stop" type="button" hidden>Close camera</button>
</div>
</section>
<section class="panel" aria-label="Pictures to try"${samples.length === 0 ? ' hidden' : ''}>
<div id="samples" class="samples"></div>
</section>
</div>
<div>
<section class="panel" aria-label="Model">
<div class="choice">
<label for="width">width</label>
<input id="width" type="range" min="0" max="${widths.length - 1}" step="1" value="${widths.length - 1}">
<output id="label" for="width"></output>
<label><input type="radio" name="provider" id="wasm" checked>WebAssembly</label>
<label><input type="radio" name="provider" id="webgpu" disabled>WebGPU</label>
</div>
<dl class="facts">${list.join('')}</dl>
</section>
<section class="panel" aria-label="Nearest neighbours">
<p id="verdict">The nearest of ${count} images will be here.</p>
<ol id="neighbours"></ol>
<p id="status" role="status"></p>
</section>
</div>
</main>
<script type="module" src="code/demo/page/page.js"></script>
</body>
</html>
`;
}
