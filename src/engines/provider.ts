import type { OrtApi, Pointer } from './ortApi.js';
import type { Room } from './room.js';

/** A session of a model of a room's own. */
export type OpenSession = (model: Uint8Array) => Promise<Pointer>;

/** What runs the nodes of an in-process engine's graphs, and where their tensors are. */
export interface Provider {
  /** Adds it to the options of a session; `graphs`: whether runs are captured, where it can do that. */
  append(api: OrtApi, session: Pointer, graphs?: boolean): void;
  /** Whether runs are to be captured as graphs of the device's; sessions that do not qualify go without. */
  readonly graphs?: boolean;
  openRoom(openSession: OpenSession): Promise<Room>;
}
