//! The container that a process runs in, by the names that container runtimes give control groups.
//!
//! Nothing is asked of the runtime: what is read is `/proc/PID/cgroup`, version 1 or 2, made by the
//! cgroupfs or the systemd driver.

/// The container runtime that made a control group, where its name says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerRuntime {
    /// Docker.
    Docker,
    /// containerd, through Kubernetes' CRI.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
}

/// A container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// Its id: 64 hexadecimal digits, in lower case.
    pub id: String,
    /// What made it; absent where the control group is named by the id alone.
    pub runtime: Option<ContainerRuntime>,
    /// Uid of its Kubernetes pod; of a static pod the hash of its configuration.
    pub pod_uid: Option<String>,
}

/// Digits of a container's id.
const ID: usize = 64;

/// What container runtimes put before the id.
const PREFIXES: [(&str, ContainerRuntime); 4] = [
    ("docker", ContainerRuntime::Docker),
    ("cri-containerd", ContainerRuntime::Containerd),
    ("crio", ContainerRuntime::CriO),
    ("libpod", ContainerRuntime::Podman),
];

/// The container that one of `groups` (paths of control groups) belongs to: the innermost one.
#[must_use]
pub fn container(groups: &[String]) -> Option<Container> {
    groups.iter().find_map(|group| of_path(group))
}

fn of_path(path: &str) -> Option<Container> {
    let parts: Vec<&str> = path.split('/').collect();
    let (at, (id, runtime)) = parts
        .iter()
        .enumerate()
        .rev()
        .find_map(|(at, part)| Some((at, of_part(part)?)))?;
    // The colon notation has the pod in the same part.
    let pod_uid = parts[..=at].iter().rev().find_map(|part| pod(part));
    let runtime = runtime.or_else(|| {
        let docker = at > 0 && parts[at - 1] == "docker";
        docker.then_some(ContainerRuntime::Docker)
    });
    Some(Container {
        id: id.to_owned(),
        runtime,
        pod_uid,
    })
}

/// The id in one part of a path: `ID`, `PREFIX-ID`, `PREFIX-ID.scope`, `POD:PREFIX:ID`.
fn of_part(part: &str) -> Option<(&str, Option<ContainerRuntime>)> {
    let name = part.strip_suffix(".scope").unwrap_or(part);
    let start = name.len().checked_sub(ID)?;
    let id = name.get(start..)?;
    if !id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let before = &name[..start];
    if before.is_empty() {
        return Some((id, None));
    }
    let before = before.strip_suffix(['-', ':'])?;
    let prefix = before.rsplit(':').next()?;
    // `crio-conmon-…` and `libpod-conmon-…` are the containers' monitors, outside of them.
    if prefix.ends_with("conmon") {
        return None;
    }
    let runtime = PREFIXES
        .iter()
        .find_map(|(name, runtime)| (*name == prefix).then_some(*runtime));
    Some((id, runtime))
}

