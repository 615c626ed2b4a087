mod readers;

use std::fs;
use std::os::fd::FromRawFd;
use std::os::unix::fs::symlink;

use observer_core::engine::Input;
use observer_core::facts::{ProcessFacts, Runtime};
use observer_core::ids::{FileId, KernelNanos, Tgid};
use tempfile::TempDir;

use super::{Proc, Tracker, file, process, stream};

/// A `/proc` with one process, number 7.
struct Fixture(TempDir);

impl Fixture {
    fn new(exe: &str, args: &[&str], env: &[&str]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("7");
        fs::create_dir_all(dir.join("fd")).unwrap();
        let nul = |items: &[&str]| items.iter().map(|i| format!("{i}\0")).collect::<String>();
        fs::write(dir.join("cmdline"), nul(args)).unwrap();
        fs::write(dir.join("environ"), nul(env)).unwrap();
        fs::write(dir.join("comm"), "some-comm\n").unwrap();
        fs::write(
            dir.join("status"),
            "Name:\tx\nTgid:\t7\nPid:\t7\nPPid:\t3\n",
        )
        .unwrap();
        fs::write(dir.join("cgroup"), "0::/system.slice/shop.service\n").unwrap();
        if !exe.is_empty() {
            symlink(exe, dir.join("exe")).unwrap();
        }
        symlink("/var/log/shop\x1b.log", dir.join("fd/5")).unwrap();
        symlink("pipe:[456]", dir.join("fd/2")).unwrap();
        symlink("socket:[123]", dir.join("fd/6")).unwrap();
        Self(root)
    }

    fn proc(&self) -> Proc {
        Proc::at(self.0.path())
    }

    fn facts(&self) -> ProcessFacts {
        process(&self.proc(), Tgid(7))
    }
}

fn service(exe: &str, args: &[&str]) -> String {
    Fixture::new(exe, args, &[]).facts().service
}

#[test]
fn a_pipe_is_the_standard_stream_that_leads_to_it() {
    let fixture = Fixture::new("/usr/sbin/php-fpm8.2", &["php-fpm"], &[]);
    let proc = fixture.proc();
    let found = |inode| stream(&proc, Tgid(7), inode, FileId(1)).map(|f| f.stream);
    assert_eq!(found(456), Some(Some(2)));
    assert_eq!(found(457), None);
}

#[test]
fn a_declared_name_wins() {
    let named = |env: &[&str]| {
        Fixture::new("/bin/python3", &["python3", "app.py"], env)
            .facts()
            .service
    };
    assert_eq!(named(&["A=b", "OTEL_SERVICE_NAME=cart"]), "cart");
    assert_eq!(
        named(&["OTEL_RESOURCE_ATTRIBUTES=env=prod, service.name=my%20cart,x=y"]),
        "my cart"
    );
    assert_eq!(
        named(&["OTEL_SERVICE_NAME=", "XOTEL_SERVICE_NAME=no"]),
        "app"
    );
}

#[test]
fn python_services_are_named_after_what_they_run() {
    let python = |args: &[&str]| service("/usr/bin/python3.11", args);
    assert_eq!(python(&["python", "/srv/cart.py", "--port", "80"]), "cart");
    assert_eq!(python(&["python", "-u", "-X", "dev", "cart.py"]), "cart");
    assert_eq!(python(&["python", "-m", "shop.cart"]), "shop.cart");
    assert_eq!(
        python(&["python", "-m", "uvicorn", "shop.main:app", "--port", "80"]),
        "shop"
    );
    assert_eq!(
        python(&[
            "python",
            "/usr/bin/gunicorn",
            "-w",
            "4",
            "-b",
            "0.0.0.0:80",
            "cart.wsgi:application"
        ]),
        "cart"
    );
    assert_eq!(
        python(&["python", "/usr/bin/gunicorn", "cart:create_app()"]),
        "cart"
    );
    assert_eq!(
        python(&["python", "/usr/bin/flask", "--app", "cart", "run"]),
        "cart"
    );
    assert_eq!(
        python(&[
            "python",
            "/usr/bin/opentelemetry-instrument",
            "python",
            "cart.py"
        ]),
        "cart"
    );
    assert_eq!(python(&["python", "-c", "import x"]), "python3.11");
}

