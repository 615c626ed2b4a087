//! What most stories begin with: two requests in flight at once.

use super::{Socket, World, request, response, traceparent};

impl World {
    /// Two connections on which a process serves.
    pub fn serves_both(&mut self, tgid: u32, nonblocking: bool) -> (Socket, Socket) {
        let a = self.tcp(tgid, 80, 5000, nonblocking);
        (a, self.tcp(tgid, 80, 5001, nonblocking))
    }

    /// A thread each reads a request from two connections: `/a` of trace 1, and `/b` of trace 2.
    pub fn reads_both(&mut self, readers: [u32; 2], (a, b): (Socket, Socket)) {
        self.read(readers[0], a, request("/a", &traceparent(1, 1)));
        self.read(readers[1], b, request("/b", &traceparent(2, 2)));
    }

    /// A thread makes a call without any context, and reads its response.
    pub fn calls(&mut self, tid: u32, client: Socket, target: &str) {
        self.write(tid, client, request(target, ""));
        self.read(tid, client, response());
    }
}
