// The AWS SDK for JavaScript: lists the pool that URL serves, and counts the
// users, or copies them into a table of the same columns as cognito_users.
//
// Usage: sdk.mjs URL [TABLE | --adaptive]
//
// With --adaptive it lists sixteen parts of the pool side by side, at the rate
// that the SDK's adaptive retry mode finds.
//
// Prints the number of users and the seconds that they took, without the time
// to load the modules and to connect to PostgreSQL.

import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { CognitoIdentityProviderClient, paginateListUsers }
  from '@aws-sdk/client-cognito-identity-provider';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

const [url, target] = process.argv.slice(2);

// A client of the pool.
function connect(options) {
  return new CognitoIdentityProviderClient({
    ...options,
    endpoint: url,
    region: 'eu-west-1',
    credentials: {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    },
  });
}

// All pages of what a filter matches.
function pages(client, filter) {
  return paginateListUsers({ client, pageSize: 60 },
    { UserPoolId: 'eu-west-1_AbCdEf123', Filter: filter });
}

// A value in COPY's text format.
function escape(value) {
  if (value === undefined)
    return '\\N';
  return value.replace(/[\\\t\n\r]/g,
    (c) => ({ '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' })[c]);
}

// A user as a line in COPY's text format.
function row(user) {
  const attributes = Object.fromEntries(
    (user.Attributes ?? []).map(({ Name, Value }) => [Name, Value]));

  return [
    user.Username, attributes.email, user.UserStatus, user.Enabled?.toString(),
    user.UserCreateDate?.toISOString(), user.UserLastModifiedDate?.toISOString(),
    JSON.stringify(attributes),
  ].map(escape).join('\t') + '\n';
}

// Counts the users that a filter matches.
async function count(client, filter) {
  let users = 0;

  for await (const page of pages(client, filter))
    users += page.Users.length;
  return users;
}

// Counts the users of all parts of the pool at once.
async function countAdaptively() {
  const client = connect({ retryMode: 'adaptive' });
  const counts = await Promise.all([...'0123456789abcdef'].map(
    (digit) => count(client, `sub ^= "${digit}"`)));

  return counts.reduce((a, b) => a + b);
}

// Copies the users into a table, a page at a time.
async function copy(database, table) {
  const stream = database.query(copyFrom(`copy ${table} from stdin`));

  for await (const page of pages(connect())) {
    if (!stream.write(page.Users.map(row).join('')))
      await once(stream, 'drain');
  }
  stream.end();
  await finished(stream);
  return stream.rowCount;
}

// Does what the command line asks for; returns the number of users.
function run(database) {
  if (target === undefined)
    return count(connect());
  if (target === '--adaptive')
    return countAdaptively();
  return copy(database, target);
}

const database = new pg.Client();
await database.connect();
const start = performance.now();
const users = await run(database);
console.log(users, (performance.now() - start) / 1000);
await database.end();
