// The chain on disk: one file of a header line, the ledger as JSON, and the
// VM's snapshot. A reader sees the old state or the new one, never a mixture.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { sha256 } from './codec.js';

const FORMAT = 1;

export class Store {
  constructor(path) {
    this.path = path;
    this.chain = null;
  }

  // load returns what Chain's constructor takes, or null for a new file.
  load() {
    let bytes;
    try {
      bytes = readFileSync(this.path);
    } catch (e) {
      if (e.code === 'ENOENT') return null;
      throw e;
    }
    const end = bytes.indexOf(0x0a);
    const broken = (why) => new Error(`state file ${this.path}: ${why}; move it away to start a new chain`);
    let header;
    try {
      header = JSON.parse(bytes.subarray(0, end).toString());
    } catch {
      throw broken('no header');
    }
    if (header.format !== FORMAT) throw broken(`format ${header.format}, this version reads ${FORMAT}`);
    const body = bytes.subarray(end + 1);
    if (sha256(body).toString('hex') !== header.sha256) throw broken('checksum differs');
    const saved = JSON.parse(body.subarray(0, header.ledgerBytes).toString());
    return { ...saved, vm: body.subarray(header.ledgerBytes) };
  }

  // save writes beside the file, syncs, and renames.
  save() {
    const { ledger, pending, airdrops, runtime } = this.chain;
    const json = Buffer.from(JSON.stringify({ ledger, pending, airdrops }));
    const body = Buffer.concat([json, runtime.snapshot()]);
    const header = JSON.stringify({ format: FORMAT, ledgerBytes: json.length, sha256: sha256(body).toString('hex') });
    const temporary = `${this.path}.new`;
    const fd = openSync(temporary, 'w', 0o600);
    try {
      const bytes = Buffer.concat([Buffer.from(`${header}\n`), body]);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, this.path);
    syncDirectory(dirname(this.path));
    this.chain.changed = false;
  }
}

function syncDirectory(path) {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
