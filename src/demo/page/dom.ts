/** The parts of the browser that the page uses; the DOM's own types would be visible in all of the package. */

export interface Rectangle {
  readonly width: number;
  readonly height: number;
}

/** An element of any kind, with what is used of some kind. */
export interface PageElement extends Rectangle {
  id: string;
  className: string;
  textContent: string;
  title: string;
  type: string;
  hidden: boolean;
  disabled: boolean;
  checked: boolean;
  value: string;
  src: string;
  alt: string;
  width: number;
  height: number;
  readonly naturalWidth: number;
  readonly videoWidth: number;
  readonly videoHeight: number;
  readonly files: ArrayLike<Blob> | null;
  readonly style: { setProperty(name: string, value: string): void };
  readonly classList: { toggle(name: string, on: boolean): void };
  srcObject: MediaStreamLike | null;
  append(...children: (PageElement | string)[]): void;
  replaceChildren(...children: PageElement[]): void;
  setAttribute(name: string, value: string): void;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
  play(): Promise<void>;
  getContext(kind: '2d'): { drawImage(image: PageElement, x: number, y: number): void };
  toBlob(done: (blob: Blob | null) => void, type: string): void;
}

export interface PageEvent {
  readonly dataTransfer?: { readonly files: ArrayLike<Blob> };
  readonly clipboardData?: { readonly files: ArrayLike<Blob> };
  preventDefault(): void;
}

export interface MediaStreamLike {
  getTracks(): { stop(): void }[];
}

interface PageDocument {
  getElementById(id: string): PageElement;
  createElement(tag: string): PageElement;
  addEventListener(type: string, listener: (event: PageEvent) => void): void;
}

interface PageNavigator {
  readonly gpu?: { requestAdapter(): Promise<object | null> };
  readonly mediaDevices?: { getUserMedia(wanted: object): Promise<MediaStreamLike> };
}

export interface PageWorker {
  onmessage: ((event: { readonly data: unknown }) => void) | null;
  onerror: ((event: { readonly message?: string; preventDefault(): void }) => void) | null;
  postMessage(message: unknown): void;
  terminate(): void;
}

const browser = globalThis as unknown as {
  readonly document: PageDocument;
  readonly navigator: PageNavigator;
  readonly Worker: new (url: URL, options: { type: 'module' }) => PageWorker;
};

export const { document, navigator, Worker } = browser;

/** The element with that id. */
export function element(id: string): PageElement {
  return document.getElementById(id);
}

/** A new element. */
export function make(
  tag: string,
  properties: Partial<PageElement>,
  ...children: (PageElement | string)[]
): PageElement {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
