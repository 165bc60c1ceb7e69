// What a transaction costs: the base fee a signature and the priority fee.

import { BUILTINS, COMPUTE_BUDGET, PRECOMPILES } from './programs.js';

const LAMPORTS_PER_SIGNATURE = 5000n;
const MAX_UNITS = 1_400_000;

// computeBudget reads the requested limit (units) and price
// (micro-lamports a unit) from the ComputeBudget instructions.
export function computeBudget(msg) {
  let limit = 0;
  let price = 0n;
  let requested = false;
  for (const { program, data } of msg.instructions) {
    const id = msg.keys[program];
    if (id === COMPUTE_BUDGET && data[0] === 2 && data.length === 5) {
      limit = data.readUInt32LE(1);
      requested = true;
    } else if (id === COMPUTE_BUDGET && data[0] === 3 && data.length === 9) {
      price = data.readBigUInt64LE(1);
    }
  }
  if (!requested) for (const { program } of msg.instructions) limit += BUILTINS.has(msg.keys[program]) ? 3000 : 200_000;
  return { limit: Math.min(limit, MAX_UNITS), price };
}

// fee is in lamports (BigInt).
export function fee(msg) {
  let signatures = BigInt(msg.header.signers);
  for (const { program, data } of msg.instructions) {
    if (PRECOMPILES.has(msg.keys[program]) && data.length > 0) signatures += BigInt(data[0]);
  }
  const { limit, price } = computeBudget(msg);
  return signatures * LAMPORTS_PER_SIGNATURE + (BigInt(limit) * price + 999_999n) / 1_000_000n;
}
