/** The script of the demo's page. */
import type { DemoIndex } from '../demoIndex.js';
import { element, make, navigator } from './dom.js';
import { OpenModels } from './models.js';
import { nearest, showNeighbours } from './neighbours.js';
import { watchPictures } from './picture.js';

/** What a slider passes over while it moves is not opened. */
const settled = 150;

const absolute = (path: string) =>
  new URL(path, (globalThis as unknown as { location: { href: string } }).location.href).href;
const fetched = async (path: string): Promise<Response> => {
  const response = await fetch(absolute(path));
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  return response;
};

const [status, slider] = [element('status'), element('width')];
const [wasm, webgpu] = [element('wasm'), element('webgpu')];
const index = (await (await fetched('index/demo.json')).json()) as DemoIndex;
const models = new OpenModels({ manifest: absolute(index.manifest), runtime: absolute('ort/') });
const banks = new Map<string, Promise<Float32Array>>();

let picture: Blob | null = null;
/** Counts what was asked for: an answer to an earlier question is not shown. */
let question = 0;

function say(message: string, alarm = false): void {
  status.textContent = message;
  status.classList.toggle('alarm', alarm);
}

function bankOf(path: string): Promise<Float32Array> {
  let bank = banks.get(path);
  if (!bank) {
    bank = fetched(path).then(async (response) => new Float32Array(await response.arrayBuffer()));
    banks.set(path, bank);
    bank.catch(() => banks.delete(path));
  }
  return bank;
}

/** Shows the model of the slider, and the neighbours of the picture under it. */
async function update(): Promise<void> {
  const mine = ++question;
  const isOld = () => mine !== question;
  const chosen = index.widths[Number(slider.value)]!;
  const provider = webgpu.checked ? 'webgpu' : 'wasm';
  loading();
  try {
    const model = models.of(chosen.model, provider);
    const facts = await model.opened;
    if (isOld()) return;
    set('latency', milliseconds(facts.milliseconds));
    set('memory', bytes(facts.memory));
    set('bytes', bytes(facts.bytes));
    set('parameters', amount(facts.parameters));
    set('macs', amount(facts.multiplyAdds));
    set('knn', chosen.knn === null ? '–' : `${(100 * chosen.knn).toFixed(1)} %`);
    let done = '';
    if (picture) {
      const [{ features, memory, milliseconds: time }, bank] = await Promise.all([
        model.embed(picture),
        bankOf(chosen.features),
      ]);
      if (isOld()) return;
      set('memory', bytes(memory));
      showNeighbours(nearest(features, bank), index);
      done = `embedded in ${milliseconds(time)}`;
    }
    say(done);
  } catch (error) {
    if (!isOld()) say((error as Error).message, true);
  }
}

function set(id: string, text: string): void {
  element(id).textContent = text;
}

function milliseconds(value: number): string {
  return `${value.toPrecision(value < 1 ? 2 : 3)} ms`;
}

function bytes(value: number): string {
  return value < 1e6 ? `${(value / 1e3).toPrecision(3)} kB` : `${(value / 1e6).toPrecision(3)} MB`;
}

function amount(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toPrecision(3)} G`;
  return value >= 1e6 ? `${(value / 1e6).toPrecision(3)} M` : `${(value / 1e3).toPrecision(3)} k`;
}

function loading(): void {
  say(`width ${index.widths[Number(slider.value)]!.width} …`);
}

function label(): void {
  const { width } = index.widths[Number(slider.value)]!;
  element('label').textContent = width.toFixed(2);
  slider.setAttribute('aria-valuetext', `width ${width}`);
}

let timer: ReturnType<typeof setTimeout> | undefined;
slider.addEventListener('input', () => {
  label();
  loading();
  clearTimeout(timer);
  timer = setTimeout(() => void update(), settled);
});
webgpu.disabled = !navigator.gpu;
wasm.addEventListener('change', () => void update());
webgpu.addEventListener('change', () => {
  loading();
  // A browser may have the interface and no device for it; asked earlier, it would say so in the console of everybody.
  void navigator.gpu!.requestAdapter().then((adapter) => {
    if (adapter) return update();
    webgpu.disabled = wasm.checked = true;
    return update().then(() => say('this browser has no graphics processor for WebGPU', true));
  });
});

const show = watchPictures(
  (taken) => {
    picture = taken;
    void update();
  },
  (message) => say(message, true),
);

const samples = index.samples.map(({ file, className }, i) => {
  const name = className ?? `sample ${i + 1}`;
  const button = make('button', { type: 'button', title: name }, make('img', { src: file, alt: name }));
  button.addEventListener('click', () => {
    fetched(file)
      .then(async (response) => show(await response.blob()))
      .catch((error: Error) => say(error.message, true));
  });
  return button;
});
element('samples').replaceChildren(...samples);

label();
await update();
