import { openEngine } from '../../src/engines/openEngine.js';
import { engineSuite } from './suite.js';

engineSuite({
  title: 'in process, cpu',
  absent: () => Promise.resolve(null),
  open: () => openEngine({ provider: 'cpu', threads: 1 }),
});
