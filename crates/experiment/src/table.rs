//! What one entry of a table of fields means: how the field is read and bounded, its default, and how it is shown. The
//! tables are in `submission.rs` and `decoder.rs`; this knows none of their fields.

use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::PartialSchema;

use super::field::Fields;
use super::other_words;

/// One field as a spec of type `S` shows it.
#[derive(Debug)]
pub struct Field<S> {
    pub name: &'static str,
    pub kind: Kind,
    /// One line for the column of an export; `None` where the export has a place of its own for the field.
    pub about: Option<&'static str>,
    /// Returns the value as the API shows it.
    pub value: fn(&S) -> Value,
}

/// What the values of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Count,
    Whole,
    Number,
    Boolean,
    Text,
    Document,
}

/// The limits of a field, named as the API's description names them.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub minimum: Option<f64>,
    pub exclusive_minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub max_length: Option<f64>,
}

impl Bounds {
    pub const NONE: Self = Self {
        minimum: None,
        exclusive_minimum: None,
        maximum: None,
        max_length: None,
    };
}

/// A type that a field of a submission may have.
pub trait Asked: Sized {
    const KIND: Kind;

    /// Reads the field; `None` where it is absent, or after noting a problem.
    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self>;
}

/// An enum whose words are accepted as its description lists them.
pub trait Choice: PartialSchema + DeserializeOwned {}

impl<T: Choice> Asked for T {
    const KIND: Kind = Kind::Text;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        fields.choice(name)
    }
}

impl Asked for bool {
    const KIND: Kind = Kind::Boolean;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        fields.boolean(name)
    }
}

impl Asked for u32 {
    const KIND: Kind = Kind::Count;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let least = bounds.minimum.map_or(Self::MIN, |least| least as Self);
        let most = bounds.maximum.map_or(Self::MAX, |most| most as Self);
        fields.count(name, least, most)
    }
}

impl Asked for u64 {
    const KIND: Kind = Kind::Count;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let least = bounds.minimum.map_or(Self::MIN, |least| least as Self);
        let most = bounds.maximum.map_or(Self::MAX, |most| most as Self);
        fields.integer(name, least, most)
    }
}

impl Asked for i32 {
    const KIND: Kind = Kind::Whole;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let least = bounds.minimum.map_or(Self::MIN, |least| least as Self);
        let most = bounds.maximum.map_or(Self::MAX, |most| most as Self);
        fields.signed(name, least, most)
    }
}

impl Asked for f64 {
    const KIND: Kind = Kind::Number;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let most = bounds.maximum.unwrap_or(Self::MAX);
        if let Some(above) = bounds.exclusive_minimum {
            let accepted = format!("a number above {above} and at most {most}");
            return fields.number(name, &accepted, |number| number > above && number <= most);
        }
        let least = bounds.minimum.unwrap_or(Self::MIN);
        let accepted = format!("a number from {least} to {most}");
        fields.number(name, &accepted, |number| (least..=most).contains(&number))
    }
}

impl Asked for String {
    const KIND: Kind = Kind::Text;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        fields.text(name, bounds.max_length.map_or(usize::MAX, |most| most as usize))
    }
}

