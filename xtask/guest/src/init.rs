//! The first process: mounts what is needed, runs the steps, tells how they went, powers off.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    net::UdpSocket,
    os::fd::AsRawFd,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use observer_guest::{PLAN, Plan, Ran, Step, Told};
use rustix::{
    mount::{MountFlags, mount},
    system::{RebootCommand, reboot, uname},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// File systems: what, and where.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("securityfs", "/sys/kernel/security"),
    ("tracefs", "/sys/kernel/tracing"),
];
/// Bytes of a step's output that are kept.
const OUTPUT: u64 = 8 << 20;
/// How often it is looked whether a step has ended.
const LOOK: Duration = Duration::from_millis(10);

/// Runs the plan, and powers the machine off whatever happens.
pub fn run() -> Result<()> {
    let result = prepare().and_then(|()| steps());
    if let Err(error) = &result {
        // To the console.
        eprintln!("guest: {error:#}");
    }
    rustix::fs::sync();
    reboot(RebootCommand::PowerOff).context("powering off")?;
    result
}

fn prepare() -> Result<()> {
    for (kind, at) in MOUNTS {
        fs::create_dir_all(at).with_context(|| format!("making {at}"))?;
        match mount(kind, at, kind, MountFlags::empty(), None) {
            // The kernel has mounted /dev already, and may lack securityfs.
            Ok(()) | Err(rustix::io::Errno::BUSY | rustix::io::Errno::NODEV) => {}
            Err(error) => return Err(error).with_context(|| format!("mounting {kind} on {at}")),
        }
    }
    loopback_up().context("setting up the loopback interface")
}

/// Sets `IFF_UP` on `lo`; see `netdevice(7)`.
fn loopback_up() -> Result<()> {
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: a structure of integers, an array and a union of such, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING).try_into()?;
    // SAFETY: the descriptor is open, and the request is what this call reads.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if result != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    Ok(())
}

fn steps() -> Result<()> {
    let plan = fs::read(PLAN).context("reading the plan")?;
    let plan: Plan = serde_json::from_slice(&plan).context("reading the plan")?;
    let mut port = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&plan.port)
        .with_context(|| format!("opening {}", plan.port))?;
    let mut settings = tcgetattr(&port)?;
    settings.make_raw();
    tcsetattr(&port, OptionalActions::Now, &settings)?;
    let kernel = uname().release().to_string_lossy().into_owned();
    tell(&mut port, &Told::Up { kernel })?;
    for step in &plan.steps {
        println!("guest: {}", step.name);
        let told = match one(step) {
            Ok(ran) => ran,
            Err(error) => Ran {
                step: step.name.clone(),
                status: None,
                out: String::new(),
                err: format!("guest: {error:#}"),
                millis: 0,
            },
        };
        tell(&mut port, &Told::Ran(told))?;
    }
    tell(&mut port, &Told::Done)
}

fn tell(port: &mut File, told: &Told) -> Result<()> {
    let mut line = serde_json::to_vec(told)?;
    line.push(b'\n');
    port.write_all(&line)?;
    // What is still in the kernel when it powers off is lost.
    rustix::termios::tcdrain(&*port)?;
    Ok(())
}

fn one(step: &Step) -> Result<Ran> {
    let (program, args) = step.command.split_first().context("no command")?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .args(args)
        .env("PATH", "/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let out = child.stdout.take().context("no output")?;
    let err = child.stderr.take().context("no errors")?;
    let out = thread::spawn(move || text(out));
    let err = thread::spawn(move || text(err));
    let status = wait(&mut child, Duration::from_secs(step.seconds))?;
    let joined = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Ran {
        step: step.name.clone(),
        status,
        out: joined(out),
        err: joined(err),
        millis: u64::try_from(began.elapsed().as_millis())?,
    })
}

fn text(mut from: impl Read) -> String {
    let mut bytes = Vec::new();
    // What was read before an error is worth having.
    let _ = from.by_ref().take(OUTPUT).read_to_end(&mut bytes);
    let _ = std::io::copy(&mut from, &mut std::io::sink());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The exit status; nothing if a signal ended it, or the `limit` did.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<i32>> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        thread::sleep(LOOK);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

/// Has the kernel panic, to see that the outside notices (`Documentation/admin-guide/sysrq.rst`).
pub fn panic() -> Result<()> {
    fs::write("/proc/sysrq-trigger", "c")?;
    Ok(())
}

/// Never ends, to see that the outside notices.
pub fn hang() -> Result<()> {
    loop {
        thread::park();
    }
}