#[test]
fn other_services_are_named_after_what_they_run() {
    assert_eq!(
        service(
            "/usr/bin/node",
            &["node", "--require", "./otel.js", "server.js"]
        ),
        "server"
    );
    assert_eq!(
        service("/usr/bin/node", &["node", "/srv/cart/index.js"]),
        "cart"
    );
    assert_eq!(
        service(
            "/jdk/bin/java",
            &["java", "-Xmx1g", "-jar", "/srv/cart-1.2.jar"]
        ),
        "cart-1.2"
    );
    assert_eq!(
        service(
            "/jdk/bin/java",
            &["java", "-cp", "a:b", "com.shop.CartServer", "80"]
        ),
        "CartServer"
    );
    assert_eq!(
        service(
            "/usr/bin/ruby3.1",
            &["puma 6.4.2 (tcp://0.0.0.0:9292) [cart]"]
        ),
        "cart"
    );
    assert_eq!(
        service("/usr/sbin/php-fpm8.2", &["php-fpm: pool www"]),
        "php-fpm-www"
    );
    assert_eq!(
        service(
            "/usr/share/dotnet/dotnet",
            &["dotnet", "exec", "/srv/Shop.Cart.dll"]
        ),
        "Shop.Cart"
    );
    assert_eq!(
        service("/usr/sbin/nginx", &["nginx: worker process"]),
        "nginx"
    );
    assert_eq!(service("/srv/cart (deleted)", &["./cart"]), "cart");
    assert_eq!(service("", &[]), "some-comm");
}

#[test]
fn runtimes_are_recognised() {
    let runtime = |exe: &str| Fixture::new(exe, &["x"], &[]).facts().runtime;
    assert_eq!(runtime("/usr/bin/python3.11"), Some(Runtime::Python));
    assert_eq!(runtime("/usr/sbin/nginx"), Some(Runtime::Proxy));
    assert_eq!(runtime("/usr/bin/nodemon-like-tool"), Some(Runtime::Native));
    assert_eq!(runtime(""), None);
    assert_eq!(runtime("/usr/share/dotnet/dotnet"), Some(Runtime::Dotnet));
    let published = Fixture::new("/srv/Shop.Cart", &["./Shop.Cart"], &[]);
    let maps = "7f00-7f10 r-xp 00000000 08:01 7 /srv/libcoreclr.so\n";
    fs::write(published.0.path().join("7/maps"), maps).unwrap();
    assert_eq!(published.facts().runtime, Some(Runtime::Dotnet));
    // This test is a program made by rustc.
    let own = std::env::current_exe().unwrap();
    assert_eq!(runtime(own.to_str().unwrap()), Some(Runtime::Rust));
}

#[test]
fn nginx_handles_its_events_one_after_the_other() {
    let singly = |exe| super::runtime::handles_events_singly(Some(exe));
    for exe in [
        "/usr/sbin/nginx",
        "/usr/local/openresty/nginx/sbin/nginx",
        "angie",
    ] {
        assert!(singly(exe), "{exe}");
    }
    for exe in [
        "/usr/sbin/haproxy",
        "/usr/bin/nginx-prometheus-exporter",
        "/opt/nginx/bin/sh",
    ] {
        assert!(!singly(exe), "{exe}");
    }
}

#[test]
fn a_process_that_is_gone_is_named_by_its_number() {
    let root = tempfile::tempdir().unwrap();
    let facts = process(&Proc::at(root.path()), Tgid(9));
    assert_eq!(facts.service, "pid-9");
    assert_eq!(facts.runtime, None);
}

