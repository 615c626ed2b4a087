//! The program of the container image.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::project::{cargo, program, root, run};

/// Names the program to the test of the image.
pub const VARIABLE: &str = "OBSERVER_IMAGE_BIN";
/// The recipe, from the root of the project.
const RECIPE: &str = "deploy/Dockerfile";
/// How the line of the recipe begins that builds the program.
const BUILD: &str = "RUN cargo ";

/// Builds the program by the recipe's own command, on this machine instead of in the recipe's first stage.
///
/// # Errors
///
/// When the recipe has no such command, or it fails.
pub fn build() -> Result<PathBuf> {
    let root = root()?;
    let recipe = fs::read_to_string(root.join(RECIPE)).context(RECIPE)?;
    let args = command(&recipe).with_context(|| format!("{RECIPE} has no line `{BUILD}…`"))?;
    run(cargo(args)?)?;
    // The place that cargo puts it is that of the program for this machine.
    let to = program()?.with_file_name("observer-image");
    fs::copy(program()?, &to).with_context(|| format!("copying to {}", to.display()))?;
    Ok(to)
}

/// The arguments of cargo in a recipe.
fn command(recipe: &str) -> Option<impl Iterator<Item = &str>> {
    let line = recipe.lines().find_map(|line| line.strip_prefix(BUILD))?;
    Some(line.split_ascii_whitespace())
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn the_command_of_the_recipe_is_found() {
        let recipe =
            "FROM a AS build\nRUN apt-get x\nRUN cargo rustc  --release -- -C x\n\nFROM scratch\n";
        let args: Vec<&str> = command(recipe).unwrap().collect();
        assert_eq!(args, ["rustc", "--release", "--", "-C", "x"]);
        assert!(command("FROM scratch\n").is_none());
    }
}
