// The AWS SDK for JavaScript: lists the pool that URL serves, and counts the
// users, or copies them into a table of the same columns as cognito_users.
//
// Usage: sdk.mjs URL [TABLE]
//
// Prints the number of users and the seconds that they took, without the time
// to load the modules and to connect to PostgreSQL.

import { once } from 'node:events';
import { finished } from 'node:stream/promises';
import { CognitoIdentityProviderClient, paginateListUsers }
  from '@aws-sdk/client-cognito-identity-provider';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';

const [url, table] = process.argv.slice(2);

// All pages of the pool.
function pages() {
  const client = new CognitoIdentityProviderClient({
    endpoint: url,
    region: 'eu-west-1',
    credentials: {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    },
  });
  return paginateListUsers({ client, pageSize: 60 }, { UserPoolId: 'eu-west-1_AbCdEf123' });
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

// Counts the users.
async function count() {
  let users = 0;

  for await (const page of pages())
    users += page.Users.length;
  return users;
}

// Copies the users into the table, a page at a time.
async function copy(database) {
  const stream = database.query(copyFrom(`copy ${table} from stdin`));

  for await (const page of pages()) {
    if (!stream.write(page.Users.map(row).join('')))
      await once(stream, 'drain');
  }
  stream.end();
  await finished(stream);
  return stream.rowCount;
}

const database = new pg.Client();
await database.connect();
const start = performance.now();
const users = table ? await copy(database) : await count();
console.log(users, (performance.now() - start) / 1000);
await database.end();
