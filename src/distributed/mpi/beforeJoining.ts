import { writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { findLauncher, launcherDescriptors, type Launcher } from './launcher.js';

/*
 * Until it has joined the others a process can tell them nothing over MPI, and they wait in MPI_Init for it. Loaded before
 * the packages that may be missing: no imports but these.
 */

/** Whether this process, or the child that it has started to, is one that joins others, has joined them, or does not. */
let state: 'joins' | 'joined' | 'alone' = 'alone';

/** From now on the end of this process with a failure ends the others. */
export function joining(): void {
  if (state === 'alone') state = 'joins';
}

/** It has joined them, and the launcher minds its end. */
export function joined(): void {
  state = 'joined';
}

/** It is to train for itself. */
export function joinsNobody(): void {
  state = 'alone';
}

/** The launcher of a process that has not joined the others yet; null of any other. */
export function unjoined(): Launcher | null {
  return state === 'joins' ? findLauncher() : null;
}

/**
 * What a process that fails says, when it is its turn. All may have met with the same before they have joined: rank 0 says it
 * at once, the first one of another machine when rank 0 would have ended it, the others when that one would have.
 */
export function said(message: string): string {
  const launcher = unjoined();
  if (launcher === null || launcher.rank === 0) return message;
  // Signals have their usual effect again, and nothing else is left to do.
  pause(turnOf(launcher));
  return `rank ${launcher.rank} on ${hostname()}: ${message}`;
}

/** In milliseconds. */
export function turnOf({ rank, local }: Pick<Launcher, 'rank' | 'local'>): number {
  return rank === 0 ? 0 : local === 0 ? 3000 : 5000;
}

/**
 * At the end of this process: where it fails before it has joined, the launcher is told to end the others. Open MPI's does
 * so by itself; those that speak PMI (MPICH, Intel MPI, Slurm with PMI-2) take a process that has not called MPI_Init for
 * one that never will, whatever its exit code, and leave the others waiting.
 */
export function endOthers(code: number): void {
  if (code === 0 || unjoined() === null) return;
  for (const descriptor of launcherDescriptors()) {
    try {
      writeSync(descriptor, 'cmd=init pmi_version=1 pmi_subversion=1\n');
      // Its answer needs somebody to take it.
      pause(300);
      writeSync(descriptor, `cmd=abort exitcode=${code}\n`);
      pause(300);
    } catch {
      // The launcher has gone.
    }
  }
}

function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
