//! Control groups, by what the kernel calls them and by where they are mounted.

use std::fs;
use std::path::{Path, PathBuf};

use procfs::process::Process;

/// Where hierarchies usually are mounted, for paths that are typed where they are not: version 2 beside version 1, as systemd
/// has it, and version 2 alone.
const USUAL: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// A mounted hierarchy of control groups, version 1 or 2, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    /// The group that is mounted, as the kernel calls it.
    root: PathBuf,
    /// Where.
    point: PathBuf,
}

/// What is mounted of control groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchies(Vec<Mount>);

impl Hierarchies {
    /// Those that this process sees; none if that can't be read.
    #[must_use]
    pub fn mounted() -> Self {
        let mounts = Process::myself().and_then(|own| own.mountinfo());
        let mounts = mounts.into_iter().flatten();
        let groups = mounts.filter(|mount| matches!(&*mount.fs_type, "cgroup" | "cgroup2"));
        Self(
            groups
                .map(|mount| Mount {
                    root: mount.root.into(),
                    point: mount.mount_point,
                })
                .collect(),
        )
    }

    /// What `/proc/PID/cgroup` calls the group that was `typed`: so already, or as the path of its directory.
    #[must_use]
    pub fn group(&self, typed: &str) -> String {
        let typed = Path::new(typed);
        let usual = || USUAL.iter().find_map(|at| typed.strip_prefix(at).ok());
        // A controller of version 1 may be a symbolic link to the ones that it is mounted with.
        let linked = || fs::canonicalize(typed).ok().filter(|_| typed.is_absolute());
        let group = linked()
            .and_then(|path| self.mounted_at(&path))
            .or_else(|| self.mounted_at(typed))
            .unwrap_or_else(|| usual().unwrap_or(typed).to_path_buf());
        let group = group.to_string_lossy();
        format!("/{}", group.trim_matches('/'))
    }

    fn mounted_at(&self, path: &Path) -> Option<PathBuf> {
        let below = |mount: &Mount| Some(mount.root.join(path.strip_prefix(&mount.point).ok()?));
        let innermost = |mount: &&Mount| mount.point.as_os_str().len();
        let mounts = self.0.iter().filter(|m| path.starts_with(&m.point));
        mounts.max_by_key(innermost).and_then(below)
    }

    /// Whether a group has a directory; not known where no hierarchy is mounted.
    #[must_use]
    pub fn has(&self, group: &str) -> Option<bool> {
        let directory = |mount: &Mount| {
            let below = Path::new(group).strip_prefix(&mount.root).ok()?;
            Some(mount.point.join(below))
        };
        let mut directories = self.0.iter().filter_map(directory);
        (!self.0.is_empty()).then(|| directories.any(|directory| directory.is_dir()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchies(mounts: &[(&str, &str)]) -> Hierarchies {
        let mount = |(root, point): &(&str, &str)| Mount {
            root: root.into(),
            point: point.into(),
        };
        Hierarchies(mounts.iter().map(mount).collect())
    }

    #[test]
    fn groups_are_named_as_the_kernel_names_them() {
        let second = hierarchies(&[("/", "/sys/fs/cgroup")]);
        let both = hierarchies(&[
            ("/", "/sys/fs/cgroup/unified"),
            ("/", "/sys/fs/cgroup/memory"),
        ]);
        for (mounted, typed) in [
            (&second, "/sys/fs/cgroup/system.slice/"),
            (&both, "/sys/fs/cgroup/unified/system.slice"),
            (&both, "/sys/fs/cgroup/memory/system.slice"),
            (&hierarchies(&[]), "/sys/fs/cgroup/system.slice"),
            (&hierarchies(&[]), "/sys/fs/cgroup/unified/system.slice"),
            (&second, "/system.slice"),
            (&second, "system.slice"),
        ] {
            assert_eq!(mounted.group(typed), "/system.slice", "{typed}");
        }
        assert_eq!(second.group("/sys/fs/cgroup"), "/");
    }

    #[test]
    fn what_is_mounted_may_be_a_part_of_the_hierarchy() {
        let part = hierarchies(&[("/docker/c1", "/sys/fs/cgroup/memory")]);
        let typed = "/sys/fs/cgroup/memory/worker";
        assert_eq!(part.group(typed), "/docker/c1/worker");
    }

    #[test]
    fn a_group_is_there_if_a_hierarchy_has_its_directory() {
        let folder = std::env::temp_dir().join(format!("observer-cgroup-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/cgroup.procs"), "").unwrap();
        let point = folder.to_str().unwrap();
        let has = |root: &str, group: &str| {
            hierarchies(&[("/elsewhere", "/nowhere"), (root, point)]).has(group)
        };
        assert_eq!(has("/", "/"), Some(true));
        assert_eq!(has("/", "/a/b"), Some(true));
        assert_eq!(has("/docker/c1", "/docker/c1/a"), Some(true));
        assert_eq!(has("/", "/a/cgroup.procs"), Some(false));
        assert_eq!(has("/", "/a/c"), Some(false));
        assert_eq!(has("/docker/c1", "/a"), Some(false));
        assert_eq!(hierarchies(&[]).has("/a"), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
