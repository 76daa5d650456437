// Starts cognito-local, fills a pool through the AWS SDK, and prints a line of
// JSON: the endpoint, the region, the pool's id, and what the SDK reads of it,
// in the columns of the SQL functions. Prints such a line again for each line of
// its standard input, and serves until that ends.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import {
  AdminAddUserToGroupCommand,
  AdminCreateUserCommand,
  AdminDisableUserCommand,
  AdminSetUserPasswordCommand,
  CognitoIdentityProviderClient,
  CreateGroupCommand,
  CreateUserPoolClientCommand,
  CreateUserPoolCommand,
  DescribeUserPoolClientCommand,
  DescribeUserPoolCommand,
  InitiateAuthCommand,
  ListUserPoolClientsCommand,
  paginateAdminListGroupsForUser,
  paginateListGroups,
  paginateListUserPoolClients,
  paginateListUserPools,
  paginateListUsers,
  paginateListUsersInGroup,
} from "@aws-sdk/client-cognito-identity-provider";

const NAMES = ["Zoë Ångström", "李小龙", "O'Neil \"Quote\" \\ Back", "Дарья 🐘", "Plain Name"];

const GROUPS = [
  { GroupName: "admins", Description: "May do anything", Precedence: 0 },
  { GroupName: "Ärzte", RoleArn: "arn:aws:iam::123456789012:role/medical" },
  { GroupName: "nobody" },
];

