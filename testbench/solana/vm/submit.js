// sendTransaction and simulateTransaction.

import { base58, fromBase58, fromBase64 } from './codec.js';
import { INVALID_PARAMS, PREFLIGHT_FAILURE, RpcError, SIGNATURE_FAILURE, badParams } from './errors.js';
import { MAX_TRANSACTION_BYTES, parseTransaction, signaturesValid } from './message.js';
import { loadAddresses } from './meta.js';
import * as p from './params.js';
import { keyBytes } from './runtime.js';
import { describe } from './vmerrors.js';

const MAX_TEXT = { base58: 1683, base64: 1644 };

// decode turns the first parameter into a transaction.
function decode(text, encoding = 'base58') {
  if (typeof text !== 'string') throw badParams('transaction must be a string');
  if (!(encoding in MAX_TEXT)) throw badParams(`unsupported encoding ${JSON.stringify(encoding)}; use base64 or base58`);
  if (text.length > MAX_TEXT[encoding]) {
    throw new RpcError(INVALID_PARAMS, `${encoding} encoded transaction too large: ${text.length} bytes (max: encoded/raw ${MAX_TEXT[encoding]}/${MAX_TRANSACTION_BYTES})`);
  }
  const bytes = encoding === 'base64' ? fromBase64(text) : fromBase58(text);
  if (bytes === null) throw new RpcError(INVALID_PARAMS, `invalid ${encoding} encoding`);
  if (bytes.length > MAX_TRANSACTION_BYTES) {
    throw new RpcError(INVALID_PARAMS, `decoded transaction too large: ${bytes.length} bytes (max: ${MAX_TRANSACTION_BYTES} bytes)`);
  }
  try {
    return parseTransaction(bytes);
  } catch (e) {
    throw new RpcError(INVALID_PARAMS, `failed to deserialize transaction: ${e.message}`);
  }
}

// simulate runs tx on the newest state and keeps nothing. The blockhash is
// judged by the block that the commitment shows, as on a real node: a hash
// fetched as processed is unknown to a finalized bank.
function simulate(chain, tx, commitment) {
  const { ledger, runtime } = chain;
  const none = { logs: [], units: 0, inner: [], accounts: new Map() };
  const known = ledger.txs.get(tx.signature);
  if (known && known.height <= ledger.heightAt(commitment)) return { ...none, err: 'AlreadyProcessed' };
  if (chain.lifetime(tx, ledger.heightAt(commitment)) === null) return { ...none, err: 'BlockhashNotFound' };
  runtime.sync(ledger);
  return runtime.simulate(tx);
}

function preflight(chain, tx, commitment) {
  if (!signaturesValid(tx, keyBytes)) throw new RpcError(SIGNATURE_FAILURE, 'Transaction signature verification failure');
  const known = chain.ledger.txs.get(tx.signature);
  // An older bank does not know the transaction yet and would pass it again.
  if (known && known.height > chain.ledger.heightAt(commitment)) return;
  const result = simulate(chain, tx, commitment);
  if (result.err === null) return;
  throw new RpcError(PREFLIGHT_FAILURE, `Transaction simulation failed: ${describe(result.err)}`, {
    accounts: null,
    err: result.err,
    innerInstructions: null,
    logs: result.logs,
    returnData: result.returnData ?? null,
    unitsConsumed: result.units,
  });
}

export function sendTransaction({ chain, faults, minContext }, [text, options]) {
  const o = p.config(options);
  const tx = decode(text, o.encoding ?? undefined);
  const commitment = p.commitment(o.preflightCommitment);
  minContext(o, commitment);
  if (!o.skipPreflight) preflight(chain, tx, commitment);
  if (faults.hit('swallow')) return tx.signature;
  if (faults.hit('delayLanding')) chain.landLater(tx, faults.landAfter());
  else chain.land(tx);
  return tx.signature;
}

export function simulateTransaction({ chain, minContext, answer }, [text, options]) {
  const o = p.config(options);
  const tx = decode(text, o.encoding ?? undefined);
  const commitment = p.commitment(o.commitment);
  minContext(o, commitment);
  if (o.sigVerify && o.replaceRecentBlockhash) throw badParams('sigVerify may not be used with replaceRecentBlockhash');
  const value = { err: null, logs: [], accounts: null, unitsConsumed: 0, returnData: null, innerInstructions: null, replacementBlockhash: null };
  if (o.replaceRecentBlockhash) {
    const { hash, height } = chain.ledger.blockAt(commitment);
    replaceBlockhash(tx, hash);
    value.replacementBlockhash = { blockhash: hash, lastValidBlockHeight: height + 150 };
  }
  if (o.sigVerify && !signaturesValid(tx, keyBytes)) return answer({ ...value, err: 'SignatureFailure' });
  const result = simulate(chain, tx, commitment);
  Object.assign(value, { err: result.err, logs: result.logs, unitsConsumed: result.units, returnData: result.returnData ?? null });
  if (o.innerInstructions) value.innerInstructions = result.inner;
  if (o.accounts) value.accounts = postAccounts(chain, o.accounts, result);
  value.loadedAddresses = loadAddresses(chain.runtime, tx);
  return answer(value);
}

function replaceBlockhash(tx, hash) {
  const old = fromBase58(tx.blockhash);
  const versionBytes = tx.version === 0 ? 1 : 0;
  const at = tx.raw.length - tx.message.length + versionBytes + 3 + (tx.keys.length > 127 ? 2 : 1) + 32 * tx.keys.length;
  if (base58(tx.raw.subarray(at, at + 32)) !== base58(old)) throw new Error('blockhash not where the layout says');
  fromBase58(hash).copy(tx.raw, at);
  tx.blockhash = hash;
}

function postAccounts(chain, { addresses, encoding = 'base64' }, result) {
  return p.list(addresses, 'accounts.addresses', 64).map((a) => {
    if (result.err !== null) return null;
    const account = result.accounts.get(p.address(a)) ?? chain.runtime.account(a);
    if (account === null) return null;
    return { ...account, data: p.accountData(account.data, { encoding }), space: account.data.length };
  });
}
