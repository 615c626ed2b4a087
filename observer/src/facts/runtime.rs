//! What a process runs on.

use observer_core::facts::Runtime;

use super::image::{self, Toolchain};
use super::proc::Process;

/// Executables that are runtimes: the beginning of a file name, after which only a version or a
/// variant may follow.
const EXECUTABLES: [(&str, Runtime); 18] = [
    ("python", Runtime::Python),
    ("pypy", Runtime::Python),
    ("node", Runtime::Node),
    ("nodejs", Runtime::Node),
    ("java", Runtime::Java),
    ("ruby", Runtime::Ruby),
    ("puma", Runtime::Ruby),
    ("php", Runtime::Php),
    ("php-fpm", Runtime::Php),
    ("dotnet", Runtime::Dotnet),
    ("nginx", Runtime::Proxy),
    ("openresty", Runtime::Proxy),
    ("haproxy", Runtime::Proxy),
    ("envoy", Runtime::Proxy),
    ("traefik", Runtime::Proxy),
    ("caddy", Runtime::Proxy),
    ("linkerd2-proxy", Runtime::Proxy),
    ("varnishd", Runtime::Proxy),
];

/// The runtime of a process; `None` when its executable can't be read.
pub(super) fn detect(process: &Process, exe: Option<&str>) -> Option<Runtime> {
    let name = file_name(exe?);
    if let Some((_, runtime)) = EXECUTABLES
        .iter()
        .find(|(start, _)| is_version_of(name, start))
    {
        return Some(*runtime);
    }
    Some(match image::toolchain(&process.image()) {
        Some(Toolchain::Go) => Runtime::Go,
        Some(Toolchain::Rust) => Runtime::Rust,
        None if runs_dotnet(process) => Runtime::Dotnet,
        None => Runtime::Native,
    })
}

/// Whether a program has loaded .NET: services are published with a small executable of their own name.
fn runs_dotnet(process: &Process) -> bool {
    process
        .mappings()
        .any(|line| line.ends_with("/libcoreclr.so"))
}

/// Programs that are nginx, whoever builds them.
const NGINX: [&str; 6] = [
    "nginx",
    "nginx-debug",
    "openresty",
    "angie",
    "freenginx",
    "tengine",
];

/// Whether a program handles events one after the other, each of one connection: nginx.
pub(super) fn handles_events_singly(exe: Option<&str>) -> bool {
    exe.is_some_and(|exe| NGINX.contains(&file_name(exe)))
}

fn file_name(exe: &str) -> &str {
    exe.rsplit('/').next().unwrap_or(exe)
}

/// Whether `name` is `start` with at most a version: `python3.11`, `php8.2`, `php-fpm8.2`, `node-20`.
fn is_version_of(name: &str, start: &str) -> bool {
    name.strip_prefix(start).is_some_and(|rest| {
        rest.chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | 't' | 'd'))
    })
}
