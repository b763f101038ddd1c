//! Declares the options of the server. Flag, environment variable, key in the file, default and reference all come from
//! one declaration.

/// One option of the server.
#[derive(Clone, Copy, Debug)]
pub struct ServerOption {
    /// Key in the file. Flag and variable are derived from it.
    pub name: &'static str,
    /// Documentation, line by line. The first paragraph is the help of the flag.
    pub documentation: &'static str,
    /// Default value, in TOML.
    pub default: &'static str,
    /// General variable, such as DATABASE_URL, that is read when the option's own is not set.
    pub other_variable: Option<&'static str>,
    /// Minimum value.
    pub minimum: Option<i64>,
}

impl ServerOption {
    /// Returns the environment variables of the option, in order of precedence.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let own = format!("JOULEMARK_{}", self.name.to_uppercase());
        std::iter::once(own).chain(self.other_variable.map(str::to_owned))
    }

    /// Returns the text for `--help`: the first paragraph, and the default unless the paragraph names it or it is
    /// empty.
    pub fn help(&self) -> String {
        let lines = self.documentation.lines().map(str::trim);
        let text = lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let text = text.trim_end_matches('.');
        match self.default {
            "\"\"" | "[]" | "false" => text.to_owned(),
            _ if text.contains("[default: ") => text.to_owned(),
            default => format!("{text} [default: {}]", default.trim_matches('"')),
        }
    }
}

/// Declares a section of the settings: the struct of its values, the struct of its flags, and `OPTIONS`, which
/// describes its options.
///
/// An option consists of its documentation and `name: Type = default`, with the default in TOML. Optional are `as
/// Parsed` for a value that is parsed into another type than the flag's, `also` for a general variable, and `at least`
/// for a minimum.
macro_rules! section {
    (@parsed $given:ty) => { $given };
    (@parsed $given:ty as $parsed:ty) => { $parsed };
    (@some) => { None };
    (@some $value:literal) => { Some($value) };
    (
        $(#[$about:meta])*
        pub struct $section:ident with $flags:ident {
            $(
                $(#[doc = $line:literal])+
                $(#[arg($($arg:tt)+)])?
                $name:ident: $given:ty $(as $parsed:ty)? = $default:tt
                    $(, also $variable:literal)? $(, at least $minimum:literal)?;
            )+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
        pub struct $section {
            $($(#[doc = $line])+ pub $name: $crate::config::option::section!(@parsed $given $(as $parsed)?),)+
        }

        // No doc comment: clap would show it as the description of every command that these flags are part of.
        #[derive(Debug, clap::Args, serde::Serialize)]
        pub struct $flags {
            $(
                #[arg(long, help = $section::$name.help() $(, $($arg)+)?)]
                $name: Option<$given>,
            )+
        }

        #[expect(non_upper_case_globals, reason = "each constant is named as its option")]
        impl $section {
            $(
                const $name: $crate::config::option::ServerOption = $crate::config::option::ServerOption {
                    name: stringify!($name),
                    documentation: concat!($($line, "\n"),+),
                    default: stringify!($default),
                    other_variable: $crate::config::option::section!(@some $($variable)?),
                    minimum: $crate::config::option::section!(@some $($minimum)?),
                };
            )+
            pub(super) const OPTIONS: &[$crate::config::option::ServerOption] = &[$(Self::$name),+];
        }
    };
}

pub(super) use section;
