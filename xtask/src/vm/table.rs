//! What was found on each kernel: kept as JSON, shown as a table, compared with the last one.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::scenario::Program;

/// What was found on one kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The architecture.
    pub arch: String,
    /// Major and minor version.
    pub kernel: String,
    /// Release of the kernel that was booted.
    pub release: String,
    /// When, a date of UTC.
    pub date: String,
    /// Each program of the object.
    pub programs: Vec<Program>,
    /// Each check, with why it failed; empty if it passed.
    pub checks: BTreeMap<String, String>,
}

/// What was found on all kernels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// In the order of architectures and versions.
    pub rows: Vec<Row>,
}

impl Row {
    /// What failed.
    pub fn failed(&self) -> Vec<String> {
        let programs = self
            .programs
            .iter()
            .filter(|program| program.result != "ok");
        let programs = programs.map(|program| {
            let why = program.why.as_deref().unwrap_or_default();
            format!("{}: {}: {why}", program.name, program.result)
        });
        let checks = self.checks.iter().filter(|(_, why)| !why.is_empty());
        programs
            .chain(checks.map(|(name, why)| format!("{name}: {why}")))
            .collect()
    }

    /// Takes over the checks whose names begin so, and which were not made this time, from an earlier row.
    pub fn keep(&mut self, beginning: &str, before: Option<&Self>) {
        let before = before.into_iter().flat_map(|row| &row.checks);
        let kept = before.filter(|(name, _)| name.starts_with(beginning));
        for (name, why) in kept {
            let entry = self.checks.entry(name.clone());
            entry.or_insert_with(|| why.clone());
        }
    }

    /// What fails, and did not in `before`: what worked, or was not there.
    pub fn worse_than(&self, before: &Self) -> Vec<String> {
        let names = |row: &Self| -> Vec<String> {
            let programs = row.programs.iter().filter(|program| program.result != "ok");
            let checks = row.checks.iter().filter(|(_, why)| !why.is_empty());
            let programs = programs.map(|program| program.name.clone());
            programs
                .chain(checks.map(|(name, _)| name.clone()))
                .collect()
        };
        let failed = names(before);
        let mut worse = names(self);
        worse.retain(|name| !failed.contains(name));
        worse
    }
}

impl Table {
    /// Reads what was kept; nothing if nothing was.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// The row of a kernel.
    pub fn find(&self, arch: &str, kernel: &str) -> Option<&Row> {
        let mut rows = self.rows.iter();
        rows.find(|row| row.arch == arch && row.kernel == kernel)
    }

    /// Replaces the rows of the same kernels.
    pub fn replace(&mut self, rows: Vec<Row>) {
        for row in rows {
            self.rows
                .retain(|old| (&old.arch, &old.kernel) != (&row.arch, &row.kernel));
            self.rows.push(row);
        }
        let version = |row: &Row| -> Vec<u32> {
            row.kernel
                .split('.')
                .map(|part| part.parse().unwrap_or(0))
                .collect()
        };
        self.rows
            .sort_by_key(|row| (row.arch != "x86_64", row.arch.clone(), version(row)));
    }

    /// Writes it, as JSON to `data` and for people to `page`.
    pub fn write(&self, data: &Path, page: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(data, text).with_context(|| format!("writing {}", data.display()))?;
        let before = fs::read_to_string(page).unwrap_or_default();
        let text = splice(&before, &self.markdown());
        fs::write(page, text).with_context(|| format!("writing {}", page.display()))
    }

