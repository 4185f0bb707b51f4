import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['api', 'dist', 'runs', 'graphs'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/consistent-type-imports': 'error',
      'no-console': 'error',
    },
  },
  // One door to ONNX Runtime: it turns telemetry off before the library loads and says why it does not.
  {
    // The others are what those run who take a model to onnxruntime-node: one is timed, one compared with.
    ignores: ['src/engines/**', 'tools/bench/infer.ts', 'test/support/nodeEngine.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          paths: ['onnxruntime-node', 'onnxruntime-common'].map((name) => ({
            name,
            message: 'ONNX Runtime comes through src/engines.',
          })),
        },
      ],
      'no-restricted-syntax': [
        'error',
        {
          selector: ":matches(ImportExpression, CallExpression) > Literal[value='onnxruntime-node']",
          message: 'ONNX Runtime comes through src/engines.',
        },
      ],
    },
  },
  // Printing is the job of the command line and of tools; libraries and tests stay silent.
  { files: ['src/cli/**', 'tools/**'], rules: { 'no-console': 'off' } },
  // chai's property assertions (`expect(x).to.be.true`) are expressions.
  { files: ['test/**'], rules: { '@typescript-eslint/no-unused-expressions': 'off' } },
  { files: ['**/*.js'], languageOptions: { globals: { process: 'readonly', console: 'readonly' } } },
);
