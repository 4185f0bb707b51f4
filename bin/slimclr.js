#!/usr/bin/env node
/* global require, __dirname */
// CommonJS (package.json beside this file says so): Node reads an entry that is an ES module with libuv's
// thread pool, whose size is then settled before the first line of it runs.
const { spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { join } = require('node:path');
const { pathToFileURL } = require('node:url');

// Batch systems send it before a time limit. Node would open its debugger, unless somebody listens; pretrain does more.
if (process.platform !== 'win32') process.on('SIGUSR1', () => {});

const root = join(__dirname, '..');
const main = join(root, 'dist', 'src', 'cli', 'main.js');
// The published package holds dist/; a fresh checkout does not.
if (existsSync(main) || compile()) start().catch(fail);

async function start() {
  const { endOthers, joining } = require(join(root, 'dist', 'src', 'distributed', 'mpi', 'beforeJoining.js'));
  if (process.argv.includes('pretrain')) joining();
  process.on('exit', endOthers);
  // sharp decodes images in that pool.
  const { poolThreads } = require(join(root, 'dist', 'src', 'limits.js'));
  process.env.UV_THREADPOOL_SIZE ??= String(poolThreads());
  await import(pathToFileURL(main).href);
}

/** A package that is missing or does not load: main.js is not there yet to say so. */
function fail(error) {
  const message = error.message.replace(/\s*\n\s*/g, ' ');
  const { said } = require(join(root, 'dist', 'src', 'distributed', 'mpi', 'beforeJoining.js'));
  console.error(
    `slimclr: ${said(`it does not start (${message}); accepted: Node.js 20.19 or newer and the packages as \`npm install\` leaves them`)}`,
  );
  if (process.argv.includes('--stack')) console.error(error);
  process.exitCode = 1;
}

/** Compiles the checkout, compiler output on stderr; false and an exit code when that fails. */
function compile() {
  console.error('slimclr: compiling TypeScript, this once');
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, signal } = spawnSync(process.execPath, [compiler, '-p', root], { stdio: ['ignore', 2, 2] });
  if (status === 0) return true;
  // Ctrl-C reaches the compiler as well.
  if (signal !== null) process.kill(process.pid, signal);
  console.error('slimclr: the TypeScript sources did not compile; accepted: a checkout after `npm ci`');
  process.exitCode = 1;
  return false;
}
