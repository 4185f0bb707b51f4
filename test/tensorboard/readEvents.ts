import { expect } from 'chai';
import protobuf from 'protobufjs/minimal.js';

/** What a file of TensorBoard events says, read by hand: framing, checksums, fields. */
export interface ReadEvent {
  wallTime: number;
  step: number;
  version?: string;
  sessionStatus?: number;
  scalars: Record<string, number>;
}

/** Reads all records of a file; fails at a wrong checksum and at bytes that are left over. */
export function readEvents(file: Buffer): ReadEvent[] {
  const events: ReadEvent[] = [];
  let at = 0;
  while (at < file.length) {
    const length = Number(file.readBigUInt64LE(at));
    expect(file.readUInt32LE(at + 8), 'checksum of the length').to.equal(masked(file.subarray(at, at + 8)));
    const data = file.subarray(at + 12, at + 12 + length);
    expect(file.readUInt32LE(at + 12 + length), 'checksum of the data').to.equal(masked(data));
    events.push(readEvent(data));
    at += 16 + length;
  }
  expect(at).to.equal(file.length);
  return events;
}

function readEvent(data: Uint8Array): ReadEvent {
  const event: ReadEvent = { wallTime: 0, step: 0, scalars: {} };
  eachField(data, (number, reader) => {
    if (number === 1) event.wallTime = reader.double();
    else if (number === 2) event.step = Number(reader.int64());
    else if (number === 3) event.version = reader.string();
    else if (number === 5) eachField(reader.bytes(), (_, value) => readValue(value.bytes(), event.scalars));
    else if (number === 7) eachField(reader.bytes(), (_, status) => (event.sessionStatus = status.int32()));
    else throw new Error(`unknown field ${number} of Event`);
  });
  return event;
}

function readValue(data: Uint8Array, scalars: Record<string, number>): void {
  let [tag, number] = ['', NaN];
  eachField(data, (field, reader) => {
    if (field === 1) tag = reader.string();
    else if (field === 2) number = reader.float();
    else throw new Error(`unknown field ${field} of Summary.Value`);
  });
  scalars[tag] = number;
}

function eachField(data: Uint8Array, read: (number: number, reader: protobuf.Reader) => void): void {
  const reader = protobuf.Reader.create(data);
  while (reader.pos < reader.len) read(reader.uint32() >>> 3, reader);
}

/** Bit by bit, by the definition: the remainder modulo the polynomial, then TFRecord's rotation and offset. */
function masked(bytes: Uint8Array): number {
  let register = 0xffffffffn;
  for (const byte of bytes) {
    for (let bit = 0; bit < 8; bit++) {
      const odd = (register ^ (BigInt(byte) >> BigInt(bit))) & 1n;
      register = (register >> 1n) ^ (odd * 0x82f63b78n);
    }
  }
  const crc = register ^ 0xffffffffn;
  return Number((((crc >> 15n) | (crc << 17n)) + 0xa282ead8n) & 0xffffffffn);
}
