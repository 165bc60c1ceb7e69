// Package solanavm runs a real Solana VM (LiteSVM) behind JSON-RPC for tests:
// a Node.js process on the loopback interface that executes transactions with
// mainnet's programs and rules, keeps blocks, commitments and history around
// them, and can be told to fail the way nodes and clusters fail.
//
// Start launches the process, VM.URL is an endpoint for any Solana client,
// and the embedded Control steers it: blocks, forks, faults, accounts.
// SetStage prepares a token, a treasury and recipients over plain RPC, so it
// works on any cluster. README.md lists the methods and the differences from
// a real node.
package solanavm
