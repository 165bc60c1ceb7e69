// The record of a landed transaction: the balances around it and the memo.
// Amounts of lamports are decimal strings here, so that a record survives
// JSON; rpc.js writes them as numbers.

import { computeBudget, fee } from './fees.js';
import { isWritable } from './message.js';
import { MEMO, MEMO_V1, isTokenAccount, lookupAddresses, readMint, readTokenAccount, uiAmount } from './programs.js';

// loadAddresses resolves the address table lookups of a message. An index
// that its table lacks is left out: the VM refuses such a transaction.
export function loadAddresses(runtime, msg) {
  const loaded = { writable: [], readonly: [] };
  for (const { table, writable, readonly } of msg.lookups) {
    const account = runtime.account(table);
    const addresses = account === null ? [] : lookupAddresses(account);
    loaded.writable.push(...writable.filter((i) => i < addresses.length).map((i) => addresses[i]));
    loaded.readonly.push(...readonly.filter((i) => i < addresses.length).map((i) => addresses[i]));
  }
  return loaded;
}

// balances reads lamports and tokens of each account, in order.
export function balances(runtime, keys) {
  const lamports = [];
  const tokens = [];
  keys.forEach((key, accountIndex) => {
    const account = runtime.account(key);
    lamports.push(account === null ? '0' : account.lamports.toString());
    if (!isTokenAccount(account)) return;
    const { mint, owner, amount } = readTokenAccount(account);
    const decimals = readMint(runtime.account(mint))?.decimals ?? 0;
    tokens.push({ accountIndex, mint, owner, programId: account.owner, uiTokenAmount: uiAmount(amount, decimals) });
  });
  return { lamports, tokens };
}

// record is what the ledger keeps of a transaction that landed.
export function record({ tx, loaded, keys, pre, post, result }) {
  const { price } = computeBudget(tx);
  return {
    signature: tx.signature,
    raw: tx.raw.toString('base64'),
    err: result.err,
    keys: [...new Set(keys)],
    writable: keys.filter((_, i) => isWritable(tx, i, loaded.writable.length)),
    price: price.toString(),
    memo: memo(tx),
    meta: {
      fee: fee(tx).toString(),
      preBalances: pre.lamports,
      postBalances: post.lamports,
      preTokenBalances: pre.tokens,
      postTokenBalances: post.tokens,
      logMessages: result.logs,
      innerInstructions: result.inner,
      loadedAddresses: loaded,
      computeUnitsConsumed: result.units,
      returnData: result.returnData,
    },
  };
}

// memo joins the memos in the form of getSignaturesForAddress: "[len] text".
function memo(tx) {
  const texts = tx.instructions
    .filter(({ program }) => tx.keys[program] === MEMO || tx.keys[program] === MEMO_V1)
    .map(({ data }) => `[${data.length}] ${data.toString('utf8')}`);
  return texts.length === 0 ? null : texts.join('; ');
}