#[test]
fn names_are_printable_and_bounded() {
    let name = format!("OTEL_SERVICE_NAME=a\x1b[31m{}", "x".repeat(500));
    let facts = Fixture::new("/bin/x", &["x"], &[&name]).facts();
    assert!(facts.service.starts_with("a\\u{1b}[31mxx"));
    assert_eq!(facts.service.chars().count(), 80);
}

#[test]
fn files_are_named_by_their_path() {
    let fixture = Fixture::new("/bin/x", &["x"], &[]);
    let path = |fd| file(&fixture.proc(), Tgid(7), fd, FileId(1)).map(|f| f.path);
    assert_eq!(path(5).as_deref(), Some("/var/log/shop\\u{1b}.log"));
    assert_eq!(path(6), None);
    assert_eq!(path(99), None);
}

#[test]
fn a_process_tells_its_relations() {
    let fixture = Fixture::new("/bin/x", &["x"], &[]);
    let proc = fixture.proc();
    assert_eq!(proc.processes().map(|p| p.pid).collect::<Vec<_>>(), [7]);
    let process = proc.process(7);
    assert_eq!((process.tgid(), process.parent()), (Some(7), Some(3)));
    assert_eq!(process.cgroups(), ["/system.slice/shop.service"]);
    assert!(process.exists() && !proc.process(8).exists());
}

/// A record of kind `kind` by process 7, of which thread or process `child` was made or file 9
/// opened as descriptor 5.
fn record(kind: u8, child: u32) -> Vec<u8> {
    let mut raw = vec![0; size_of::<observer_abi::File>()];
    let mut put = |at: usize, bytes: &[u8]| raw[at..at + bytes.len()].copy_from_slice(bytes);
    put(std::mem::offset_of!(observer_abi::Header, kind), &[kind]);
    put(
        std::mem::offset_of!(observer_abi::Header, abi),
        &[observer_abi::ABI_VERSION],
    );
    put(
        std::mem::offset_of!(observer_abi::Header, len),
        &216_u32.to_ne_bytes(),
    );
    put(
        std::mem::offset_of!(observer_abi::Header, tgid),
        &7_u32.to_ne_bytes(),
    );
    if kind == observer_abi::kind::FILE {
        put(
            std::mem::offset_of!(observer_abi::File, class),
            &[observer_abi::class::LOG],
        );
        put(
            std::mem::offset_of!(observer_abi::File, fd),
            &5_i32.to_ne_bytes(),
        );
    } else {
        put(
            std::mem::offset_of!(observer_abi::Task, tgid),
            &child.to_ne_bytes(),
        );
    }
    raw
}

