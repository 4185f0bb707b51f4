import { expect } from 'chai';
import type { DoctorReport } from '../../src/doctor/doctor.js';
import { stockPython, trainingPython } from '../support/pythons.js';
import { launchers } from '../support/launchers.js';
import { slimclr } from './slimclr.js';

describe('slimclr doctor', function () {
  this.timeout(200_000);

  const report = async (python: string) => {
    const { code, stdout, stderr } = await slimclr('doctor', '--json', '--python', python);
    expect(code, stderr).to.equal(0);
    const { engines, mpi } = JSON.parse(stdout) as DoctorReport;
    for (const { version } of mpi) expect(version).to.match(/\d+\.\d+/);
    const installed = mpi.map(({ version }) => version.split(' ')[0]);
    for (const { name } of launchers) expect(installed).to.include(name.split(' ')[0]);
    expect(engines.map(({ engine }) => engine)).to.deep.equal(['in-process', 'python']);
    const [inProcess, ofPython] = engines;
    expect(inProcess!.providers.find(({ name }) => name === 'cpu')!.failure).to.equal(null);
    expect(inProcess!.version).to.match(/^1\.\d+\.\d+/);
    return ofPython!;
  };

  it('a Python that is not there: why, for each provider', async () => {
    const { version, python, providers } = await report('no-such-python');
    expect([version, python]).to.deep.equal([null, null]);
    expect(providers.map(({ name }) => name)).to.deep.equal(['cpu', 'cuda']);
    for (const { failure } of providers)
      expect(failure).to.match(/^runtime\.python "no-such-python" is not found/);
  });

  for (const [title, find, hasOperators] of [
    ['onnxruntime', stockPython, false],
    ['onnxruntime-training', trainingPython, true],
  ] as const) {
    const { python: interpreter, missing } = find();
    it(`a Python with ${title}: trains; whether it has training operators${missing}`, async function () {
      if (missing !== '') return this.skip();
      const { source, version, python, trainingOperators, providers } = await report(interpreter);
      expect(source).to.equal(interpreter);
      expect(version).to.match(/^1\.\d+\.\d+/);
      expect(python).to.match(/^3\.\d+\.\d+/);
      expect(trainingOperators).to.equal(hasOperators);
      expect(providers[0]).to.deep.equal({ name: 'cpu', failure: null });
    });
  }
});
