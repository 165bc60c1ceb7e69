// Methods that read what landed: statuses, transactions, blocks.

import { base58 } from './codec.js';
import { BLOCK_NOT_AVAILABLE, RpcError, UNSUPPORTED_VERSION, badParams } from './errors.js';
import { parseTransaction } from './message.js';
import * as p from './params.js';

export function getSignatureStatuses({ chain, faults, answer }, [signatures, options]) {
  const search = p.config(options).searchTransactionHistory === true;
  return answer(
    p.list(signatures, 'signatures', 256).map((s) => {
      if (faults.hides(p.signature(s)) || faults.hit('nullStatus') || faults.forgets(chain.ledger, chain.ledger.txs.get(s)?.height ?? Infinity)) return null;
      return chain.ledger.status(s, search);
    }),
    'processed',
  );
}

export function getTransaction({ chain, faults }, [signature, options]) {
  // The second parameter may be the encoding alone, an old form.
  const o = typeof options === 'string' ? { encoding: options } : p.config(options);
  const commitment = p.atLeastConfirmed(o.commitment);
  const record = chain.ledger.txs.get(p.signature(signature));
  if (!record || faults.hides(signature) || faults.forgets(chain.ledger, record.height) || record.height > chain.ledger.heightAt(commitment)) return null;
  const tx = parseTransaction(Buffer.from(record.raw, 'base64'));
  if (tx.version !== 'legacy' && !(o.maxSupportedTransactionVersion >= tx.version)) {
    throw new RpcError(UNSUPPORTED_VERSION, `Transaction version (${tx.version}) is not supported by the requesting client. Please try the request again with the following configuration parameter: "maxSupportedTransactionVersion": ${tx.version}`);
  }
  return {
    slot: record.slot,
    blockTime: record.blockTime,
    version: o.maxSupportedTransactionVersion === undefined ? undefined : tx.version,
    transaction: encode(tx, o.encoding ?? 'json'),
    meta: metaJSON(record),
  };
}

function metaJSON({ err, meta }) {
  return {
    ...meta,
    err,
    status: err === null ? { Ok: null } : { Err: err },
    fee: BigInt(meta.fee),
    preBalances: meta.preBalances.map(BigInt),
    postBalances: meta.postBalances.map(BigInt),
    rewards: [],
  };
}

function encode(tx, encoding) {
  switch (encoding) {
    case 'base64':
      return [tx.raw.toString('base64'), 'base64'];
    case 'base58':
      return [base58(tx.raw), 'base58'];
    case 'json':
      return { signatures: tx.signatures.map(base58), message: messageJSON(tx) };
    default:
      throw badParams(`encoding ${JSON.stringify(encoding)} is not supported; use json or base64`);
  }
}

function messageJSON(tx) {
  return {
    header: {
      numRequiredSignatures: tx.header.signers,
      numReadonlySignedAccounts: tx.header.readonlySigners,
      numReadonlyUnsignedAccounts: tx.header.readonlyOthers,
    },
    accountKeys: tx.keys,
    recentBlockhash: tx.blockhash,
    instructions: tx.instructions.map(({ program, accounts, data }) => ({ programIdIndex: program, accounts, data: base58(data), stackHeight: null })),
    addressTableLookups: tx.version === 'legacy'
      ? undefined
      : tx.lookups.map(({ table, writable, readonly }) => ({ accountKey: table, writableIndexes: writable, readonlyIndexes: readonly })),
  };
}