fn words(input: &Input<'_>) -> String {
    match input {
        Input::Record(raw) => format!("record {}", raw[0]),
        Input::Process(facts) => format!("{} is {}", facts.tgid, facts.service),
        Input::File(facts) => facts.path.clone(),
        Input::Tick { .. } => "tick".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn facts_come_before_the_first_record_and_after_changes() {
    use observer_abi::kind::{EXEC, EXIT, FILE, FORK};
    let fixture = Fixture::new("/bin/shop", &["x"], &[]);
    let mut tracker = Tracker::new(fixture.proc(), KernelNanos(0));
    let mut told = Vec::new();
    let mut into = |input: Input<'_>| told.push(words(&input));
    tracker.record(&record(EXIT, 7), &mut into);
    tracker.record(&record(EXIT, 7), &mut into);
    tracker.record(&record(FILE, 0), &mut into);
    tracker.record(&record(FORK, 8), &mut into);
    let exe = fixture.0.path().join("7/exe");
    fs::remove_file(&exe).unwrap();
    symlink("/bin/cart", &exe).unwrap();
    tracker.record(&record(EXEC, 7), &mut into);
    tracker.tick(KernelNanos(999_999_999), &mut into);
    fs::write(
        fixture.0.path().join("7/environ"),
        "OTEL_SERVICE_NAME=late\0",
    )
    .unwrap();
    tracker.tick(KernelNanos(1_000_000_000), &mut into);
    tracker.tick(KernelNanos(1_000_000_001), &mut into);
    assert_eq!(
        told,
        [
            "7 is shop",
            "record 8",
            "record 8",
            "record 3",
            "/var/log/shop\\u{1b}.log",
            "record 5",
            "8 is shop",
            "record 7",
            "7 is cart",
            "7 is late",
        ]
    );
}

#[test]
fn a_process_with_a_ring_is_known_by_its_descriptors() {
    let fixture = Fixture::new("/usr/bin/service", &["service"], &[]);
    let ring = || process(&fixture.proc(), Tgid(7)).ring;
    assert!(!ring());
    let fd = fixture.0.path().join("7/fd");
    symlink("anon_inode:[io_uring]", fd.join("7")).unwrap();
    assert!(ring());
}

/// What processes with and without a ring are told as, in the order of inputs.
fn rings(exe: &str, kinds: &[u8]) -> Vec<bool> {
    let fixture = Fixture::new(exe, &["x"], &[]);
    let mut tracker = Tracker::new(fixture.proc(), KernelNanos(0));
    let mut told = Vec::new();
    let mut into = |input: Input<'_>| {
        if let Input::Process(facts) = input {
            told.push(facts.ring);
        }
    };
    for kind in kinds {
        tracker.record(&record(*kind, 7), &mut into);
    }
    tracker.tick(KernelNanos(10_000_000_000), &mut into);
    told
}

/// However late it is made, and although no descriptor shows it.
#[test]
fn a_ring_that_is_used_is_known_until_another_program_is_executed() {
    use observer_abi::kind::{EXEC, EXIT, RING};
    assert_eq!(rings("/bin/x", &[EXIT, RING, RING]), [false, true]);
    assert_eq!(rings("/bin/x", &[EXIT, RING, EXEC]), [false, true, false]);
    assert_eq!(rings("/usr/bin/node", &[EXIT, RING]), [false]);
}

#[test]
fn node_drives_no_sockets_through_its_rings() {
    let fixture = Fixture::new("/usr/bin/node", &["node", "app.js"], &[]);
    symlink("anon_inode:[io_uring]", fixture.0.path().join("7/fd/7")).unwrap();
    let facts = process(&fixture.proc(), Tgid(7));
    assert_eq!((facts.runtime, facts.ring), (Some(Runtime::Node), false));
}

#[test]
fn uvloop_drives_no_sockets_through_its_rings() {
    let fixture = Fixture::new("/usr/bin/python3.11", &["python3.11", "app.py"], &[]);
    let folder = fixture.0.path().join("7");
    symlink("anon_inode:[io_uring]", folder.join("fd/7")).unwrap();
    let ring = || process(&fixture.proc(), Tgid(7)).ring;
    assert!(ring());
    let mapped = "7f00-7f01 r-xp 0 fe:00 1 /venv/uvloop/loop.cpython-311-x86_64-linux-gnu.so\n";
    fs::write(folder.join("maps"), mapped).unwrap();
    assert!(!ring());
}

/// A ring of this very process, as the running kernel shows it.
#[test]
fn a_real_ring_is_recognised() {
    // `struct io_uring_params` (`include/uapi/linux/io_uring.h`).
    let mut params = [0u32; 30];
    // SAFETY: the kernel writes to the structure, which has the size that it expects.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr()) };
    let Ok(fd) = i32::try_from(fd).map(|fd| (fd >= 0).then_some(fd)) else {
        panic!("no descriptor: {fd}");
    };
    let Some(fd) = fd else {
        eprintln!("SKIPPED: a real ring: {}", std::io::Error::last_os_error());
        return;
    };
    // SAFETY: the descriptor was just made, and is nobody else's.
    let _ring = unsafe { std::os::fd::OwnedFd::from_raw_fd(fd) };
    let _socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    assert!(process(&Proc::default(), Tgid(std::process::id())).ring);
}
