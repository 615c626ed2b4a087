//! A virtual machine under QEMU's software emulation, from its start to its end.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use observer_guest::{Ran, Told};

use super::kernels::Arch;

/// Software emulation on a busy machine: a boot of five seconds may take forty.
const BOOT: Duration = Duration::from_secs(240);
/// How often it is looked how far the machine is.
const LOOK: Duration = Duration::from_millis(100);
/// This machine's file system, as the device that a guest mounts.
const HOST: &str = "-fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap -device virtio-9p-pci,fsdev=host,mount_tag=host";
/// What the kernel prints when it gives up (`kernel/panic.c`).
const PANIC: &str = "Kernel panic - not syncing";

/// What a kernel prints that has run into a breakpoint of its own which was removed meanwhile, as one processor
/// patches code that another one runs. Processors see that; emulated on threads of their own, they do not always.
const PATCHING: &str = "Oops: int3";
/// What it prints where it finds the breakpoint removed, goes back, and runs into it again for good: a lockup, in this handler.
const LOCKED_UP: [&str; 2] = ["BUG: soft lockup", "exc_int3"];

/// What a machine is made of.
pub struct Machine<'a> {
    /// Its architecture.
    pub arch: Arch,
    /// The kernel.
    pub image: &'a Path,
    /// Its first file system.
    pub initramfs: &'a Path,
    /// Further parameters of the kernel.
    pub parameters: &'a str,
    /// Whether it sees the file system of this machine, read-only.
    pub host: bool,
    /// How its processors are emulated.
    pub processors: Processors,
    /// How long it may run, from boot to end.
    pub limit: Duration,
    /// How long it may take from one thing that it tells to the next.
    pub silence: Duration,
    /// Where its console and report are kept.
    pub folder: PathBuf,
}

/// How processors are emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Processors {
    /// Each on a thread of its own, at the same time.
    Parallel,
    /// On one thread, in turn: code that one of them patches is new to all of them.
    InTurn,
}

/// How a run of a machine ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps ran.
    Done,
    /// The kernel panicked, with these words.
    Panicked(String),
    /// It did not come up in time.
    NotUp,
    /// It came up, but did not end in time; the step that it last ended.
    Hung(Option<String>),
    /// It ended too early, without a panic.
    Stopped,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Run {
    /// How it ended.
    pub ending: Ending,
    /// Release of the kernel, once it was up.
    pub kernel: Option<String>,
    /// The steps that ended.
    pub steps: Vec<Ran>,
    /// What the kernel printed.
    pub console: PathBuf,
}

impl Run {
    /// Fails unless the machine ran to its end.
    ///
    /// # Errors
    ///
    /// In words that say where to look.
    pub fn done(&self) -> Result<()> {
        let what = match &self.ending {
            Ending::Done => return Ok(()),
            Ending::Panicked(words) => format!("the kernel panicked ({words})"),
            Ending::NotUp => "the kernel did not come up in time".to_owned(),
            Ending::Hung(None) => "the machine hangs in its first step".to_owned(),
            Ending::Hung(Some(step)) => format!("the machine hangs after the step {step}"),
            Ending::Stopped => "the machine stopped before its last step".to_owned(),
        };
        bail!("{what}: its console is in {}", self.console.display())
    }

    /// Whether the emulator is at fault for a panic or a hang, with [`Processors::Parallel`].
    pub fn emulated_badly(&self) -> bool {
        let console = fs::read(&self.console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        match self.ending {
            Ending::Panicked(_) => console.contains(PATCHING),
            Ending::Hung(_) => LOCKED_UP.iter().all(|words| console.contains(words)),
            _ => false,
        }
    }

    /// The step called `name`.
    ///
    /// # Errors
    ///
    /// If it did not end.
    pub fn step(&self, name: &str) -> Result<&Ran> {
        let mut steps = self.steps.iter();
        steps
            .find(|ran| ran.step == name)
            .with_context(|| format!("the step {name} did not run"))
    }
}

impl Machine<'_> {
    /// The port that the report goes out by, as the machine sees it.
    pub fn port(arch: Arch) -> &'static str {
        match arch {
            Arch::X86_64 => "/dev/ttyS1",
            Arch::Aarch64 => "/dev/ttyS0",
        }
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// If QEMU can't be started, or refuses the machine.
    pub fn run(&self) -> Result<Run> {
        let program = format!("qemu-system-{}", self.arch.name());
        self.run_by(&program, &self.arguments())
    }

