//! Control groups as a kubelet and a container runtime make them.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The control group of a container, of version 2. Dropping it takes it away, once its processes have ended.
pub struct Group(PathBuf);

impl Group {
    /// Makes that of a container of a pod, by the names that the kubelet's systemd driver and containerd give.
    ///
    /// # Errors
    /// When there are no control groups of version 2, or they can't be changed.
    pub fn make(pod_uid: &str, container: &str) -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let all = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let at = fields.next()?;
            (fields.next()? == "cgroup2").then_some(at)
        });
        let uid = pod_uid.replace('-', "_");
        let path = PathBuf::from(all.context("no control groups of version 2")?)
            .join("kubepods.slice/kubepods-burstable.slice")
            .join(format!("kubepods-burstable-pod{uid}.slice"))
            .join(format!("cri-containerd-{container}.scope"));
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    /// Puts a process into it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn take(&self, pid: u32) -> Result<()> {
        let file = self.0.join("cgroup.procs");
        fs::write(&file, pid.to_string()).with_context(|| file.display().to_string())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Slices that others are in stay.
        for group in self.0.ancestors().take(4) {
            let _ = fs::remove_dir(group);
        }
    }
}
