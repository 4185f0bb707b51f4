import { document, element, make, navigator, type MediaStreamLike, type PageEvent } from './dom.js';

/** Pictures of at most so many pixels are shown with their pixels. */
const smallSide = 96;

/** Calls `use` with each picture that is chosen, dropped, pasted or taken, and shows it; `fail` with what went wrong. */
export function watchPictures(
  use: (picture: Blob) => void,
  fail: (message: string) => void,
): (picture: Blob) => void {
  const preview = element('preview');
  let address = '';
  const show = (picture: Blob) => {
    URL.revokeObjectURL(address);
    address = URL.createObjectURL(picture);
    preview.src = address;
    preview.hidden = false;
    use(picture);
  };
  preview.addEventListener('load', () =>
    preview.classList.toggle('small', preview.naturalWidth <= smallSide),
  );
  // The model says what is wrong with a file that is no image.
  preview.addEventListener('error', () => (preview.hidden = true));

  const first = (files: ArrayLike<Blob> | null | undefined) => {
    if (files?.[0]) show(files[0]);
  };
  const input = element('file');
  input.addEventListener('change', () => {
    first(input.files);
    // The same file again is a change, too.
    input.value = '';
  });
  const drop = element('drop');
  const over = (on: boolean) => (event: PageEvent) => {
    event.preventDefault();
    drop.classList.toggle('over', on);
  };
  document.addEventListener('dragover', over(true));
  document.addEventListener('dragleave', over(false));
  document.addEventListener('drop', (event) => {
    over(false)(event);
    first(event.dataTransfer?.files);
  });
  document.addEventListener('paste', (event) => first(event.clipboardData?.files));
  watchCamera(show, fail);
  return show;
}

/** The camera's buttons, where the browser lets a page ask for one. */
function watchCamera(show: (picture: Blob) => void, fail: (message: string) => void): void {
  const [camera, take, stop, video] = ['camera', 'take', 'stop', 'video'].map(element) as [
    ReturnType<typeof element>,
    ReturnType<typeof element>,
    ReturnType<typeof element>,
    ReturnType<typeof element>,
  ];
  const { mediaDevices } = navigator;
  if (!mediaDevices) return;
  let stream: MediaStreamLike | null = null;
  const switched = (on: boolean) => {
    camera.hidden = on;
    for (const part of [take, stop, video]) part.hidden = !on;
  };
  switched(false);
  const close = () => {
    for (const track of stream?.getTracks() ?? []) track.stop();
    stream = video.srcObject = null;
    switched(false);
  };
  camera.addEventListener('click', () => {
    void mediaDevices.getUserMedia({ video: { facingMode: 'environment' } }).then(
      async (opened) => {
        stream = video.srcObject = opened;
        await video.play();
        switched(true);
      },
      (error: Error) => fail(`no camera: ${error.message}`),
    );
  });
  take.addEventListener('click', () => {
    const frame = make('canvas', { width: video.videoWidth, height: video.videoHeight });
    frame.getContext('2d').drawImage(video, 0, 0);
    // Without loss: the model gets the pixels of the frame.
    frame.toBlob((picture) => picture && show(picture), 'image/png');
  });
  stop.addEventListener('click', close);
}
