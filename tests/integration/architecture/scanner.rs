//! Finds every path in a source file that leads into this crate, written as an import or in the middle of code, and
//! spells it from the crate's root. Paths inside strings (of serde's attributes, say) are not seen.

use super::lexer::{Kind, Token, tokens};

/// Names under which this crate calls itself.
const ROOTS: [&str; 2] = ["crate", "joulemark"];

/// A path of this crate: `crate::energy::Window` is `["energy", "Window"]`, a glob ends in `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    pub line: usize,
    pub path: Vec<String>,
}

/// The imports of a file whose own module path is `module`; empty for `lib.rs` and `main.rs`.
pub fn imports(source: &str, module: &[String]) -> Vec<Import> {
    let mut scan = Scan {
        tokens: &tokens(source),
        at: 0,
        found: Vec::new(),
    };
    let mut module = module.to_vec();
    let mut inline_modules = Vec::new();
    let mut depth = 0_usize;
    while let Some(token) = scan.tokens.get(scan.at) {
        if scan.starts_path() {
            let start = scan.found.len();
            scan.tree(&mut Vec::new());
            let written = scan.found.split_off(start);
            scan.found
                .extend(written.into_iter().map(|import| from_root(&import, &module)));
            continue;
        }
        match &token.kind {
            Kind::Other('{') => {
                if let Some(name) = scan.inline_module() {
                    module.push(name);
                    inline_modules.push(depth);
                }
                depth += 1;
            }
            Kind::Other('}') => {
                depth = depth.saturating_sub(1);
                if inline_modules.pop_if(|opened| *opened == depth).is_some() {
                    module.pop();
                }
            }
            _ => {}
        }
        scan.at += 1;
    }
    scan.found
}

/// The lines of code, comments and strings left out, that hold a word for which `is_named` holds.
pub fn lines_naming(source: &str, is_named: impl Fn(&str) -> bool) -> Vec<usize> {
    let named = tokens(source)
        .into_iter()
        .filter(|token| matches!(&token.kind, Kind::Word(word) if is_named(word)));
    named.map(|token| token.line).collect()
}

/// Where a path ends in `::now`, with the word before it.
pub fn calls_of_now(source: &str) -> Vec<(usize, String)> {
    let tokens = tokens(source);
    let calls = tokens.windows(3).filter_map(|window| match window {
        [
            Token {
                kind: Kind::Word(of), ..
            },
            Token {
                kind: Kind::PathSeparator,
                ..
            },
            now,
        ] if now.is_word("now") => Some((now.line, of.clone())),
        _ => None,
    });
    calls.collect()
}

struct Scan<'a> {
    tokens: &'a [Token],
    at: usize,
    found: Vec<Import>,
}

impl Scan<'_> {
    fn kind(&self, at: usize) -> Option<&Kind> {
        self.tokens.get(at).map(|token| &token.kind)
    }

    fn starts_path(&self) -> bool {
        let Some(Kind::Word(word)) = self.kind(self.at) else {
            return false;
        };
        let is_root = ROOTS.contains(&word.as_str());
        if !is_root && word != "super" && word != "self" {
            return false;
        }
        let before = |steps: usize| self.at.checked_sub(steps).and_then(|at| self.tokens.get(at));
        // In `use ::joulemark::x` the separator begins the path.
        let begins = |token: &Token| {
            ["use", "as", "dyn", "impl", "for", "in", "return"]
                .iter()
                .any(|word| token.is_word(word))
        };
        let is_part = |token: &Token| matches!(token.kind, Kind::Word(_) | Kind::Other('>')) && !begins(token);
        let continues_path =
            before(1).is_some_and(|token| token.kind == Kind::PathSeparator) && before(2).is_some_and(is_part);
        let aliases_root = is_root && self.tokens.get(self.at + 1).is_some_and(|next| next.is_word("as"));
        !continues_path && (aliases_root || self.kind(self.at + 1) == Some(&Kind::PathSeparator))
    }

    /// Reads the path at `self.at`, with every branch of its braces, behind `prefix`.
    fn tree(&mut self, prefix: &mut Vec<String>) {
        let own = prefix.len();
        let line = self.tokens[self.at].line;
        loop {
            match self.kind(self.at).cloned() {
                Some(Kind::Word(word)) => prefix.push(word),
                Some(Kind::Other('*')) => prefix.push("*".to_owned()),
                Some(Kind::Other('{')) => {
                    self.branches(prefix);
                    break;
                }
                // The `<` of a turbofish ends the path; what it holds is read as paths of their own.
                _ => {
                    self.found.push(Import {
                        line,
                        path: prefix.clone(),
                    });
                    break;
                }
            }
            self.at += 1;
            if self.kind(self.at) != Some(&Kind::PathSeparator) {
                self.found.push(Import {
                    line,
                    path: prefix.clone(),
                });
                break;
            }
            self.at += 1;
        }
        prefix.truncate(own);
    }

    fn branches(&mut self, prefix: &mut Vec<String>) {
        self.at += 1;
        while let Some(token) = self.tokens.get(self.at) {
            match &token.kind {
                Kind::Other('}') => {
                    self.at += 1;
                    return;
                }
                Kind::Other(_) if !matches!(token.kind, Kind::Other('*' | '{')) => self.at += 1,
                Kind::Word(word) if word == "as" => self.at += 2,
                Kind::PathSeparator => self.at += 1,
                _ => self.tree(prefix),
            }
        }
    }

    /// The name in `mod name {`, when `self.at` is its brace.
    fn inline_module(&self) -> Option<String> {
        let keyword = self.tokens.get(self.at.checked_sub(2)?)?;
        match self.kind(self.at - 1) {
            Some(Kind::Word(name)) if keyword.is_word("mod") => Some(name.clone()),
            _ => None,
        }
    }
}

