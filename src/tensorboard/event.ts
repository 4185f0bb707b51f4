import protobuf from 'protobufjs/minimal.js';

/** One point of a curve. */
export interface Scalar {
  readonly tag: string;
  readonly value: number;
}

/** What an event of a TensorBoard file says. */
export type EventContent =
  /** The first event of every file. */
  | { readonly kind: 'version' }
  /** A run starts or goes on: readers drop what they have of this step and later ones. */
  | { readonly kind: 'start' }
  | { readonly kind: 'scalars'; readonly scalars: readonly Scalar[] };

/** Fields of the messages `Event`, `SessionLog`, `Summary` and `Summary.Value` (tensorflow/core/util/event.proto). */
const field = {
  event: { wallTime: 1, step: 2, fileVersion: 3, summary: 5, sessionLog: 7 },
  sessionLog: { status: 1 },
  summary: { value: 1 },
  value: { tag: 1, simpleValue: 2 },
};
const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 };
const sessionStart = 1;

/** The protobuf message `Event`; `wallTime` is in seconds since 1970. */
export function encodeEvent(wallTime: number, step: number, content: EventContent): Uint8Array {
  const { event, sessionLog, summary, value } = field;
  const writer = protobuf.Writer.create();
  const key = (number: number, type: number) => writer.uint32((number << 3) | type);
  key(event.wallTime, wire.fixed64).double(wallTime);
  key(event.step, wire.varint).int64(step);
  switch (content.kind) {
    case 'version':
      key(event.fileVersion, wire.bytes).string('brain.Event:2');
      break;
    case 'start':
      key(event.sessionLog, wire.bytes).fork();
      key(sessionLog.status, wire.varint).int32(sessionStart).ldelim();
      break;
    case 'scalars':
      key(event.summary, wire.bytes).fork();
      for (const { tag, value: number } of content.scalars) {
        key(summary.value, wire.bytes).fork();
        key(value.tag, wire.bytes).string(tag);
        key(value.simpleValue, wire.fixed32).float(number).ldelim();
      }
      writer.ldelim();
      break;
  }
  return writer.finish();
}
