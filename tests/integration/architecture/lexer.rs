//! Rust's tokens as far as paths need them: words, `::` and single characters. Comments, strings, characters and
//! lifetimes are gone, so that what is only quoted is not taken for code.

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Word(String),
    PathSeparator,
    Other(char),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub line: usize,
    pub kind: Kind,
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(own) if own == word)
    }
}

pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source,
        line: 1,
        tokens: Vec::new(),
    };
    while let Some(next) = lexer.rest.chars().next() {
        lexer.step(next);
    }
    lexer.tokens
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self, next: char) {
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if next == '"' {
            self.string();
        } else if next == '\'' {
            self.character_or_lifetime();
        } else if is_word(next) {
            self.word();
        } else if self.rest.starts_with("::") {
            self.push(Kind::PathSeparator);
            self.skip(2);
        } else {
            if !next.is_whitespace() {
                self.push(Kind::Other(next));
            }
            self.skip(next.len_utf8());
        }
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { line: self.line, kind });
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }

    /// Skips to behind `end`, or everything where it is missing.
    fn skip_past(&mut self, end: &str) {
        self.skip(self.rest.find(end).map_or(self.rest.len(), |at| at + end.len()));
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
            } else {
                let Some(next) = self.rest.chars().next() else { return };
                self.skip(next.len_utf8());
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A string that may hold escapes, from its opening quote.
    fn string(&mut self) {
        let mut escaped = false;
        let end = self.rest[1..].find(|next| {
            let closes = next == '"' && !escaped;
            escaped = next == '\\' && !escaped;
            closes
        });
        self.skip(end.map_or(self.rest.len(), |at| at + 2));
    }

    fn character_or_lifetime(&mut self) {
        let mut next = self.rest[1..].chars();
        let (first, second) = (next.next(), next.next());
        match (first, second) {
            (Some('\\'), Some(escaped)) => {
                self.skip(2 + escaped.len_utf8());
                self.skip_past("'");
            }
            (Some(character), Some('\'')) => self.skip(2 + character.len_utf8()),
            _ => {
                let lifetime = self.rest[1..]
                    .find(|next| !is_word(next))
                    .unwrap_or(self.rest.len() - 1);
                self.skip(1 + lifetime);
            }
        }
    }

    fn word(&mut self) {
        let length = self.rest.find(|next| !is_word(next)).unwrap_or(self.rest.len());
        let (word, after) = self.rest.split_at(length);
        let hashes = after.len() - after.trim_start_matches('#').len();
        let opens_string = after[hashes..].starts_with('"');
        match word {
            "r" | "br" | "cr" if opens_string => {
                self.skip(length + hashes + 1);
                self.skip_past(&format!("\"{}", "#".repeat(hashes)));
            }
            // A raw identifier: the word behind the mark is the name.
            "r" if hashes == 1 => self.skip(2),
            "b" | "c" if opens_string && hashes == 0 => self.skip(length),
            "b" if after.starts_with('\'') => self.skip(length),
            _ => {
                self.push(Kind::Word(word.to_owned()));
                self.skip(length);
            }
        }
    }
}

fn is_word(next: char) -> bool {
    next.is_alphanumeric() || next == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(source: &str) -> Vec<String> {
        let words = tokens(source).into_iter().filter_map(|token| match token.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        });
        words.collect()
    }

    #[test]
    fn comments_are_ignored() {
        assert_eq!(
            words("a // b\nc /// d\n//! e\nf /* g /* h */ i */ j"),
            ["a", "c", "f", "j"]
        );
        assert_eq!(words("a /* never closed"), ["a"]);
    }

    #[test]
    fn strings_of_every_kind_are_ignored() {
        assert_eq!(words(r#"a "b" c"#), ["a", "c"]);
        assert_eq!(words(r#"a "b \" c \\" d"#), ["a", "d"]);
        assert_eq!(words(r#"a b"b" c c"c" d"#), ["a", "c", "d"]);
        assert_eq!(
            words("a r\"b\\\" c r#\"d \" e\"# f br##\"g \"# h\"## i"),
            ["a", "c", "f", "i"]
        );
        assert_eq!(words("a \"b // c\" d"), ["a", "d"]);
    }

    #[test]
    fn characters_and_lifetimes_are_ignored() {
        assert_eq!(
            words(r"a 'b' c '\'' d '\\' e '\u{1F600}' f b'g' h"),
            ["a", "c", "d", "e", "f", "h"]
        );
        assert_eq!(words("a<'b> c: &'static str '\"' d"), ["a", "c", "str", "d"]);
        assert_eq!(words("a 'ä' b"), ["a", "b"]);
    }

    #[test]
    fn a_raw_identifier_is_its_name() {
        assert_eq!(words("r#type r"), ["type", "r"]);
    }

    #[test]
    fn every_token_knows_its_line() {
        let source = "a\n\"two\nlines\" b\n/* two\nlines */ c r\"\n\" d";
        let lines: Vec<_> = tokens(source).into_iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 3, 5, 6]);
    }

    #[test]
    fn a_path_separator_is_one_token() {
        let kinds: Vec<_> = tokens("a::b: c").into_iter().map(|token| token.kind).collect();
        let word = |word: &str| Kind::Word(word.to_owned());
        assert_eq!(
            kinds,
            [word("a"), Kind::PathSeparator, word("b"), Kind::Other(':'), word("c")]
        );
    }
}
