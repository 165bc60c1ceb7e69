// Addresses and account layouts that the facade must understand by itself.

import { base58 } from './codec.js';

export const SYSTEM = '11111111111111111111111111111111';
export const COMPUTE_BUDGET = 'ComputeBudget111111111111111111111111111111';
export const TOKEN = 'TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA';
export const TOKEN_2022 = 'TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb';
export const MEMO = 'MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr';
export const MEMO_V1 = 'Memo1UhkJRfHyvLMcVucJwxXeuD728EqVDDwQDxFMNo';
export const BUILTINS = new Set([
  SYSTEM,
  COMPUTE_BUDGET,
  'Vote111111111111111111111111111111111111111',
  'BPFLoaderUpgradeab1e11111111111111111111111',
  'BPFLoader1111111111111111111111111111111111',
  'BPFLoader2111111111111111111111111111111111',
  'LoaderV411111111111111111111111111111111111',
  'KeccakSecp256k11111111111111111111111111111',
  'Ed25519SigVerify111111111111111111111111111',
]);
export const PRECOMPILES = new Set([
  'KeccakSecp256k11111111111111111111111111111',
  'Ed25519SigVerify111111111111111111111111111',
  'Secp256r1SigVerify1111111111111111111111111',
]);

const ACCOUNT_LEN = 165; // also the offset of Token-2022's account type byte

// isTokenAccount: the account belongs to a token program, has a token
// account's length (or extensions and the account type 2) and is initialized.
export function isTokenAccount(account) {
  if (account === null || (account.owner !== TOKEN && account.owner !== TOKEN_2022)) return false;
  const { data } = account;
  const shape = data.length === ACCOUNT_LEN || (account.owner === TOKEN_2022 && data.length > ACCOUNT_LEN && data[ACCOUNT_LEN] === 2);
  return shape && data[108] !== 0;
}

export function readTokenAccount({ data }) {
  return { mint: base58(data.subarray(0, 32)), owner: base58(data.subarray(32, 64)), amount: data.readBigUInt64LE(64) };
}

// readMint returns {supply, decimals} or null when account is not a mint.
export function readMint(account) {
  if (account === null || (account.owner !== TOKEN && account.owner !== TOKEN_2022)) return null;
  const { data } = account;
  const shape = data.length === 82 || (account.owner === TOKEN_2022 && data.length > ACCOUNT_LEN && data[ACCOUNT_LEN] === 1);
  if (!shape || data[45] !== 1) return null;
  return { supply: data.readBigUInt64LE(36), decimals: data[44] };
}

// uiAmount is the four-field form of a token amount.
export function uiAmount(amount, decimals) {
  const digits = amount.toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/0+$/, '');
  const text = fraction === '' ? whole : `${whole}.${fraction}`;
  return { amount: amount.toString(), decimals, uiAmount: Number(text), uiAmountString: text };
}

// lookupAddresses returns the addresses of a lookup table account.
export function lookupAddresses({ data }) {
  const addresses = [];
  for (let at = 56; at + 32 <= data.length; at += 32) addresses.push(base58(data.subarray(at, at + 32)));
  return addresses;
}

// readNonce returns {nonce} of an initialized nonce account, or null.
export function readNonce(account) {
  if (account === null || account.owner !== SYSTEM || account.data.length !== 80) return null;
  if (account.data.readUInt32LE(0) !== 1 || account.data.readUInt32LE(4) !== 1) return null;
  return { nonce: base58(account.data.subarray(40, 72)) };
}
