//! Whether the kernel's types are known, and what is chosen by them.

use super::{Check, State};
use crate::kernel::{CaptureConfig, TypesError, trial};

/// Where the kernel's types are told, and what was chosen by them.
pub(super) fn checks(config: &CaptureConfig) -> Vec<Check> {
    const NAME: &str = "type information";
    let (found, advice) = match trial::choices(config) {
        Ok((source, choices)) => {
            return vec![
                Check::ok(NAME, source.to_string()),
                Check::ok("chosen", choices),
            ];
        }
        Err(error) => {
            let advice = match &error {
                TypesError::Nowhere { .. } => {
                    "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (all large distributions since 2021), or name a file \
                     of this kernel's types: --btf FILE"
                }
                TypesError::Unfit { path, .. } if config.types.as_ref() == Some(path) => {
                    "name a file that is made of this very kernel, or none where the kernel tells its types itself"
                }
                TypesError::Unfit { .. } => "please report this with the kernel's release",
            };
            (error.to_string(), advice)
        }
    };
    vec![Check::bad(NAME, State::Missing, found, advice)]
}
