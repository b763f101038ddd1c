/// One option of the server. A section declares it, once, and all else is read from here: flag, variable, key of the
/// file, default and reference.
#[derive(Clone, Copy, Debug)]
pub struct ServerOption {
    /// Key in the file; the flag and the variable have the same name in their own spelling.
    pub name: &'static str,
    /// Documentation, a line each, as written in the source. Its first paragraph is the flag's help.
    pub documentation: &'static str,
    /// Default, as TOML writes it.
    pub default: &'static str,
    /// Variable that others have for the same thing, read when the option's own is not set.
    pub other_variable: Option<&'static str>,
    /// Smallest value that is accepted.
    pub minimum: Option<i64>,
}

impl ServerOption {
    /// Returns the environment variables of the option, the one that wins first.
    pub fn variables(&self) -> impl Iterator<Item = String> {
        let own = format!("JOULEMARK_{}", self.name.to_uppercase());
        std::iter::once(own).chain(self.other_variable.map(str::to_owned))
    }

    /// Returns what `--help` says: the first paragraph, and the default where neither the paragraph nor the kind of
    /// option says it.
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

/// Declares a section of the settings: the struct of its values, that of its flags, and `OPTIONS`, which describes them.
///
/// An option is its documentation, `name: Type = default` with the default as TOML writes it, and what holds for few:
/// `as Kept` when the value is kept as another type than the flag's, `also` another variable, `at least` a minimum.
macro_rules! section {
    (@kept $given:ty) => { $given };
    (@kept $given:ty as $kept:ty) => { $kept };
    (@some) => { None };
    (@some $value:literal) => { Some($value) };
    (
        $(#[$about:meta])*
        pub struct $section:ident with $flags:ident {
            $(
                $(#[doc = $line:literal])+
                $(#[arg($($arg:tt)+)])?
                $name:ident: $given:ty $(as $kept:ty)? = $default:tt
                    $(, also $variable:literal)? $(, at least $minimum:literal)?;
            )+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
        pub struct $section {
            $($(#[doc = $line])+ pub $name: $crate::config::option::section!(@kept $given $(as $kept)?),)+
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
