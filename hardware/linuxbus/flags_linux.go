package linuxbus

import "syscall"

// openFlags keeps a tty from becoming the controlling terminal and from waiting
// for a carrier.
const openFlags = syscall.O_NOCTTY | syscall.O_NONBLOCK