/// The pod's uid in one part of a path: `podUID`, or `…-podUID.slice` with `_` for `-`.
fn pod(part: &str) -> Option<String> {
    let part = part.split(':').next()?;
    let name = part.strip_suffix(".slice").unwrap_or(part);
    let uid = match name.strip_prefix("pod") {
        Some(uid) => uid,
        None => name.rsplit_once("-pod")?.1,
    };
    let uid = uid.replace('_', "-");
    let hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let parts: Vec<&str> = uid.split('-').collect();
    let is_uuid = parts.iter().map(|p| p.len()).eq([8, 4, 4, 4, 12]);
    let is_hash = parts.len() == 1 && uid.len() == 32;
    ((is_uuid || is_hash) && parts.iter().all(|p| hex(p))).then_some(uid)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ContainerRuntime::{Containerd, CriO, Docker, Podman};
    use super::*;

    const ID: &str = "2f1a6c0e9b7d4f83a5c2e1d0b9f8a7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0";
    const UID: &str = "1c9f3d52-7c1b-4a43-9b0f-6d1f0a9c2e77";
    const HASH: &str = "7d5a6a1b9e3c4f20b1d8c7e6f5a4b3c2";

    #[test]
    fn containers_are_found_in_every_runtimes_notation() {
        let under = UID.replace('-', "_");
        let table = [
            // Docker: cgroupfs, systemd.
            (format!("/docker/{ID}"), Some(Docker), None),
            (
                format!("/system.slice/docker-{ID}.scope"),
                Some(Docker),
                None,
            ),
            // Kubernetes: cgroupfs; burstable, guaranteed.
            (
                format!("/kubepods/burstable/pod{UID}/{ID}"),
                None,
                Some(UID),
            ),
            (format!("/kubepods/pod{UID}/{ID}"), None, Some(UID)),
            // Kubernetes: systemd with containerd, CRI-O, Docker.
            (
                format!(
                    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{under}.slice/cri-containerd-{ID}.scope"
                ),
                Some(Containerd),
                Some(UID),
            ),
            (
                format!("/kubepods.slice/kubepods-pod{under}.slice/crio-{ID}.scope"),
                Some(CriO),
                Some(UID),
            ),
            (
                format!("/kubepods.slice/kubepods-pod{under}.slice/crio-{ID}.scope/container"),
                Some(CriO),
                Some(UID),
            ),
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{under}.slice/docker-{ID}.scope"
                ),
                Some(Docker),
                Some(UID),
            ),
            // containerd without the systemd driver on a systemd host.
            (
                format!(
                    "/system.slice/containerd.service/kubepods-burstable-pod{under}.slice:cri-containerd:{ID}"
                ),
                Some(Containerd),
                Some(UID),
            ),
            // A static pod's control group has the hash of its configuration.
            (
                format!(
                    "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{HASH}.slice/cri-containerd-{ID}.scope"
                ),
                Some(Containerd),
                Some(HASH),
            ),
            // A node that is a container itself (kind): the inner container counts.
            (
                format!(
                    "/docker/{}/kubelet/kubepods/besteffort/pod{UID}/{ID}",
                    "0".repeat(64)
                ),
                None,
                Some(UID),
            ),
            (
                format!(
                    "/system.slice/docker-{}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{under}.slice/cri-containerd-{ID}.scope",
                    "0".repeat(64)
                ),
                Some(Containerd),
                Some(UID),
            ),
            // Seen from another control group namespace.
            (
                format!("/../../kubepods-pod{under}.slice/cri-containerd-{ID}.scope"),
                Some(Containerd),
                Some(UID),
            ),
            // Podman: root, rootless, cgroupfs.
            (
                format!("/machine.slice/libpod-{ID}.scope"),
                Some(Podman),
                None,
            ),
            (
                format!(
                    "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
                ),
                Some(Podman),
                None,
            ),
            (format!("/libpod_parent/libpod-{ID}"), Some(Podman), None),
            // ECS.
            (format!("/ecs/9c1f/{ID}"), None, None),
        ];
        for (path, runtime, pod) in table {
            let found = container(std::slice::from_ref(&path)).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(found.id, ID, "{path}");
            assert_eq!(found.runtime, runtime, "{path}");
            assert_eq!(found.pod_uid.as_deref(), pod, "{path}");
        }
    }

    #[test]
    fn what_is_no_container_is_none() {
        for path in [
            "/".to_owned(),
            "/user.slice/user-0.slice/session-1.scope".to_owned(),
            "/system.slice/nginx.service".to_owned(),
            format!("/machine.slice/libpod-conmon-{ID}.scope"),
            format!("/kubepods.slice/crio-conmon-{ID}.scope"),
            format!("/docker/{}", &ID[1..]),
            format!("/docker/{}", ID.to_uppercase()),
            format!("/docker/x{ID}"),
            format!("/kubepods/pod{UID}"),
        ] {
            assert_eq!(container(std::slice::from_ref(&path)), None, "{path}");
        }
    }

    #[test]
    fn the_first_hierarchy_that_names_one_counts() {
        let groups = ["/".to_owned(), format!("/docker/{ID}"), "/".to_owned()];
        assert_eq!(container(&groups).map(|c| c.id), Some(ID.to_owned()));
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic_and_ids_are_ids(path in "\\PC{0,120}") {
            if let Some(found) = container(&[path]) {
                prop_assert_eq!(found.id.len(), super::ID);
            }
        }

        #[test]
        fn whatever_is_around_it_the_innermost_id_is_found(
            before in "(/[a-z.-]{0,12}){0,4}",
            after in "(/[a-z.]{0,12}){0,2}",
            prefix in "(docker-|crio-|libpod-|cri-containerd-)?",
        ) {
            let path = format!("{before}/{prefix}{ID}{after}");
            let found = container(&[path]);
            prop_assert_eq!(found.map(|c| c.id), Some(ID.to_owned()));
        }
    }
}
