//! Finds what a source file names of its own crate.
//!
//! Reads tokens rather than a syntax tree: so paths inside macros are found as well, and comments
//! and strings are not mistaken for code.

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path that leads to a module directly below the crate's root.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// The module.
    pub stage: String,
    /// Line of the path, from 1.
    pub line: usize,
}

/// All paths of the file that is the module `module` which begin at the crate's root, or climb to it.
///
/// # Errors
///
/// When the text is not Rust.
pub fn imports(module: &[String], text: &str) -> Result<Vec<Import>> {
    let tokens: TokenStream = text.parse().map_err(|e| anyhow!("{e}"))?;
    let mut found = Vec::new();
    Walk { found: &mut found }.tokens(module.len(), tokens);
    Ok(found)
}

struct Walk<'a> {
    found: &'a mut Vec<Import>,
}

impl Walk<'_> {
    /// Reads the tokens of a module that lies `depth` below the crate's root.
    fn tokens(&mut self, depth: usize, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut rest = tokens.as_slice();
        while let [first, after @ ..] = rest {
            rest = after;
            if let Some(after) = test_item(first, after) {
                rest = after;
            } else if let Some((body, after)) = inline_module(first, after) {
                self.tokens(depth + 1, body);
                rest = after;
            } else if let Some(path) = from_root(depth, first, after) {
                self.names(path);
            } else if let TokenTree::Group(group) = first {
                self.tokens(depth, group.stream());
            }
        }
    }

    /// Notes the module, or the several in braces, that a path names.
    fn names(&mut self, path: &[TokenTree]) {
        match path.first() {
            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
                for part in tokens.split(|t| is_punct(t, ',')) {
                    self.names(part);
                }
            }
            Some(token @ (TokenTree::Ident(_) | TokenTree::Punct(_))) => self.found.push(Import {
                stage: token.to_string(),
                line: token.span().start().line,
            }),
            _ => {}
        }
    }
}

/// What follows an item that is compiled for tests only.
fn test_item<'a>(first: &TokenTree, after: &'a [TokenTree]) -> Option<&'a [TokenTree]> {
    let [TokenTree::Group(attribute), item @ ..] = after else {
        return None;
    };
    if !is_punct(first, '#') || attribute.stream().to_string().replace(' ', "") != "cfg(test)" {
        return None;
    }
    let end = item.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    })?;
    Some(&item[end + 1..])
}

/// The body of `mod name { … }`, and what follows it.
fn inline_module<'a>(
    first: &TokenTree,
    after: &'a [TokenTree],
) -> Option<(TokenStream, &'a [TokenTree])> {
    match after {
        [TokenTree::Ident(_), TokenTree::Group(body), after @ ..] if is_ident(first, "mod") => {
            Some((body.stream(), after))
        }
        _ => None,
    }
}

/// What follows `crate::`, or as many `super::` as lead to the root from `depth` below it.
fn from_root<'a>(
    depth: usize,
    first: &TokenTree,
    after: &'a [TokenTree],
) -> Option<&'a [TokenTree]> {
    if is_ident(first, "crate") {
        return after_colons(after);
    }
    let mut climbed = usize::from(is_ident(first, "super"));
    if climbed == 0 {
        return None;
    }
    let mut rest = after_colons(after)?;
    while let [next, after @ ..] = rest
        && is_ident(next, "super")
    {
        climbed += 1;
        rest = after_colons(after)?;
    }
    (climbed == depth).then_some(rest)
}

fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [a, b, rest @ ..] if is_punct(a, ':') && is_punct(b, ':') => Some(rest),
        _ => None,
    }
}

fn is_punct(token: &TokenTree, wanted: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == wanted)
}

fn is_ident(token: &TokenTree, wanted: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == wanted)
}
