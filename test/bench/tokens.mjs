// Tokens of a user pool: signs some, or verifies them with aws-jwt-verify.
//
// Usage: tokens.mjs sign FOLDER POOL N
//        tokens.mjs verify FOLDER POOL
//
// FOLDER has the secret key in PEM format as "key"; signing adds "jwks" and "tokens", of
// which each line is an access token. Verifying prints how many are verified in a second of
// CPU time, with verify and with verifySync.

import { createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { CognitoJwtVerifier } from 'aws-jwt-verify';

const [task, folder, userPoolId, number] = process.argv.slice(2);
const CLIENT = '1example23456789';
const SECONDS = 1;

// The i-th token: the claims are those of Cognito.
function makeToken(key, i) {
  const now = Math.floor(Date.now() / 1000);
  const uuid = `6d7c6a5e-1f7a-4c9f-9d2c-${String(i).padStart(12, '0')}`;
  const parts = [
    { kid: 'q8EF+GyHxRcsmCBEOfkV3nhwOXcXvuVoP3hSzVRYg0Q=', alg: 'RS256' },
    {
      sub: uuid,
      'cognito:groups': ['admins', 'staff'],
      iss: `https://cognito-idp.eu-west-1.amazonaws.com/${userPoolId}`,
      client_id: CLIENT,
      origin_jti: uuid,
      event_id: uuid,
      token_use: 'access',
      scope: 'aws.cognito.signin.user.admin',
      auth_time: now,
      exp: now + 3600,
      iat: now,
      jti: uuid,
      username: uuid,
    },
  ];
  const signed = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');

  return `${signed}.${sign('sha256', signed, key).toString('base64url')}`;
}

// Writes the keys and the tokens.
function makeTokens() {
  const key = createPrivateKey(readFileSync(`${folder}/key`));
  const jwk = {
    ...createPublicKey(key).export({ format: 'jwk' }),
    kid: 'q8EF+GyHxRcsmCBEOfkV3nhwOXcXvuVoP3hSzVRYg0Q=',
    use: 'sig',
    alg: 'RS256',
  };

  writeFileSync(`${folder}/jwks`, JSON.stringify({ keys: [jwk] }));
  writeFileSync(`${folder}/tokens`,
    Array.from({ length: Number(number) }, (_, i) => makeToken(key, i)).join('\n'));
}

// How often a second of CPU time a function is called with a token.
async function rate(verify, tokens) {
  const start = process.cpuUsage();
  let n = 0;
  let used = 0;

  while (used < SECONDS * 1e6) {
    for (const token of tokens)
      await verify(token);
    n += tokens.length;
    const { user, system } = process.cpuUsage(start);
    used = user + system;
  }
  return n / (used / 1e6);
}

// Verifies the tokens.
async function verifyTokens() {
  const tokens = readFileSync(`${folder}/tokens`, 'ascii').split('\n');
  const verifier = CognitoJwtVerifier.create({ userPoolId, tokenUse: 'access', clientId: CLIENT });

  verifier.cacheJwks(JSON.parse(readFileSync(`${folder}/jwks`, 'ascii')));
  for (const verify of [(token) => verifier.verify(token), (token) => verifier.verifySync(token)]) {
    await rate(verify, tokens.slice(0, 10));
    console.log(await rate(verify, tokens));
  }
}

await (task === 'sign' ? makeTokens() : verifyTokens());