    /// The tables of the page.
    fn markdown(&self) -> String {
        let mut out = String::new();
        let mut line = |cells: Vec<String>| {
            // A string takes whatever is written to it.
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        };
        let heads = |row: &Row| format!("{} {}", row.kernel, row.arch);
        let head = |first: &str| {
            let heads = self.rows.iter().map(heads);
            std::iter::once(first.to_owned())
                .chain(heads)
                .collect::<Vec<_>>()
        };
        let rule = || vec!["---".to_owned(); self.rows.len() + 1];
        line(head("program"));
        line(rule());
        for name in self.names(|row| row.programs.iter().map(|p| p.name.clone()).collect()) {
            let cell = |row: &Row| {
                let program = row.programs.iter().find(|program| program.name == name);
                program.map_or_else(|| "–".to_owned(), told)
            };
            let cells = self.rows.iter().map(cell);
            line(std::iter::once(format!("`{name}`")).chain(cells).collect());
        }
        for name in self.names(|row| row.checks.keys().cloned().collect()) {
            let cell = |row: &Row| match row.checks.get(&name).map(String::as_str) {
                Some("") => "ok".to_owned(),
                Some(_) => "**failed**".to_owned(),
                None => "–".to_owned(),
            };
            let cells = self.rows.iter().map(cell);
            line(std::iter::once(name.clone()).chain(cells).collect());
        }
        let releases = self.rows.iter().map(|row| row.release.clone());
        line(
            std::iter::once("release".to_owned())
                .chain(releases)
                .collect(),
        );
        let dates = self.rows.iter().map(|row| row.date.clone());
        line(
            std::iter::once("tested on".to_owned())
                .chain(dates)
                .collect(),
        );
        out
    }

    /// Names in the order in which they first appear.
    fn names(&self, of: impl Fn(&Row) -> Vec<String>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.rows.iter().flat_map(of) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

fn told(program: &Program) -> String {
    match (program.result.as_str(), program.instructions) {
        ("ok", Some(count)) => format!("ok, {count}"),
        ("ok", None) => "ok".to_owned(),
        (other, _) => format!("**{other}**"),
    }
}

/// The lines between which the page has the tables.
const BEGIN: &str = "<!-- written by cargo xtask vm -->";
const END: &str = "<!-- end of what is written -->";

/// Replaces what lies between [`BEGIN`] and [`END`], or adds it.
fn splice(page: &str, tables: &str) -> String {
    let between = format!("{BEGIN}\n\n{tables}\n{END}");
    match (page.split_once(BEGIN), page.split_once(END)) {
        (Some((before, _)), Some((_, after))) => format!("{before}{between}{after}"),
        _ => format!("{page}\n{between}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(result: &str, check: &str) -> Row {
        Row {
            arch: "x86_64".to_owned(),
            kernel: "5.10".to_owned(),
            release: "5.10.0-46-cloud-amd64".to_owned(),
            date: "2026-01-01".to_owned(),
            programs: vec![Program {
                name: "sys_enter".to_owned(),
                result: result.to_owned(),
                instructions: Some(7),
                why: None,
            }],
            checks: [("smoke".to_owned(), check.to_owned())].into(),
        }
    }

    #[test]
    fn what_passed_before_and_fails_now_is_told() {
        let (good, bad) = (row("ok", ""), row("refused", "12 of 24 are wrong"));
        assert!(good.worse_than(&good).is_empty() && good.failed().is_empty());
        assert_eq!(bad.worse_than(&good), ["sys_enter", "smoke"]);
        assert!(bad.worse_than(&bad).is_empty() && good.worse_than(&bad).is_empty());
        assert_eq!(bad.failed().len(), 2);
    }

    #[test]
    fn checks_that_were_not_made_are_kept_by_their_beginning() {
        let before = row("ok", "failed");
        let mut now = row("ok", "");
        now.checks.clear();
        now.keep("live: ", Some(&before));
        assert!(now.checks.is_empty());
        now.keep("smo", Some(&before));
        assert_eq!(now.checks, before.checks);
    }

    #[test]
    fn a_kernel_has_one_row_and_the_page_one_table() {
        let mut table = Table::default();
        table.replace(vec![row("refused", "x")]);
        let newer = Row {
            kernel: "6.1".to_owned(),
            ..row("ok", "")
        };
        table.replace(vec![newer, row("ok", "")]);
        let kernels: Vec<&str> = table.rows.iter().map(|row| row.kernel.as_str()).collect();
        assert_eq!(kernels, ["5.10", "6.1"]);
        let page = splice("# Title\n", &table.markdown());
        assert!(page.contains("| `sys_enter` | ok, 7 | ok, 7 |"), "{page}");
        assert_eq!(splice(&page, &table.markdown()), page);
    }
}
