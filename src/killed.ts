import { memoryKills, processLimits } from './limits.js';

/**
 * Before a process is started: gives a function that says, once SIGKILL has ended it, who it may have been. The group
 * counts what was ended in it for want of memory, whether its own limit was reached or the machine had no more.
 */
export function watchKills(): () => string {
  const before = memoryKills();
  return () => {
    const after = memoryKills();
    if (after === undefined || before === undefined)
      return 'by somebody, or by the system for want of memory';
    if (after === before) return 'by somebody';
    const { memory } = processLimits();
    const limit =
      memory === undefined ? '' : `: its limit is ${Math.round(memory / 1e6).toLocaleString('en')} MB`;
    return `by the system for want of memory${limit}`;
  };
}