    fn console(&self) -> PathBuf {
        self.folder.join("console.txt")
    }

    fn report(&self) -> PathBuf {
        self.folder.join("report.jsonl")
    }

    fn arguments(&self) -> Vec<OsString> {
        let (machine, console) = match self.arch {
            Arch::X86_64 => (["-machine", "q35", "-cpu", "max"], "ttyS0"),
            Arch::Aarch64 => (["-machine", "virt", "-cpu", "cortex-a72"], "ttyAMA0"),
        };
        let mut args: Vec<OsString> = machine.map(Into::into).to_vec();
        let emulated = match self.processors {
            Processors::Parallel => "tcg,thread=multi",
            Processors::InTurn => "tcg,thread=single",
        };
        args.extend(["-accel".into(), emulated.into()]);
        let plain = "-m 2048 -smp 2 -display none -monitor none -nodefaults -no-reboot";
        args.extend(plain.split(' ').map(Into::into));
        let file = |id: &str, path: PathBuf| format!("file,id={id},path={}", path.display());
        args.extend(["-chardev".into(), file("console", self.console()).into()]);
        args.extend(["-chardev".into(), file("report", self.report()).into()]);
        args.extend(["-serial".into(), "chardev:console".into()]);
        args.extend(match self.arch {
            Arch::X86_64 => ["-serial".into(), "chardev:report".into()],
            Arch::Aarch64 => ["-device".into(), "pci-serial,chardev=report".into()],
        });
        if self.host {
            args.extend(HOST.split(' ').map(Into::into));
        }
        args.extend(["-kernel".into(), self.image.into()]);
        args.extend(["-initrd".into(), self.initramfs.into()]);
        let parameters = format!("console={console} panic=-1 {}", self.parameters);
        args.extend(["-append".into(), parameters.into()]);
        args
    }

    fn run_by(&self, program: &str, args: &[OsString]) -> Result<Run> {
        fs::create_dir_all(&self.folder)?;
        for file in [self.console(), self.report()] {
            fs::write(&file, "").with_context(|| format!("emptying {}", file.display()))?;
        }
        let errors = self.folder.join("qemu.txt");
        let qemu = Command::new(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors)?)
            .spawn();
        let mut qemu = qemu
            .map(Qemu)
            .with_context(|| format!("{program} can't be started: {}", self.arch.remedy()))?;
        let began = Instant::now();
        let mut last = (0, began);
        let in_time = loop {
            if let Some(status) = qemu.0.try_wait()? {
                let words = fs::read_to_string(&errors).unwrap_or_default();
                if !status.success() && fs::metadata(self.console())?.len() == 0 {
                    bail!("{program} failed ({status}): {}", words.trim());
                }
                break true;
            }
            let told = fs::metadata(self.report())?.len();
            if told != last.0 {
                last = (told, Instant::now());
            }
            let patience = if told == 0 { BOOT } else { self.silence };
            if began.elapsed() >= self.limit || last.1.elapsed() >= patience {
                break false;
            }
            thread::sleep(LOOK);
        };
        drop(qemu);
        self.read(in_time)
    }

    fn read(&self, in_time: bool) -> Result<Run> {
        let report = String::from_utf8_lossy(&fs::read(self.report())?).into_owned();
        let console = String::from_utf8_lossy(&fs::read(self.console())?).into_owned();
        let (mut kernel, mut steps, mut done) = (None, Vec::new(), false);
        // A line that was cut off is none.
        let told = report
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        for told in told {
            match told {
                Told::Up { kernel: release } => kernel = Some(release),
                Told::Ran(ran) => steps.push(ran),
                Told::Done => done = true,
            }
        }
        let panic = console
            .lines()
            .find_map(|line| Some(line[line.find(PANIC)?..].trim()));
        let ending = match panic {
            _ if done => Ending::Done,
            Some(words) => Ending::Panicked(words.to_owned()),
            None if in_time => Ending::Stopped,
            None if kernel.is_none() => Ending::NotUp,
            None => Ending::Hung(steps.last().map(|ran: &Ran| ran.step.clone())),
        };
        Ok(Run {
            ending,
            kernel,
            steps,
            console: self.console(),
        })
    }
}

