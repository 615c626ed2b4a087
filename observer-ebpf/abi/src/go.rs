//! What the words of a [`Layout`](super::control::Layout) mean for a Go program. Offsets of registers are those in `struct pt_regs`;
//! other offsets are those of fields in the structures of the program, in bytes.

/// Offset of the register that holds the running goroutine's `runtime.g`.
pub const G: usize = 0;
/// Offset of the stack pointer.
pub const SP: usize = 1;
/// `runtime.g.goid`.
pub const GOID: usize = 2;
/// `runtime.g.parentGoid`, from Go 1.21; 0 if there is none.
pub const PARENT: usize = 3;
/// `runtime.g.m`.
pub const M: usize = 4;
/// `runtime.m.curg`.
pub const CURG: usize = 5;
/// At the call of `runtime.runqput(pp, gp, next)`: offset of the register that holds `gp`.
pub const BEGUN: usize = 6;
/// In `net/http.(*persistConn).roundTrip`: offset of the register that holds the receiver.
pub const RECEIVER: usize = 7;
/// `net/http.persistConn.conn`, an interface: the address of its `itab`, then of its value.
pub const CONN: usize = 8;
/// Address of the description of `*net.TCPConn`; 0 if the program has none.
pub const TCP: usize = 9;
/// Address of the description of `*net.UnixConn`; 0 if the program has none.
pub const UNIX: usize = 10;
/// Address of the description of `*crypto/tls.Conn`; 0 if the program has none.
pub const TLS: usize = 11;
/// `crypto/tls.Conn.conn`, an interface likewise.
pub const TLS_CONN: usize = 12;
/// `net.TCPConn.conn.fd`, the address of a `net.netFD`; the same in `net.UnixConn`.
pub const FD: usize = 13;
/// `net.netFD.pfd.Sysfd`.
pub const SYSFD: usize = 14;
/// Offset of the register that holds the frame pointer.
pub const FRAME: usize = 15;
/// Offsets of the registers that hold the first three arguments of a function.
pub const ARGUMENTS: [usize; 3] = [7, 6, 16];
/// `runtime.sudog.g`: the goroutine that waits for a channel.
pub const WAITS: usize = 17;
/// `runtime.sudog.elem`: where its value is, or is to go.
pub const ELEM: usize = 18;
/// `runtime.g.sched.bp`: the frame pointer of a goroutine that does not run.
pub const PARKED: usize = 19;
/// `runtime.hchan.dataqsiz`: how many values may wait in the channel.
pub const QUEUE: usize = 20;
/// `runtime.hchan.buf`: where they do.
pub const BUF: usize = 21;
/// `runtime.hchan.elemsize`, two bytes: how long each is.
pub const ELEM_SIZE: usize = 22;
/// `runtime.hchan.recvx`: the number of the next one.
pub const RECV: usize = 23;
/// How often probes at channels have run, as they count: what they take is not to be much of what the program takes.
pub const RUNS: usize = 24;
/// `runtime.g.startpc`: where a goroutine began.
pub const START: usize = 25;
/// First address of the functions that connections of `net/http`'s client begin with, and the one behind the last:
/// what is passed to these goroutines is not told.
pub const CONNECTIONS: [usize; 2] = [26, 27];