/** Starts cognito-local on a free port, its data below the folder; resolves to process and URL. */
function startServer(folder) {
  // unless told, it makes every user name an e-mail address
  mkdirSync(`${folder}/.cognito`);
  writeFileSync(
    `${folder}/.cognito/config.json`,
    JSON.stringify({ UserPoolDefaults: { UsernameAttributes: [] } }),
  );
  const program = fileURLToPath(import.meta.resolve("cognito-local/lib/bin/start.js"));
  const server = spawn(process.execPath, [program], {
    cwd: folder,
    env: { ...process.env, HOST: "127.0.0.1", PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let log = "";
    server.on("exit", (code) => reject(new Error(`cognito-local ended with ${code}: ${log}`)));
    server.stdout.on("data", (chunk) => {
      log += chunk;
      const url = /http:\/\/127\.0\.0\.1:\d+/.exec(log);
      if (url) resolve({ server, endpoint: url[0] });
    });
  });
}

/** Makes the i-th of varied users: some without e-mail, disabled, or confirmed. */
async function createUser(client, UserPoolId, i) {
  const Username = i % 10 === 3 ? `użytkownik-${i}` : `user-${i}`;
  const attributes = { name: NAMES[i % NAMES.length], "custom:number": String(i) };
  if (i % 25 !== 7) attributes.email = `${Username}@example.org`;
  await client.send(
    new AdminCreateUserCommand({
      UserPoolId,
      Username,
      MessageAction: "SUPPRESS",
      UserAttributes: Object.entries(attributes).map(([Name, Value]) => ({ Name, Value })),
    }),
  );
  if (i % 20 === 5) await client.send(new AdminDisableUserCommand({ UserPoolId, Username }));
  if (i % 3 === 0)
    await client.send(
      new AdminSetUserPasswordCommand({ UserPoolId, Username, Password: "Passw0rd!", Permanent: true }),
    );
}

/** Makes the groups of a pool; some of its users are in two of them. */
async function createGroups(client, UserPoolId) {
  for (const group of GROUPS) await client.send(new CreateGroupCommand({ UserPoolId, ...group }));
  const users = await list(client, paginateListUsers, { UserPoolId }, "Users", (user) => user);
  for (const [GroupName, every] of [["admins", 20], ["Ärzte", 3]])
    for (let i = 0; i < users.length; i += every) {
      const member = { UserPoolId, GroupName, Username: users[i].Username };
      await client.send(new AdminAddUserToGroupCommand(member));
    }
}

/** Makes app clients of a pool, one of them with a secret. */
async function createClients(client, UserPoolId) {
  for (const [ClientName, GenerateSecret] of [["Web", false], ["Büro 🏢", true]])
    await client.send(new CreateUserPoolClientCommand({ UserPoolId, ClientName, GenerateSecret }));
}

/** A date as PostgreSQL's JSON has it. */
const date = (value) => value.toISOString().replace(/\.?0*Z$/, "+00:00");

/** A user in the columns of cognito_users. */
function userRow(user) {
  const attributes = Object.fromEntries(user.Attributes.map(({ Name, Value }) => [Name, Value]));
  return {
    username: user.Username,
    email: attributes.email ?? null,
    status: user.UserStatus,
    enabled: user.Enabled,
    created_at: date(user.UserCreateDate),
    updated_at: date(user.UserLastModifiedDate),
    attributes,
  };
}

/** A group in the columns of cognito_groups. */
function groupRow(group) {
  return {
    group_name: group.GroupName,
    description: group.Description ?? null,
    role_arn: group.RoleArn ?? null,
    precedence: group.Precedence ?? null,
    created_at: date(group.CreationDate),
    updated_at: date(group.LastModifiedDate),
  };
}

/** A pool in the columns of cognito_user_pools. */
function poolRow(pool) {
  return {
    id: pool.Id,
    name: pool.Name,
    status: pool.Status ?? null,
    created_at: date(pool.CreationDate),
    updated_at: date(pool.LastModifiedDate),
  };
}

/** What a service tells of an object, with dates in seconds as it sends them. */
function details(object) {
  const text = JSON.stringify(object, function (key, value) {
    return this[key] instanceof Date ? this[key].getTime() / 1000 : value;
  });
  return JSON.parse(text);
}

/** A described pool in the columns of cognito_user_pool. */
function describedPoolRow(pool) {
  const { status, ...row } = poolRow(pool);
  return {
    ...row,
    arn: pool.Arn,
    mfa_configuration: pool.MfaConfiguration ?? null,
    estimated_users: pool.EstimatedNumberOfUsers ?? null,
    deletion_protection: pool.DeletionProtection ?? null,
    details: details(pool),
  };
}

/** A described app client in the columns of cognito_app_client. */
function describedClientRow({ ClientSecret, ...client }) {
  return {
    client_id: client.ClientId,
    client_name: client.ClientName,
    created_at: date(client.CreationDate),
    updated_at: date(client.LastModifiedDate),
    details: details(client),
  };
}

/** Everything that an operation lists, each item made into a row. */
async function list(client, paginate, request, items, makeRow) {
  const rows = [];
  for await (const page of paginate({ client }, request)) rows.push(...page[items].map(makeRow));
  return rows;
}

/** Asks for each of some names; an object of the answers by name. */
async function ofEach(names, ask) {
  const answers = {};
  for (const name of names) answers[name] = await ask(name);
  return answers;
}

/** What the SDK reads of a pool, and of all pools. */
async function read(client, UserPoolId) {
  const pool = { UserPoolId };
  const users = await list(client, paginateListUsers, pool, "Users", userRow);
  const groups = await list(client, paginateListGroups, pool, "Groups", groupRow);
  const clients = await list(client, paginateListUserPoolClients, pool, "UserPoolClients", (found) => ({
    client_id: found.ClientId,
    client_name: found.ClientName,
  }));
  const described = await ofEach(
    clients.map((row) => row.client_id),
    async (ClientId) =>
      (await client.send(new DescribeUserPoolClientCommand({ UserPoolId, ClientId }))).UserPoolClient,
  );
  return {
    users,
    groups,
    group_users: await ofEach(
      groups.map((row) => row.group_name),
      (GroupName) =>
        list(client, paginateListUsersInGroup, { ...pool, GroupName }, "Users", userRow),
    ),
    user_groups: await ofEach(
      users.map((row) => row.username),
      (Username) =>
        list(client, paginateAdminListGroupsForUser, { ...pool, Username }, "Groups", groupRow),
    ),
    user_pools: await list(client, paginateListUserPools, { MaxResults: 60 }, "UserPools", poolRow),
    user_pool: [
      describedPoolRow((await client.send(new DescribeUserPoolCommand(pool))).UserPool),
    ],
    app_clients: clients,
    app_client: Object.values(described).map(describedClientRow),
    secrets: Object.values(described).flatMap((found) => found.ClientSecret ?? []),
  };
}

const folder = mkdtempSync(`${tmpdir()}/cognito-local-`);
process.on("exit", () => rmSync(folder, { recursive: true }));
const { server, endpoint } = await startServer(folder);
process.on("exit", () => server.kill());

const region = "local";
const credentials = { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "anything" };
const client = new CognitoIdentityProviderClient({ endpoint, region, credentials });
const { UserPool } = await client.send(
  new CreateUserPoolCommand({ PoolName: "interop", MfaConfiguration: "OPTIONAL" }),
);
for (let i = 0; i < 75; i++) await createUser(client, UserPool.Id, i);
await createGroups(client, UserPool.Id);
await createClients(client, UserPool.Id);

const other = await client.send(new CreateUserPoolCommand({ PoolName: "another pool" }));
await createClients(client, other.UserPool.Id);

/** What a user who signs in through the first app client gets: the client's id, and tokens. */
async function signIn(Username) {
  const { UserPoolClients } = await client.send(new ListUserPoolClientsCommand({ UserPoolId: UserPool.Id }));
  const { ClientId } = UserPoolClients.find((found) => found.ClientName === "Web");
  const { AuthenticationResult } = await client.send(
    new InitiateAuthCommand({
      ClientId,
      AuthFlow: "USER_PASSWORD_AUTH",
      AuthParameters: { USERNAME: Username, PASSWORD: "Passw0rd!" },
    }),
  );
  return { client_id: ClientId, id: AuthenticationResult.IdToken, access: AuthenticationResult.AccessToken };
}

/** Prints the line of JSON. */
async function report() {
  const state = await read(client, UserPool.Id);
  console.log(JSON.stringify({ endpoint, region, user_pool_id: UserPool.Id, tokens, ...state }));
}

const tokens = await signIn("user-0");
await report();
for await (const _ of createInterface({ input: process.stdin })) await report();
process.exit();
