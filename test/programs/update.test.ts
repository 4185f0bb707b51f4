import { updateProgram } from '../../src/programs/update.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { normal } from '../support/samples.js';
import { runProgram, tinyConfig } from './tiny.js';

const n = 7;
const program = updateProgram(tinyConfig({ optimizer: { momentum: 0.8 } }));

describe('programs/update', () => {
  for (const decay of [0, 0.05]) {
    it(`SGD with momentum 0.8 and weight decay ${decay}: two steps equal the formula`, async () => {
      const random = new Random(1);
      let parameter = normal(random, n);
      let velocity = normal(random, n);
      const expected = { parameter: [...parameter], velocity: [...velocity] };
      for (const rate of [0.1, 0.03]) {
        const gradient = normal(random, n);
        const outputs = await runProgram(program, {
          parameter,
          gradient,
          velocity,
          learning_rate: [rate],
          weight_decay: [decay],
        });
        parameter = outputs['new_parameter']!;
        velocity = outputs['new_velocity']!;
        for (let i = 0; i < n; i++) {
          expected.velocity[i] = 0.8 * expected.velocity[i]! + gradient[i]! + decay * expected.parameter[i]!;
          expected.parameter[i]! -= rate * expected.velocity[i]!;
        }
        expectClose(velocity, expected.velocity, 1e-6);
        expectClose(parameter, expected.parameter, 1e-6);
      }
    });
  }
});
