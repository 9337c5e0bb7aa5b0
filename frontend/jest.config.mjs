/** Packages that ship modules only, which Jest has to translate. */
const modulesOnly = ['marked', 'wouter', 'lucide-react', 'regexparam', 'mitt'];

const base = {
  transform: {
    '^.+\\.(t|j|mj)sx?$': [
      '@swc/jest',
      {
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', tsx: true },
          transform: { react: { runtime: 'automatic' } },
        },
        module: { type: 'commonjs' },
      },
    ],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${modulesOnly.join('|')})/)`],
  moduleNameMapper: {
    '/env$': '<rootDir>/test/env.ts',
    '\\.css$': '<rootDir>/test/style.ts',
  },
};

export default {
  projects: [
    {
      ...base,
      displayName: 'unit',
      testEnvironment: 'jsdom',
      testMatch: ['<rootDir>/src/**/*.test.{ts,tsx}', '<rootDir>/scripts/**/*.test.ts'],
      setupFilesAfterEnv: ['<rootDir>/test/setup.ts'],
    },
    {
      ...base,
      displayName: 'ui',
      testEnvironment: 'jsdom',
      testMatch: ['<rootDir>/test/ui/**/*.test.{ts,tsx}'],
      setupFilesAfterEnv: ['<rootDir>/test/setup.ts'],
    },
    {
      ...base,
      displayName: 'e2e',
      testEnvironment: 'node',
      testMatch: ['<rootDir>/test/e2e/**/*.test.ts'],
    },
    {
      ...base,
      displayName: 'engines',
      testEnvironment: 'node',
      testMatch: ['<rootDir>/test/engines/**/*.test.ts'],
    },
    {
      ...base,
      displayName: 'lighthouse',
      testEnvironment: 'node',
      testMatch: ['<rootDir>/test/lighthouse/**/*.test.ts'],
    },
    {
      ...base,
      displayName: 'perf',
      testEnvironment: 'node',
      testMatch: ['<rootDir>/test/perf/**/*.test.ts'],
    },
  ],
};
