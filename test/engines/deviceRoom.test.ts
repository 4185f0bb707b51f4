import { DeviceRoom } from '../../src/engines/deviceRoom.js';
import { InProcessEngine } from '../../src/engines/inProcessEngine.js';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import { engineSuite } from './suite.js';

// What a CUDA engine is made of, with the CPU for a device: state that the host sees through copies only.
for (const graphs of [false, true]) {
  engineSuite({
    title: `in process, the CPU's memory by copies${graphs ? ', with options of each binding' : ''}`,
    absent: () => Promise.resolve(null),
    open: () =>
      InProcessEngine.open(
        { provider: 'cpu', threads: 1 },
        {
          append: () => {},
          openRoom: (openSession) =>
            DeviceRoom.open(ortLibrary(), openSession, {
              name: 'Cpu',
              device: 0,
              graphs,
              isLost: () => false,
            }),
        },
      ),
  });
}