/// QEMU's process, ended when it is dropped.
struct Qemu(Child);

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(folder: &Path, limit: Duration, silence: Duration) -> Machine<'static> {
        Machine {
            arch: Arch::X86_64,
            image: Path::new("/none"),
            initramfs: Path::new("/none"),
            parameters: "",
            host: false,
            processors: Processors::Parallel,
            limit,
            silence,
            folder: folder.to_owned(),
        }
    }

    /// Runs a shell script in place of QEMU, which writes to `$C`, the console, and `$R`, the report.
    fn run(script: &str, limit: Duration, silence: Duration) -> (Run, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("made");
        let machine = machine(folder.path(), limit, silence);
        let at = folder.path().display();
        let script = format!("C={at}/console.txt R={at}/report.jsonl; {script}");
        let run = machine.run_by("/bin/sh", &["-c".into(), script.into()]);
        (run.expect("runs"), folder)
    }

    const UP: &str = r#"echo '{"kind":"up","kernel":"6.1.0"}' >>$R;"#;
    const RAN: &str =
        r#"echo '{"kind":"ran","step":"a","status":0,"out":"","err":"","millis":1}' >>$R;"#;
    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(400);

    #[test]
    fn a_machine_that_ran_to_its_end_tells_its_steps() {
        let done = r#"echo '{"kind":"done"}' >>$R"#;
        let (run, _folder) = run(&format!("echo boots >>$C; {UP} {RAN} {done}"), LONG, LONG);
        assert_eq!(run.ending, Ending::Done);
        assert_eq!(run.kernel.as_deref(), Some("6.1.0"));
        assert_eq!(run.step("a").expect("ran").status, Some(0));
        assert!(run.done().is_ok() && run.step("b").is_err());
    }

    #[test]
    fn panics_hangs_and_early_ends_are_told_apart() {
        let panic = "echo '[ 1.0] Kernel panic - not syncing: sysrq triggered crash' >>$C";
        for (script, limit, silence, ending, words) in [
            (
                format!("{UP} {panic}"),
                LONG,
                LONG,
                Ending::Panicked("Kernel panic - not syncing: sysrq triggered crash".to_owned()),
                "panicked (Kernel panic - not syncing: sysrq",
            ),
            (
                "echo boots >>$C; exec sleep 60".to_owned(),
                SHORT,
                LONG,
                Ending::NotUp,
                "did not come up",
            ),
            (
                format!("{UP} {RAN} exec sleep 60"),
                SHORT,
                LONG,
                Ending::Hung(Some("a".to_owned())),
                "hangs after the step a",
            ),
            (
                format!("echo boots >>$C; {UP} {RAN} exec sleep 60"),
                LONG,
                SHORT,
                Ending::Hung(Some("a".to_owned())),
                "hangs after the step a",
            ),
            (
                format!("echo boots >>$C; {UP}"),
                LONG,
                LONG,
                Ending::Stopped,
                "stopped before",
            ),
        ] {
            let (run, _folder) = run(&script, limit, silence);
            assert_eq!(run.ending, ending);
            assert!(!run.emulated_badly());
            let error = run.done().expect_err("is not done").to_string();
            assert!(
                error.contains(words) && error.contains("console.txt"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_the_emulators_fault_is_told_from_other_panics_and_hangs() {
        let panic = "Kernel panic - not syncing: Fatal exception";
        let lockup = "watchdog: BUG: soft lockup - CPU#1 stuck for 633s!";
        let hang = "exec sleep 60";
        for (lines, end, fault) in [
            (
                format!("Oops: int3: 0000 [#1] SMP NOPTI\n{panic}"),
                "",
                true,
            ),
            (panic.to_owned(), "", false),
            (format!("{lockup}\n asm_exc_int3+0x35/0x40"), hang, true),
            (
                format!("{lockup}\n asm_exc_page_fault+0x22/0x30"),
                hang,
                false,
            ),
            ("exc_int3".to_owned(), hang, false),
        ] {
            let script = format!("echo '{lines}' >>$C; {UP} {end}");
            let (run, _folder) = run(&script, LONG, SHORT);
            assert!(run.done().is_err());
            assert_eq!(run.emulated_badly(), fault, "{lines}");
        }
    }

    #[test]
    fn without_qemu_the_message_says_how_to_get_it() {
        let folder = tempfile::tempdir().expect("made");
        let machine = machine(folder.path(), LONG, LONG);
        let error = machine.run_by("/none/qemu", &[]).expect_err("is not there");
        assert!(error.to_string().contains("tests/setup.sh"), "{error}");
    }
}