/// Spells a path from the root.
fn from_root(import: &Import, module: &[String]) -> Import {
    let mut path: Vec<String> = Vec::new();
    for (position, word) in import.path.iter().enumerate() {
        match word.as_str() {
            root if position == 0 && ROOTS.contains(&root) => {}
            "self" if position == 0 => path = module.to_vec(),
            // `a::{self}` is `a`.
            "self" => {}
            "super" => {
                if position == 0 {
                    path = module.to_vec();
                }
                path.pop();
            }
            _ => path.push(word.clone()),
        }
    }
    Import {
        line: import.line,
        path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found_in(module: &str, source: &str) -> Vec<String> {
        let module: Vec<_> = module
            .split("::")
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        imports(source, &module)
            .into_iter()
            .map(|import| import.path.join("::"))
            .collect()
    }

    fn found(source: &str) -> Vec<String> {
        found_in("scheduler::launch", source)
    }

    #[test]
    fn plain_imports_are_found() {
        assert_eq!(found("use crate::energy::Window;"), ["energy::Window"]);
        assert_eq!(found("pub(crate) use joulemark::energy;"), ["energy"]);
        assert_eq!(
            found("use ::joulemark::energy; fn f(a: ::joulemark::units::B) {}"),
            ["energy", "units::B"]
        );
        assert_eq!(found("use crate::energy::*;"), ["energy::*"]);
        assert_eq!(found("use crate::energy as watts;"), ["energy"]);
    }

    #[test]
    fn every_branch_of_nested_braces_is_found() {
        let source = "use crate::{\n    energy::{self, source::{Nvml, rapl::*}},\n    store as db, units,\n};";
        let all = [
            "energy",
            "energy::source::Nvml",
            "energy::source::rapl::*",
            "store",
            "units",
        ];
        assert_eq!(found(source), all);
        let lines: Vec<_> = imports(source, &[]).into_iter().map(|import| import.line).collect();
        assert_eq!(lines, [2, 2, 2, 3, 3]);
    }

    #[test]
    fn paths_in_the_middle_of_code_are_found() {
        let source =
            "fn f(a: &crate::units::Joules) -> Vec<crate::flops::Count> { crate::store::open::<crate::cli::A>() }";
        assert_eq!(
            found(source),
            ["units::Joules", "flops::Count", "store::open", "cli::A"]
        );
        assert_eq!(
            found("crate::units::B { a: crate::store::C }"),
            ["units::B", "store::C"]
        );
        assert_eq!(found("macro_rules! m { () => { $crate::store::x() } }"), ["store::x"]);
        assert_eq!(found("#[arg(value_parser = crate::cli::parse)]"), ["cli::parse"]);
    }

    #[test]
    fn super_is_followed_to_the_root() {
        assert_eq!(found("use super::lease::Lease;"), ["scheduler::lease::Lease"]);
        assert_eq!(found("use super::super::store::Pool;"), ["store::Pool"]);
        assert_eq!(
            found("use super::{lease, super::store::{self, Pool}};"),
            ["scheduler::lease", "store", "store::Pool"]
        );
        assert_eq!(found_in("scheduler", "use super::store;"), ["store"]);
        assert_eq!(
            found_in("scheduler", "use self::lease::Lease;"),
            ["scheduler::lease::Lease"]
        );
    }

    #[test]
    fn super_in_an_inline_module_counts_from_there() {
        let source = "mod tests { use super::*; fn f() { if true {} } mod deep { use super::super::super::store; } }
            use super::store::Pool;";
        assert_eq!(found_in("worker", source), ["worker::*", "store", "store::Pool"]);
    }

    #[test]
    fn taking_the_root_itself_is_found_as_the_empty_path() {
        assert_eq!(found("use crate as everything;"), [""]);
        assert_eq!(found("use crate::{self as everything};"), [""]);
        assert_eq!(found_in("scheduler", "use super::*;"), ["*"]);
    }

    #[test]
    fn what_only_looks_like_a_path_is_not_found() {
        let source = r##"
            // use crate::store;
            /* crate::store */
            /// [`crate::store`]
            pub(crate) fn f() -> &'static str { self.store(); "crate::store" }
            const RAW: &str = r#"use "crate::store";"#;
            use other::crate_store; use some_crate::store; use tokio::joulemark::x;
        "##;
        assert!(found(source).is_empty(), "{:?}", found(source));
    }

    #[test]
    fn calls_of_now_are_found_with_their_type() {
        let source = "let a = Instant::now();\nlet b = jiff::Timestamp::now;\n// Instant::now()\nnow(); x.now();";
        assert_eq!(
            calls_of_now(source),
            [(1, "Instant".to_owned()), (2, "Timestamp".to_owned())]
        );
    }

    #[test]
    fn names_are_found_in_code_only() {
        assert_eq!(
            lines_naming("use sqlx::Any;\n// sqlx\n\"sqlx\";\nsqlx::query();", |word| word
                == "sqlx"),
            [1, 4]
        );
    }
}
