//! Tasks of the project: `cargo xtask TASK`.

mod bench;
mod ebpf;
mod image;
mod layers;
mod project;
mod skips;
mod test;
mod truth;
mod vm;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask TASK

tasks:
  test          all checks and tests; as root, after tests/setup.sh
      --unit          only what needs neither root nor services
      --e2e [NAME]    only the end-to-end tests, or one file of them
  layers        fail on an import that runs backwards through the stages
  bench [PART]  measure what watching costs, as root; all parts go into docs/benchmarks.md
  truth [...]   measure what is attributed in each runtime, and how much of it wrongly, as root; --help tells more
  vm            boot kernels of distributions, and see that all probes work there; --help tells more
  build-ebpf    build the kernel probes and replace the committed object
  verify-ebpf   build the kernel probes elsewhere and compare with the committed object
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match args.as_slice() {
        ["test", part @ ..] => match test::Part::parse(part) {
            Some(part) => test::run(&part),
            None => return usage(),
        },
        ["layers"] => layers::check(),
        ["bench", parts @ ..] => bench::run(parts),
        ["truth", args @ ..] => truth::run(args),
        ["vm", args @ ..] => vm::run(args),
        ["build-ebpf"] => ebpf::build(),
        ["verify-ebpf"] => ebpf::verify(),
        _ => return usage(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprint!("{USAGE}");
    ExitCode::from(2)
}