/// Reads an object whose fields are a table of their own, noting what is wrong. `also` stands behind what is accepted.
pub(crate) fn nested<T>(
    fields: &mut Fields<'_>,
    name: &str,
    (names, also): (&[&str], &str),
    read_all: impl FnOnce(&mut Fields<'_>) -> T,
) -> Option<T> {
    let object = fields.object(name, &format!("an object with {}{also}", names.join(", ")))?;
    let base = fields.pointer(name);
    other_words::note_unknown(object, &base, names, fields.problems());
    Some(read_all(&mut Fields::of_any_keys(object, base, fields.problems())))
}

/// Makes a request and its spec from a table of fields, one entry each:
///
/// ```text
/// /// What a request's description says of it.
/// name: Type [minimum = 1, maximum = 9] =>
///     /// What a spec's description says of it.
///     Type in the spec = default, "What its column says of it.";
/// ```
///
/// - The bounds are those that `#[schema(…)]` takes; without any the type alone decides.
/// - `as function` in their place reads a field that its type does not say enough of.
/// - A field that is unknown by default is an `Option` in the spec, and its default `None`.
/// - Without a default the value is the field of the same name of the type behind the spec's name.
/// - Without a line for the column the export has a place of its own for it; without `=>` the spec does not have it.
/// - A spec that an earlier version stored lacks a new field: give that `#[serde(default)]` beside the spec's line.
macro_rules! fields {
    (
        $(#[$of_request:meta])*
        pub struct $Request:ident;
        $(#[$of_spec:meta])*
        pub struct $Spec:ident $(: $Resolved:ty)?;
        $(
            $(#[$asked:meta])*
            $name:ident: $Type:ty $([$($bounds:tt)+])? $(as $read:path)?
            $(=> $(#[$shown:meta])* $Shown:ty $(= $default:expr $(, $about:literal)?)?)?
        );+ $(;)?
    ) => {
        $(#[$of_request])*
        pub struct $Request {
            $($(#[$asked])* $(#[schema($($bounds)+)])? pub $name: Option<$Type>,)+
        }

        $(#[$of_spec])*
        pub struct $Spec {
            $($($(#[$shown])* pub $name: $Shown,)?)+
        }

        impl $Request {
            /// Every field, in the order of the table.
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Returns every field in the order of the table, with its default as a submission may have it; null where that follows
            /// from more than the field.
            pub(crate) fn defaults() -> Vec<(&'static str, serde_json::Value)> {
                vec![$((stringify!($name), fields!(@shown $($Shown $(, $default)?)?)),)+]
            }

            /// Reads every field in the order of the table, noting what is wrong.
            pub(crate) fn read_all(fields: &mut $crate::field::Fields<'_>) -> Self {
                Self {
                    $($name: fields!(@read fields, stringify!($name), [$($($bounds)+)?] $(as $read)?),)+
                }
            }

            /// Fills in the defaults.
            pub fn filled(self $(, resolved: $Resolved)?) -> $Spec {
                $Spec {
                    $($($name: fields!(@filled self.$name, resolved.$name, $Shown $(, $default)?),)?)+
                }
            }
        }

        impl $Spec {
            /// Every field, in the order of the table.
            pub const FIELDS: &'static [$crate::table::Field<Self>] = &[
                $($($crate::table::Field {
                    name: stringify!($name),
                    kind: <$Type as $crate::table::Asked>::KIND,
                    about: fields!(@about $($($about)?)?),
                    value: |spec| serde_json::to_value::<&$Shown>(&spec.$name).unwrap_or_default(),
                },)?)+
            ];
        }
    };
    (@read $fields:ident, $name:expr, [$($bound:ident = $limit:expr),*]) => {{
        let bounds = $crate::table::Bounds { $($bound: Some($limit as f64),)* ..$crate::table::Bounds::NONE };
        $crate::table::Asked::read($fields, $name, &bounds)
    }};
    (@read $fields:ident, $name:expr, [] as $read:path) => { $read($fields, $name) };
    (@filled $asked:expr, $resolved:expr, $Shown:ty) => { $resolved };
    (@filled $asked:expr, $resolved:expr, $Shown:ty, $default:expr) => {
        $asked.map_or_else(|| $default, <$Shown>::from)
    };
    (@shown) => { serde_json::Value::Null };
    (@shown $Shown:ty) => { serde_json::Value::Null };
    (@shown $Shown:ty, $default:expr) => {
        serde_json::to_value::<$Shown>($default).unwrap_or_default()
    };
    (@about) => { None };
    (@about $about:literal) => { Some($about) };
}
pub(crate) use fields;

#[cfg(test)]
mod tests;
