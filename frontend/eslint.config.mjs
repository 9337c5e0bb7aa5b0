import js from '@eslint/js';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

/**
 * Who may import whom: app → features → core, net, protocol, ui. Features do
 * not import each other; markdown and the tool cards lie below chat.
 */
const may = {
  protocol: [],
  core: ['protocol'],
  net: ['protocol'],
  i18n: [],
  ui: ['i18n'],
  markdown: ['ui', 'i18n'],
  tools: ['core', 'protocol', 'ui', 'i18n', 'markdown'],
  chat: ['core', 'protocol', 'ui', 'i18n', 'markdown', 'tools'],
  tasks: ['core', 'protocol', 'ui', 'i18n'],
  sidebar: ['core', 'protocol', 'ui', 'i18n'],
  replay: ['core', 'protocol', 'ui', 'i18n', 'markdown', 'tools'],
  auth: ['core', 'protocol', 'ui', 'i18n'],
  embed: ['core', 'protocol', 'ui', 'i18n'],
};

const layers = Object.entries(may).map(([folder, allowed]) => {
  const refused = Object.keys(may).filter((f) => f !== folder && !allowed.includes(f));
  return {
    files: [`src/${folder}/**/*.{ts,tsx}`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(\\.\\./)+(${refused.join('|')}|app|routes|main)(/|$)`,
              message: `${folder} may import ${allowed.join(', ') || 'nothing of ours'} only`,
            },
            ...(folder === 'protocol' || folder === 'net' || folder === 'core'
              ? [{ regex: '^react(-dom)?(/|$)', message: `${folder} works without React` }]
              : []),
          ],
        },
      ],
    },
  };
});

export default tseslint.config(
  { ignores: ['dist/', 'coverage/', 'src/protocol/types.gen.ts'] },
  js.configs.recommended,
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/consistent-type-definitions': ['error', 'interface'],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true, varsIgnorePattern: '^_' },
      ],
      'no-console': 'error',
    },
  },
  { files: ['**/*.{ts,tsx}'], ...reactHooks.configs.flat.recommended },
  ...layers,
  { files: ['src/core/react.tsx'], rules: { 'no-restricted-imports': 'off' } },
  {
    // Only env.ts knows the bundler; everything else runs in Jest as it is.
    files: ['src/**/*.{ts,tsx}'],
    ignores: ['src/env.ts'],
    rules: {
      'no-restricted-syntax': ['error', { selector: 'MetaProperty', message: 'import.meta belongs in env.ts' }],
    },
  },
  {
    files: ['**/*.test.{ts,tsx}', 'test/**/*.{ts,tsx}'],
    rules: {
      'no-restricted-imports': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['scripts/**/*.mjs', '*.mjs'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly', Buffer: 'readonly', document: 'readonly' },
    },
  },
);
