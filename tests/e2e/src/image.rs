//! The container image: the last stage of the recipe, built without the registry that its first stage comes from.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::deploy::fine;

/// Names the program that the recipe's own command built: `cargo xtask test` does.
const PROGRAM_VARIABLE: &str = "OBSERVER_IMAGE_BIN";
/// Where Debian keeps the certificates that it trusts, in the recipe's first stage and on this machine.
const CERTIFICATES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Where the recipe's first stage has the program.
const BUILT: &str = "/src/target/release/observer";
const NAME: &str = "localhost/observer-test";

/// The program that goes into the image, if it was built.
#[must_use]
pub fn program() -> Option<PathBuf> {
    std::env::var_os(PROGRAM_VARIABLE).map(PathBuf::from)
}

/// An image in a store of its own, which goes with this. (What stays is buildah's list of sums of layers, some
/// kilobytes in `/var/lib/containers/cache`.)
pub struct Image {
    folder: PathBuf,
}

impl Image {
    /// Builds it in `folder` with `program`, and with the certificates of this machine.
    ///
    /// # Errors
    /// When buildah can't build it.
    pub fn build(folder: PathBuf, program: &Path) -> Result<Self> {
        let image = Self { folder };
        let first_stage = image.folder.join("build");
        for (from, to) in [(Path::new(CERTIFICATES), CERTIFICATES), (program, BUILT)] {
            let to = first_stage.join(to.trim_start_matches('/'));
            fs::create_dir_all(to.parent().context("no folder")?)?;
            fs::copy(from, &to).with_context(|| format!("copying {}", from.display()))?;
        }
        let mut build = image.buildah(&["bud", "--isolation", "chroot", "--tag", NAME]);
        build
            .args(["--file", "deploy/Dockerfile", "--build-context"])
            .arg(format!("build={}", first_stage.display()))
            .arg(image.folder.join("build/etc"));
        fine(&mut build)?;
        Ok(image)
    }

    /// What it says of itself, as the image's specification has it: `Entrypoint`, `Cmd`, `Labels`, ….
    ///
    /// # Errors
    /// When buildah can't tell.
    pub fn config(&self) -> Result<Value> {
        let all = fine(&mut self.buildah(&["inspect", "--type", "image", NAME]))?;
        Ok(serde_json::from_str::<Value>(&all)?["OCIv1"]["config"].take())
    }

    /// A folder with a root file system made of it.
    ///
    /// # Errors
    /// When buildah can't make it.
    pub fn unpack(&self) -> Result<PathBuf> {
        let container = fine(&mut self.buildah(&["from", "--pull-never", NAME]))?;
        let folder = fine(&mut self.buildah(&["mount", container.trim()]))?;
        Ok(folder.trim().into())
    }

    fn buildah(&self, args: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        command
            .args(["--storage-driver", "vfs", "--root"])
            .arg(self.folder.join("store"))
            .arg("--runroot")
            .arg(self.folder.join("run"))
            .args(args);
        command
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
