//! The order of stages: an import may only name a stage that comes before its own.
//!
//! That rules out circles as well. Tests may look anywhere.

mod imports;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use imports::{Import, imports};

use crate::project::root;

/// A crate, and its stages in the order in which data flows.
struct House {
    /// Where its sources lie, from the root of the project.
    sources: &'static str,
    /// Modules directly below the crate's root.
    stages: &'static [&'static str],
}

const HOUSES: [House; 2] = [
    House {
        sources: "observer/core/src",
        stages: &[
            "ids",
            "text",
            "redact",
            "route",
            "losses",
            "facts",
            "record",
            "feedback",
            "stream",
            "context",
            "message",
            "judged",
            "exchange",
            "attribution",
            "verdict",
            "healing",
            "summary",
            "engine",
            "recording",
        ],
    },
    House {
        sources: "observer/src",
        // The sinks come before the kernel edge: they can't know of it. What joins both comes last.
        stages: &[
            "allocator",
            "stderr",
            "cli",
            "privileges",
            "otlp",
            "sink",
            "heal",
            "session",
            "output",
            "generate",
            "decode",
            "replay",
            "report",
            "facts",
            "kubernetes",
            "kernel",
            "runtimes",
            "budget",
            "watch",
            "check",
            "agent",
            "doctor",
            "shop",
            "demo",
        ],
    },
];

/// Fails on an import that runs backwards, or a stage that has no place in the order.
///
/// # Errors
///
/// Lists what is wrong.
pub fn check() -> Result<()> {
    let root = root()?;
    let mut wrong = Vec::new();
    let mut files = 0;
    for house in &HOUSES {
        for file in sources(&root.join(house.sources))? {
            let text =
                fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let module = module(&root.join(house.sources), &file)?;
            let name = file.strip_prefix(&root).unwrap_or(&file);
            let found = backwards(house.stages, &module, &text)
                .with_context(|| format!("reading {}", name.display()))?;
            wrong.extend(found.iter().map(|f| format!("{}: {f}", name.display())));
            files += 1;
        }
    }
    ensure!(files > 0, "no sources were found");
    if !wrong.is_empty() {
        bail!(
            "imports run against the order of stages:\n{}",
            wrong.join("\n")
        );
    }
    println!("the imports of {files} files follow the order of stages");
    Ok(())
}

/// What is wrong with the imports of a file that is the module `module`.
fn backwards(stages: &[&str], module: &[String], text: &str) -> Result<Vec<String>> {
    let Some(own) = module.first() else {
        // The crate's root names the stages.
        return Ok(Vec::new());
    };
    let place = |stage: &str| stages.iter().position(|s| *s == stage);
    let Some(here) = place(own) else {
        return Ok(vec![format!("stage `{own}` has no place in the order")]);
    };
    let wrong = |import: &Import| match place(&import.stage) {
        Some(there) if there <= here => None,
        Some(_) => Some(format!(
            "line {}: `{own}` comes before `{}`, which it imports",
            import.line, import.stage
        )),
        None => Some(format!(
            "line {}: `{}` has no place in the order",
            import.line, import.stage
        )),
    };
    Ok(imports(module, text)?.iter().filter_map(wrong).collect())
}

/// The module that a file holds: `engine/run.rs` is `engine::run`, `lib.rs` the crate itself.
fn module(sources: &Path, file: &Path) -> Result<Vec<String>> {
    let path = file.strip_prefix(sources)?.with_extension("");
    let parts = path.iter().map(|p| p.to_string_lossy().into_owned());
    let mut parts: Vec<String> = parts.collect();
    let last = parts.last().map(String::as_str);
    let root = parts.len() == 1 && matches!(last, Some("lib" | "main"));
    if root || last == Some("mod") {
        parts.pop();
    }
    Ok(parts)
}

/// All source files below a folder but those of tests.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if stem == "tests" || stem.ends_with("_tests") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path)?);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::backwards;

    const STAGES: &[&str] = &["ids", "record", "engine"];

    fn check(module: &[&str], text: &str) -> Vec<String> {
        let module: Vec<String> = module.iter().map(|&m| m.to_owned()).collect();
        backwards(STAGES, &module, text).expect("parses")
    }

    #[test]
    fn the_project_follows_its_order() {
        super::check().expect("no import runs backwards");
    }

    #[test]
    fn imports_of_earlier_stages_are_right() {
        assert!(check(&["engine"], "use crate::{ids::Tid, record::*};").is_empty());
        assert!(
            check(
                &["record", "decode"],
                "use super::File; use crate::ids::Tid;"
            )
            .is_empty()
        );
    }

    #[test]
    fn an_import_that_runs_backwards_is_told_with_its_line() {
        let told = check(
            &["record"],
            "use crate::ids::Tid;\nuse crate::engine::Engine;",
        );
        assert_eq!(
            told,
            ["line 2: `record` comes before `engine`, which it imports"]
        );
    }

    #[test]
    fn every_way_of_writing_an_import_is_found() {
        for text in [
            "use crate::{ids::{Tid, Tgid}, engine::Engine};",
            "use crate::engine as other;",
            "pub(crate) use crate :: engine :: Engine;",
            "fn f(engine: &crate::engine::Engine) {}",
            "macro_rules! m { () => { $crate::engine::Engine } }",
            "use super::engine;",
            "mod inner { use super::super::engine::Engine; }",
            "use super::{ids::Tid, engine};",
        ] {
            assert_eq!(check(&["record"], text).len(), 1, "{text}");
        }
    }

    #[test]
    fn comments_strings_and_tests_import_nothing() {
        for text in [
            "//! See [`crate::engine`].\n/* use crate::engine; */",
            "const S: &str = \"use crate::engine;\";",
            "#[cfg(test)]\nmod tests { use crate::engine::Engine; }",
        ] {
            assert!(check(&["record"], text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_stage_without_a_place_is_told() {
        assert_eq!(check(&["new"], "").len(), 1);
        assert_eq!(check(&["engine"], "use crate::new::Thing;").len(), 1);
    }
}