// getSignaturesForAddress: newest first, `before` and `until` exclusive.
export function getSignaturesForAddress({ chain, faults }, [key, options]) {
  const o = p.config(options);
  const { ledger } = chain;
  const limit = p.integer(o.limit ?? 1000, 'limit', { min: 1, max: 1000 });
  const top = ledger.heightAt(p.atLeastConfirmed(o.commitment));
  // `before` may be any known signature, also one of another address.
  const below = o.before ? ledger.txs.get(p.signature(o.before))?.seq ?? 0 : Infinity;
  const above = o.until ? ledger.txs.get(p.signature(o.until))?.seq ?? 0 : 0;
  const found = [];
  for (const record of ledger.history(p.address(key))) {
    if (record.seq <= above || found.length === limit || faults.forgets(ledger, record.height)) break;
    if (record.seq >= below || record.height > top || faults.hides(record.signature)) continue;
    const { signature, slot, err, memo, blockTime } = record;
    found.push({ signature, slot, err, memo, blockTime, confirmationStatus: ledger.level(record.height) });
  }
  return found;
}

// getFirstAvailableBlock is the lowest slot from which on nothing is forgotten.
export function getFirstAvailableBlock({ chain, faults }) {
  const { ledger } = chain;
  const { keepBlocks } = faults.settings;
  const kept = ledger.firstKept();
  const oldest = ledger.height - keepBlocks + 1;
  if (keepBlocks === 0 || oldest <= ledger.first) return kept;
  return Math.max(kept, ledger.blocks.get(oldest)?.slot ?? kept);
}

// block finds a slot's block that is at least at the commitment.
function block(ledger, slot, commitment) {
  p.integer(slot, 'slot');
  const found = ledger.blockOfSlot(slot);
  if (found === null || found.height > ledger.heightAt(commitment)) {
    throw new RpcError(BLOCK_NOT_AVAILABLE, `Block not available for slot ${slot}`);
  }
  return found;
}

export function getBlockTime({ chain }, [slot]) {
  return block(chain.ledger, slot, 'confirmed').time;
}

// getBlock answers header fields and, unless transactionDetails is "none",
// the signatures; whole transactions are not offered.
export function getBlock({ chain }, [slot, options]) {
  const o = p.config(options);
  const details = o.transactionDetails ?? 'signatures';
  if (details !== 'none' && details !== 'signatures') throw badParams('transactionDetails must be none or signatures');
  const found = block(chain.ledger, slot, p.atLeastConfirmed(o.commitment));
  const parent = chain.ledger.blocks.get(found.height - 1);
  return {
    blockhash: found.hash,
    previousBlockhash: parent?.hash ?? chain.ledger.genesis,
    parentSlot: parent?.slot ?? found.slot,
    blockHeight: found.height,
    blockTime: found.time,
    signatures: details === 'none' ? undefined : found.signatures,
  };
}

// getBlocksWithLimit lists the slots, from one on, that have a block.
export function getBlocksWithLimit({ chain }, [start, limit, options]) {
  const { ledger } = chain;
  p.integer(start, 'start slot');
  p.integer(limit, 'limit');
  const top = ledger.heightAt(p.atLeastConfirmed(p.config(options).commitment));
  const oldest = ledger.blocks.get(ledger.first).slot;
  if (start < oldest) throw new RpcError(BLOCK_NOT_AVAILABLE, `Block ${start} cleaned up, does not exist on node. First available block: ${oldest}`);
  const slots = [];
  for (let h = ledger.heightFrom(start); h <= top && slots.length < Math.min(limit, 500_000); h++) {
    slots.push(ledger.blocks.get(h).slot);
  }
  return slots;
}

// getRecentPrioritizationFees: of each of the last 150 blocks, the lowest
// price (micro-lamports a unit) among transactions that write all accounts.
export function getRecentPrioritizationFees({ chain }, [keys]) {
  const { ledger } = chain;
  const accounts = p.list(keys ?? [], 'addresses', 128).map((k) => p.address(k));
  const fees = [];
  for (let h = Math.max(ledger.first, ledger.height - 149); h <= ledger.height; h++) {
    const { slot, signatures } = ledger.blocks.get(h);
    const prices = signatures
      .map((s) => ledger.txs.get(s))
      .filter((r) => r && accounts.every((a) => r.writable.includes(a)))
      .map((r) => Number(r.price));
    fees.push({ slot, prioritizationFee: prices.length === 0 ? 0 : Math.min(...prices) });
  }
  return fees;
}
