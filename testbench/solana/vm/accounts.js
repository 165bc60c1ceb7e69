// Methods that read accounts. They always show the newest state; the
// commitment only sets the slot in the answer's context (see README).

import { fromBase58 } from './codec.js';
import { badParams } from './errors.js';
import * as p from './params.js';
import { TOKEN, TOKEN_2022, isTokenAccount, readMint, readTokenAccount, uiAmount } from './programs.js';

function show(account, options) {
  if (account === null) return null;
  const { data, ...rest } = account;
  return { ...rest, data: p.accountData(data, options), space: data.length };
}

export function getBalance(ctx, [key, options]) {
  const o = p.config(options);
  return ctx.read(o, ctx.chain.runtime.account(p.address(key))?.lamports ?? 0);
}

export function getAccountInfo(ctx, [key, options]) {
  const o = p.config(options);
  return ctx.read(o, show(ctx.chain.runtime.account(p.address(key)), o));
}

export function getMultipleAccounts(ctx, [keys, options]) {
  const o = { encoding: 'base64', ...p.config(options) };
  return ctx.read(o, p.list(keys, 'addresses', 100).map((k) => show(ctx.chain.runtime.account(p.address(k)), o)));
}

export function getTokenAccountBalance(ctx, [key, options]) {
  const { runtime } = ctx.chain;
  const account = runtime.account(p.address(key));
  if (account === null) throw badParams('could not find account');
  if (!isTokenAccount(account)) throw badParams('not a Token account');
  const { mint, amount } = readTokenAccount(account);
  return ctx.read(p.config(options), uiAmount(amount, readMint(runtime.account(mint))?.decimals ?? 0));
}

export function getTokenSupply(ctx, [key, options]) {
  const mint = readMint(ctx.chain.runtime.account(p.address(key)));
  if (mint === null) throw badParams('not a Token mint');
  return ctx.read(p.config(options), uiAmount(mint.supply, mint.decimals));
}

export function getProgramAccounts(ctx, [program, options]) {
  const o = p.config(options);
  const filters = p.list(o.filters ?? [], 'filters', 4).map(filter);
  const found = ctx.chain.runtime
    .programAccounts(p.address(program))
    .filter(({ account }) => account.lamports > 0n && filters.every((pass) => pass(account.data)))
    .map(({ address, account }) => ({ pubkey: address, account: show(account, o) }));
  const answer = ctx.read(o, found);
  return o.withContext ? answer : found;
}

export function getTokenAccountsByOwner(ctx, [owner, filter, options]) {
  const o = { encoding: 'base64', ...p.config(options) };
  const { mint, programId } = p.config(filter);
  if ((mint === undefined) === (programId === undefined)) throw badParams('give either mint or programId');
  const programs = programId === undefined ? [TOKEN, TOKEN_2022] : [p.address(programId, 'programId')];
  p.address(owner, 'owner');
  const found = programs
    .flatMap((id) => ctx.chain.runtime.programAccounts(id))
    .filter(({ account }) => isTokenAccount(account))
    .filter(({ account }) => {
      const token = readTokenAccount(account);
      return token.owner === owner && (mint === undefined || token.mint === mint);
    });
  return ctx.read(o, found.map(({ address, account }) => ({ pubkey: address, account: show(account, o) })));
}

function filter(f) {
  if (f === null || typeof f !== 'object') throw badParams('a filter must be an object');
  if (f.dataSize !== undefined) return (data) => data.length === f.dataSize;
  if (f.memcmp === undefined) throw badParams('only the filters dataSize and memcmp are supported');
  const { bytes, encoding = 'base58' } = f.memcmp;
  const offset = p.integer(f.memcmp.offset, 'memcmp.offset');
  if (typeof bytes !== 'string' || bytes.length > 175) throw badParams('memcmp.bytes must be a string of at most 128 bytes');
  const want = encoding === 'base64' ? p.base64(bytes, 'memcmp.bytes') : fromBase58(bytes);
  if (want === null) throw badParams('memcmp.bytes does not decode');
  return (data) => data.subarray(offset, offset + want.length).equals(want);
}
