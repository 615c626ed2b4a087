//! The first process: mounts what is needed, runs the steps, tells how they went, powers off.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    net::UdpSocket,
    os::{fd::AsRawFd, unix::process::CommandExt},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use observer_guest::{PLAN, Plan, Ran, Step, Told};
use rustix::{
    mount::{MountFlags, mount},
    process::{Pid, Signal, kill_process_group},
    system::{RebootCommand, reboot, uname},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

use crate::output::Output;

/// File systems: what, and where.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("tmpfs", "/tmp"),
    ("securityfs", "/sys/kernel/security"),
    ("tracefs", "/sys/kernel/tracing"),
];
/// How long what a step has started may keep its output open after its end.
const PATIENCE: Duration = Duration::from_secs(5);
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
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let out = Output::of(child.stdout.take().context("no output")?);
    let err = Output::of(child.stderr.take().context("no errors")?);
    let status = wait(&mut child, Duration::from_secs(step.seconds))?;
    let deadline = Instant::now() + PATIENCE;
    Ok(Ran {
        step: step.name.clone(),
        status,
        out: out.text(deadline),
        err: err.text(deadline),
        millis: u64::try_from(began.elapsed().as_millis())?,
    })
}

/// The exit status; nothing if a signal ended it, or the `limit` did, which ends its whole process group.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<i32>> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if let Some(status) = child.try_wait()? {
            return Ok(status.code());
        }
        thread::sleep(LOOK);
    }
    kill_process_group(Pid::from_child(child), Signal::KILL)?;
    child.wait()?;
    Ok(None)
}

/// Has the kernel panic, to see that the outside notices (`Documentation/admin-guide/sysrq.rst`).
pub fn panic() -> Result<()> {
    fs::write("/proc/sysrq-trigger", "c")?;
    Ok(())
}

/// Never ends, and starts something that does not end with it, to see that the limit of a step holds.
pub fn hang() -> Result<()> {
    println!("hangs");
    Command::new("/proc/self/exe")
        .arg("park")
        .process_group(0)
        .spawn()
        .context("starting another one")?;
    park()
}

/// Does nothing, for ever.
pub fn park() -> ! {
    loop {
        thread::park();
    }
}
