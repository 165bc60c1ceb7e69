// The table of Solana's methods, and those about the cluster as a whole.

import * as accounts from './accounts.js';
import { MIN_CONTEXT_SLOT, RpcError, badParams } from './errors.js';
import { fee } from './fees.js';
import * as history from './history.js';
import { HASH_AGE } from './ledger.js';
import { parseMessage } from './message.js';
import * as p from './params.js';
import { SLOTS_PER_EPOCH } from './runtime.js';
import { sendTransaction, simulateTransaction } from './submit.js';

export const API_VERSION = '4.0.0';

// context is what every method receives as its first argument: the chain,
// the node's faults, and the common forms of an answer.
export function context(chain, faults) {
  const block = (commitment) => chain.ledger.blockAt(commitment, faults.settings.staleBlocks);
  const minContext = (o, commitment) => {
    const { slot } = block(commitment);
    if (o.minContextSlot !== undefined && o.minContextSlot > slot) {
      throw new RpcError(MIN_CONTEXT_SLOT, 'Minimum context slot has not been reached', { contextSlot: slot });
    }
  };
  const answer = (value, commitment = 'finalized') => ({ context: { apiVersion: API_VERSION, slot: block(commitment).slot }, value });
  const read = (o, value) => {
    const commitment = p.commitment(o.commitment);
    minContext(o, commitment);
    return answer(value, commitment);
  };
  // at is the block that a request's options point to.
  const at = (options) => {
    const o = p.config(options);
    const commitment = p.commitment(o.commitment);
    minContext(o, commitment);
    return block(commitment);
  };
  return { chain, faults, minContext, answer, read, at };
}

const cluster = {
  getHealth: () => 'ok',
  getVersion: () => ({ 'solana-core': API_VERSION, 'feature-set': 0 }),
  getGenesisHash: ({ chain, faults }) => faults.settings.genesis || chain.ledger.genesis,
  getSlot: ({ at }, [o]) => at(o).slot,
  getBlockHeight: ({ at }, [o]) => at(o).height,
  getFirstAvailableBlock: ({ chain }) => chain.ledger.keptFrom ?? 0,
  getTransactionCount: ({ chain }) => chain.ledger.total,

  getEpochInfo({ chain, at }, [o]) {
    const { slot, height } = at(o);
    return {
      absoluteSlot: slot,
      blockHeight: height,
      epoch: Math.floor(slot / SLOTS_PER_EPOCH),
      slotIndex: slot % SLOTS_PER_EPOCH,
      slotsInEpoch: SLOTS_PER_EPOCH,
      transactionCount: chain.ledger.total,
    };
  },

  getLatestBlockhash(ctx, [options]) {
    const { hash, height } = ctx.at(options);
    return ctx.read(p.config(options), { blockhash: hash, lastValidBlockHeight: height + HASH_AGE });
  },

  isBlockhashValid(ctx, [hash, options]) {
    return ctx.read(p.config(options), ctx.chain.ledger.hashValid(p.address(hash, 'blockhash'), ctx.at(options).height));
  },

  getMinimumBalanceForRentExemption({ chain }, [bytes]) {
    return chain.runtime.rentExempt(p.integer(bytes, 'data length', { max: 10 * 1024 * 1024 }));
  },

  getFeeForMessage(ctx, [text, options]) {
    let message;
    try {
      message = parseMessage(p.base64(text, 'message'));
    } catch (e) {
      throw e instanceof RpcError ? e : badParams(`message: ${e.message}`);
    }
    const valid = ctx.chain.lifetime(message, ctx.at(options).height) !== null;
    return ctx.read(p.config(options), valid ? fee(message) : null);
  },

  requestAirdrop({ chain }, [to, lamports]) {
    const record = chain.airdrop(p.address(to), BigInt(p.integer(lamports, 'lamports', { min: 1 })));
    if (record === null) throw new RpcError(-32603, 'airdrop request failed: the faucet is empty');
    return record.signature;
  },
};

export const METHODS = new Map(Object.entries({ ...cluster, ...accounts, ...history, sendTransaction, simulateTransaction }));
