import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { launcherEnvironment, type TestLauncher } from '../../test/support/launchers.js';

// The path holds from dist/tools/mpi, where the compiled file lies.
const script = fileURLToPath(new URL('../../../tools/mpi/hosts.sh', import.meta.url));
const inFirst = ['ip', 'netns', 'exec', 'slimclr1'] as const;

/**
 * Makes network namespaces of this machine that stand for hosts (hosts.sh), as root, in place of those that there are.
 * `rate`: of what each sends, as tc takes it, such as `10gbit`.
 */
export function hostsUp(count: number, rate: string): void {
  hostsDown();
  execFileSync(script, ['up', String(count), rate]);
}

export function hostsDown(): void {
  execFileSync(script, ['down']);
}

/** A command that starts a rank on each of so many hosts, which talk to each other by TCP alone. */
export function hostsLaunch({ name, command }: TestLauncher, count: number): readonly string[] {
  const addresses = Array.from({ length: count }, (_, i) => `10.77.0.${i + 1}`).join(',');
  const start = [...inFirst, command, '-n', String(count)];
  if (name === 'MPICH') return [...start, '-launcher-exec', script, '-hosts', addresses];
  const settings = {
    plm_rsh_agent: script,
    btl: 'tcp,self',
    btl_tcp_if_include: 'eth0',
    oob_tcp_if_include: 'eth0',
  };
  const options = Object.entries(settings).flatMap((setting) => ['--mca', ...setting]);
  return [...start, ...options, '--bind-to', 'none', '--host', addresses];
}

/** Where such a command is run: UCX, by which MPICH sends, would use the memory that hosts of one machine share. */
export const hostsEnvironment = { ...launcherEnvironment, UCX_TLS: 'tcp,self', UCX_NET_DEVICES: 'eth0' };

/** Bytes that the first host has sent since it is there, headers too. */
export function sentBytes(): number {
  const [command, ...args] = [...inFirst, 'cat', '/sys/class/net/eth0/statistics/tx_bytes'];
  return Number(execFileSync(command, args, { encoding: 'utf8' }));
}
