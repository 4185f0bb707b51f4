import { HostGraph } from '../../src/engines/hostGraph.js';
import { affine } from './models.js';

/* Of ortLibrary.test.ts, a process or a thread: loads a graph, and waits until what it started has settled. */

const graph = await HostGraph.open(affine, { provider: 'cpu', threads: 1 });
await new Promise((resolve) => setTimeout(resolve, 500));
await graph.close();
