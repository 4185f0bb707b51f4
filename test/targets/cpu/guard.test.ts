import { expect } from 'chai';
import {
  blockedChannelsProblem,
  blockedConvProblem,
  blockedPoolProblem,
  convMode,
  reorderInputProblem,
  reorderOutputProblem,
  type BlockedConv,
} from '../../../src/targets/cpu/guard.js';

const window = { kernel: [3, 3], strides: [1, 1], dilations: [1, 1], pads: [1, 1, 1, 1] } as const;

const rules = { block: 16, plainGroups: false };

function problem(inputs: number, outputs: number, group = 1, { block = 16, plainGroups = false } = {}) {
  return blockedConvProblem({ ...window, inputs, outputs, group }, { block, plainGroups });
}

describe('guard of the blocked kernels', () => {
  // They write outside their buffers: with ONNX Runtime 1.29.0 repeated runs end in a signal, or never.
  const fatal: [inputs: number, outputs: number, group: number][] = [
    [1, 1, 1],
    [8, 8, 1],
    [8, 12, 1],
    [12, 12, 1],
    [12, 15, 1],
    [15, 1, 1],
    [15, 15, 1],
    [16, 8, 1],
    [32, 1, 1],
    [32, 8, 1],
    [32, 12, 1],
    [8, 8, 8],
  ];
  for (const [inputs, outputs, group] of fatal) {
    it(`Conv ${inputs} -> ${outputs} channels, ${group} groups, which can end the process: refused`, () => {
      expect(problem(inputs, outputs, group)).to.match(/not a multiple of 16$/);
    });
  }

  it('Conv in whole blocks: allowed for every count up to 2048', () => {
    for (let inputs = 16; inputs <= 2048; inputs += 16) expect(problem(inputs, 2064 - inputs)).to.equal(null);
  });

  it('Conv of 3 channels, a plain image: allowed to whole blocks only', () => {
    expect(problem(3, 48)).to.equal(null);
    expect(problem(3, 24)).to.equal('24 output channels a group are not a multiple of 16');
  });

  it('Conv of 24 channels: refused for blocks of 16, allowed for blocks of 8', () => {
    expect(problem(24, 48)).to.equal('24 input channels are neither fewer than 16 nor a multiple of it');
    expect(problem(24, 48, 1, { block: 8 })).to.equal(null);
  });

  it('weight gradient, samples as groups, where the runtime takes them: 15, 16 and 32 samples allowed, 24 refused', () => {
    const taken = { plainGroups: true };
    for (const samples of [15, 16, 32]) expect(problem(samples, samples * 64, samples, taken)).to.equal(null);
    expect(problem(24, 24 * 64, 24, taken)).to.equal(
      '24 input channels are neither fewer than 16 nor a multiple of it',
    );
  });

  // Of 1.29.0 and 1.32.0, each run with these counts: what either refuses is refused unless the runtime is known.
  const byVersion: [inputs: number, outputs: number, group: number, older: boolean, newer: boolean][] = [
    [3, 32, 1, true, true],
    [15, 16, 1, true, true],
    [16, 16, 16, true, true],
    [32, 32, 2, true, true],
    [48, 48, 3, true, true],
    [576, 9216, 36, true, true],
    [8, 32, 2, true, false],
    [12, 192, 12, true, false],
    [16, 256, 16, true, false],
    [32, 64, 4, true, false],
    [8, 8, 8, false, false],
    [32, 8, 1, false, false],
  ];
  it('ONNX Runtime up to 1.30 and from 1.31 on: what is allowed is what both take, or what the former does', () => {
    for (const [inputs, outputs, group, older, newer] of byVersion) {
      const title = `${inputs} to ${outputs} in ${group} groups`;
      expect(problem(inputs, outputs, group, { plainGroups: true }) === null, title).to.equal(older);
      expect(problem(inputs, outputs, group) === null, title).to.equal(newer);
    }
    expect(problem(16, 256, 16)).to.equal(
      '16 groups of 1 input channels, fewer than 16: ONNX Runtime 1.31 refuses them',
    );
  });

  it('Conv in groups: the counts of one group decide', () => {
    expect(problem(48, 48, 2)).to.equal('24 input channels a group are not a multiple of 16');
    expect(problem(64, 64, 2)).to.equal(null);
    expect(problem(64, 32, 4)).to.equal('8 output channels a group are not a multiple of 16');
    expect(problem(33, 32, 2)).to.equal('33 to 32 channels do not divide into 2 groups');
  });

  it('the mode follows from the channels of a group', () => {
    expect(convMode({ inputs: 16, outputs: 16, group: 1 }, 16)).to.equal('blocked');
    expect(convMode({ inputs: 16, outputs: 16, group: 16 }, 16)).to.equal('depthwise');
    expect(convMode({ inputs: 16, outputs: 256, group: 16 }, 16)).to.equal('plain');
    expect(convMode({ inputs: 8, outputs: 16, group: 1 }, 8)).to.equal('blocked');
  });

  it('unknown block sizes, negative pads, strides of 0: refused', () => {
    const conv: BlockedConv = { ...window, inputs: 32, outputs: 32, group: 1 };
    expect(blockedConvProblem(conv, { ...rules, block: 32 })).to.equal(
      'blocks of 32 channels; known are 8 and 16',
    );
    expect(blockedConvProblem({ ...conv, pads: [0, 0, -1, 0] }, rules)).to.equal(
      'pads [0, 0, -1, 0] are not integers from 0 up',
    );
    expect(blockedConvProblem({ ...conv, strides: [0, 1] }, rules)).to.match(/not positive integers$/);
    expect(blockedConvProblem({ ...conv, outputs: 0 }, rules)).to.match(/not positive integers$/);
  });

  it('pools and reorders: whole blocks, but a reorder may add or leave out part of one', () => {
    expect(blockedPoolProblem({ ...window, channels: 48 }, 16)).to.equal(null);
    expect(blockedPoolProblem({ ...window, channels: 40 }, 16)).to.equal(
      '40 channels are not a multiple of 16',
    );
    expect(blockedPoolProblem({ ...window, pads: [3, 0, 0, 0], channels: 16 }, 16)).to.match(/pads/);
    expect(blockedChannelsProblem(8, 16)).to.equal('8 channels are not a multiple of 16');
    expect(reorderInputProblem(20, 16)).to.equal(null);
    expect(reorderInputProblem(18, 16)).to.equal('18 channels are not a multiple of 4');
    expect(reorderOutputProblem(32, 17, 16)).to.equal(null);
    expect(reorderOutputProblem(32, 16, 16)).to.match(/fewer than 16 may be left out/);
    expect(reorderOutputProblem(40, 40, 16)).to.equal('40 channels are not a multiple of 16');
  });
});
