// Turns the schema that Go generates from its event types into TypeScript.
import { readFile } from 'node:fs/promises';
import { compile } from 'json-schema-to-typescript';

export const schemaFile = new URL('../../events/schema.json', import.meta.url);
export const typesFile = new URL('../src/protocol/types.gen.ts', import.meta.url);

/** The text of src/protocol/types.gen.ts. */
export async function types() {
  const schema = JSON.parse(await readFile(schemaFile, 'utf8'));
  return compile({ ...schema, title: 'Schema' }, 'Schema', {
    bannerComment: '// Code generated from events/schema.json by npm run generate. DO NOT EDIT.',
    unreachableDefinitions: true,
    additionalProperties: false,
    strictIndexSignatures: true,
    unknownAny: true,
    format: false,
  });
}
