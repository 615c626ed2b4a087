//! Open file descriptions.

use observer_abi as abi;

use super::{Socket, World};

impl World {
    fn describe(
        &mut self,
        tgid: u32,
        class: u8,
        fd: i32,
        fill: impl FnOnce(&mut abi::File),
    ) -> u64 {
        self.next_file += 1;
        let file = self.next_file;
        let header = self.header(abi::kind::FILE, 0, tgid, tgid, size_of::<abi::File>());
        let mut record = abi::File {
            header,
            file,
            ino: file,
            peer_ino: 0,
            fd,
            open_flags: 0,
            local_addr: [0; 16],
            remote_addr: [0; 16],
            local_port: 0,
            remote_port: 0,
            class,
            reserved: 0,
            path_len: 0,
            path: [0; abi::UNIX_PATH],
            lot: 0,
            left_out: 0,
        };
        fill(&mut record);
        self.push(&record);
        file
    }

    /// One end of a TCP connection between two ports of the loopback address.
    pub fn tcp(&mut self, tgid: u32, local: u16, remote: u16, nonblocking: bool) -> Socket {
        let class = abi::class::TCP4;
        let file = self.describe(tgid, class, 7, |f| {
            f.local_addr[..4].copy_from_slice(&[127, 0, 0, 1]);
            f.remote_addr[..4].copy_from_slice(&[127, 0, 0, 1]);
            (f.local_port, f.remote_port) = (local, remote);
            let end = |port| abi::lot::end(0, abi::lot::mapped(0x0100_007f), port);
            f.lot = abi::lot::drawn(abi::lot::between(end(local), end(remote)), 0);
        });
        Socket {
            file,
            tgid,
            nonblocking,
            class,
        }
    }

    /// Both ends of a Unix connection: the client's, described before the server has accepted it, and the
    /// server's.
    pub fn unix(&mut self, path: &str, client: u32, server: u32) -> (Socket, Socket) {
        let class = abi::class::UNIX;
        let named = |f: &mut abi::File| {
            // As the kernel keeps it, with a zero behind it.
            f.path[..path.len()].copy_from_slice(path.as_bytes());
            f.path_len = u8::try_from(path.len() + 1).unwrap().into();
        };
        let between = abi::lot::between(abi::lot::inner_end(self.next_file), 0);
        let lot = abi::lot::drawn(between, 0);
        let asking = self.describe(client, class, 7, |f| {
            named(f);
            f.lot = lot;
        });
        let serving = self.describe(server, class, 7, |f| {
            named(f);
            (f.peer_ino, f.lot) = (asking, lot);
        });
        let end = |file, tgid| Socket {
            file,
            tgid,
            nonblocking: false,
            class,
        };
        (end(asking, client), end(serving, server))
    }

    /// Standard output of a process.
    pub fn stdout(&mut self, tgid: u32) -> Socket {
        self.log(tgid, abi::class::LOG, 1)
    }

    /// A terminal that is not its standard output.
    pub fn terminal(&mut self, tgid: u32) -> Socket {
        self.log(tgid, abi::class::TTY, 7)
    }

    fn log(&mut self, tgid: u32, class: u8, fd: i32) -> Socket {
        let file = self.describe(tgid, class, fd, |_| {});
        Socket {
            file,
            tgid,
            nonblocking: false,
            class,
        }
    }

    /// Both ends of a pipe: to read from, and to write to.
    pub fn pipe(&mut self, tgid: u32) -> (Socket, Socket) {
        let class = abi::class::PIPE;
        let reader = self.describe(tgid, class, 9, |_| {});
        let writer = self.describe(tgid, class, 10, |f| f.ino = reader);
        let end = |file| Socket {
            file,
            tgid,
            nonblocking: false,
            class,
        };
        (end(reader), end(writer))
    }
}
