import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, Kind, type OperationDefinitionNode, parse, validate } from 'graphql';
import { getVariableValues } from 'graphql/execution/values.js';
import { expect, test } from 'vitest';
import { fill, learn } from '../../web/playground/filling.ts';

const FOLDER = 'examples/playground';
const files = readdirSync(FOLDER).sort();
const examples = files.filter((file) => file.endsWith('.graphql'));
const read = (file: string) => readFileSync(path.join(FOLDER, file), 'utf8');
const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));

const known = {
  draftPoolId: '0192f0c1-1111-7000-8000-000000000001',
  poolId: '0192f0c1-1111-7000-8000-000000000002',
  memberId: '0192f0c1-1111-7000-8000-000000000003',
  code: 'PCT-0000-0000-0000-2A',
  orderId: 'order-7',
};

function operationOf(file: string): OperationDefinitionNode {
  const operations = parse(read(file)).definitions.filter(
    (definition) => definition.kind === Kind.OPERATION_DEFINITION,
  );
  expect(operations).toHaveLength(1);
  return operations[0] as OperationDefinitionNode;
}

test.each(examples)('%s is a valid operation, and its variables are valid, too', (file) => {
  expect(validate(schema, parse(read(file)))).toEqual([]);
  const needed = operationOf(file).variableDefinitions ?? [];
  const beside = file.replace('.graphql', '.json');
  expect(files.includes(beside)).toBe(needed.length > 0);
  if (needed.length === 0) return;
  const variables = JSON.parse(fill(read(beside), known));
  expect(getVariableValues(schema, needed, variables).errors).toBeUndefined();
  expect(Object.keys(variables)).toEqual(needed.map(({ variable }) => variable.name.value));
});

test('each example is named after what it does, and begins by saying it', () => {
  const names = examples.map((file) => operationOf(file).name?.value);
  expect(names).toEqual([
    'Program',
    'CreatePool',
    'GenerateCodes',
    'ActivatePool',
    'ClaimCode',
    'RedeemCode',
    'RedeemTwice',
    'PoolStatistics',
    'UpsertMember',
    'MemberToken',
  ]);
  for (const [index, file] of examples.entries()) {
    expect(read(file)).toMatch(new RegExp(`^(#.*\n)*# ${index + 1}\\. `));
  }
});

test('what is not known is a hint, and what is known is filled in as JSON', () => {
  const template = '{ "poolId": "{{poolId}}", "memberId": "{{memberId}}" }';
  const filled = JSON.parse(fill(template, { poolId: 'a "pool"\\ $& \u2028' }));
  expect(filled.poolId).toBe('a "pool"\\ $& \u2028');
  expect(filled.memberId).toBe('<the id that UpsertMember answers>');
});

test('a step goes on with what the steps before it answered', () => {
  const steps = [
    { createPool: { id: 'p1' } },
    { activatePool: { id: 'p1' } },
    { claimCode: { plaintext: 'PCT-1', code: { id: '0192f0c1-abcdef' } } },
    { upsertMember: { id: 'm2' } },
  ];
  const after = steps.reduce((values, data) => learn(values, { data }), learn(known, null));
  expect(after).toEqual({
    draftPoolId: 'p1',
    poolId: 'p1',
    memberId: 'm2',
    code: 'PCT-1',
    orderId: 'order-abcdef',
  });
});

test.each<unknown>([
  undefined,
  null,
  'text',
  { errors: [{ message: 'no' }] },
  { data: null },
  { data: { claimCode: { reason: 'POOL_EXHAUSTED' } } },
  { data: { createPool: null, activatePool: { name: 'no id asked for' } } },
  { data: { createPool: { id: 7 }, toString: { id: 'p1' } } },
])('nothing is learned from %j', (answer) => {
  expect(learn(known, answer)).toEqual(known);
});
