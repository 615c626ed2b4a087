//! What belongs to the system rather than to services (docs/agent.md lists it).

use crate::cli::pattern;
use crate::facts::Process;

/// File names of executables, or names of processes, that are no services. Patterns.
pub const DAEMONS: [&str; 58] = [
    // Starting and supervising.
    "systemd*",
    "(sd-pam)",
    "init",
    "upstart",
    "dbus-daemon",
    "dbus-broker*",
    "polkitd",
    "udevd",
    "eudev",
    "tini",
    "dumb-init",
    "catatonit",
    "pause",
    // Containers.
    "containerd*",
    "dockerd",
    "docker-proxy",
    "docker-init",
    "crio",
    "conmon*",
    "runc",
    "crun",
    "podman",
    "buildkitd",
    "netavark",
    "aardvark-dns",
    // Kubernetes' own, on each node.
    "kubelet",
    "kube-proxy",
    "kube-rbac-proxy",
    "coredns",
    "etcd",
    "kube-apiserver",
    "kube-controller*",
    "kube-scheduler",
    "cilium-agent",
    "calico-node",
    "flanneld",
    // Logging in, time, logs, network, hardware.
    "sshd*",
    "agetty",
    "login",
    "cron",
    "crond",
    "atd",
    "rsyslogd",
    "syslog-ng",
    "auditd",
    "chronyd",
    "ntpd",
    "dhclient",
    "NetworkManager",
    "wpa_supplicant",
    "ModemManager",
    "irqbalance",
    "multipathd",
    "iscsid",
    "snapd",
    "unattended-upgr*",
    "firewalld",
    "fail2ban-server",
];

/// Whether a process belongs to the system: a kernel thread, or one of [`DAEMONS`].
pub fn is_daemon(process: &Process) -> bool {
    let Some(exe) = process.exe() else {
        // Kernel threads have none. Of other users' processes it may be hidden; these have arguments.
        return process.args().is_empty() || process.comm().is_some_and(|comm| named(&comm));
    };
    let file = exe.rsplit('/').next().unwrap_or(&exe);
    // Of what a shell or an interpreter runs, the kernel keeps the script's name: a service called
    // `init` by its script is none of these.
    named(file)
}

fn named(name: &str) -> bool {
    DAEMONS.iter().any(|daemon| pattern::matches(daemon, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_are_known_by_name() {
        for name in [
            "systemd-journald",
            "containerd-shim-runc-v2",
            "kubelet",
            "sshd-session",
        ] {
            assert!(named(name), "{name}");
        }
        for name in ["nginx", "java", "initiator", "my-systemd", "cart"] {
            assert!(!named(name), "{name}");
        }
    }
}
