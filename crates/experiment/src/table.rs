//! The macro that makes a request and a spec from a table of fields, and how a field of each type is read and bounded.
//! The tables themselves are in `submission.rs`, and in the files of the nested objects.

use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::PartialSchema;

use super::field::Fields;
use super::other_words;

/// One field of a spec of type `S`.
#[derive(Debug)]
pub struct Field<S> {
    pub name: &'static str,
    pub kind: Kind,
    /// Description of the field's column in an export; `None` where the export writes the field in another way.
    pub about: Option<&'static str>,
    /// Returns the field's value as the API shows it.
    pub value: fn(&S) -> Value,
}

/// Type of a field's values, for the column of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Count,
    Whole,
    Number,
    Boolean,
    Text,
    Document,
}

/// Limits of a field, named as in OpenAPI.
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

/// A type of a submission's field.
pub trait FieldType: Sized {
    const KIND: Kind;

    /// Reads the field. Returns `None` where it is absent or bad; a bad one is noted as a problem.
    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self>;
}

/// An enum that accepts exactly the words of its OpenAPI description.
pub trait Choice: PartialSchema + DeserializeOwned {}

impl<T: Choice> FieldType for T {
    const KIND: Kind = Kind::Text;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        fields.choice(name)
    }
}

impl FieldType for bool {
    const KIND: Kind = Kind::Boolean;

    fn read(fields: &mut Fields<'_>, name: &str, _: &Bounds) -> Option<Self> {
        fields.boolean(name)
    }
}

impl FieldType for u32 {
    const KIND: Kind = Kind::Count;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let least = bounds.minimum.map_or(Self::MIN, |least| least as Self);
        let most = bounds.maximum.map_or(Self::MAX, |most| most as Self);
        fields.count(name, least, most)
    }
}

impl FieldType for u64 {
    const KIND: Kind = Kind::Count;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let least = bounds.minimum.map_or(Self::MIN, |least| least as Self);
        let most = bounds.maximum.map_or(Self::MAX, |most| most as Self);
        fields.integer(name, least, most)
    }
}

impl FieldType for i32 {
    const KIND: Kind = Kind::Whole;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        let least = bounds.minimum.map_or(Self::MIN, |least| least as Self);
        let most = bounds.maximum.map_or(Self::MAX, |most| most as Self);
        fields.signed(name, least, most)
    }
}

impl FieldType for f64 {
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

impl FieldType for String {
    const KIND: Kind = Kind::Text;

    fn read(fields: &mut Fields<'_>, name: &str, bounds: &Bounds) -> Option<Self> {
        fields.text(name, bounds.max_length.map_or(usize::MAX, |most| most as usize))
    }
}

/// Reads an object whose fields are a table of their own, and notes all problems. `also` is appended to what is
/// accepted.
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

/// Defines a request and its spec from a table with one entry for each field:
///
/// ```text
/// /// Description of the request's field.
/// name: Type [minimum = 1, maximum = 9] =>
///     /// Description of the spec's field.
///     Type in the spec = default, "Description of the column.";
/// ```
///
/// - The bounds are those of `#[schema(…)]`; without bounds any value of the type is accepted.
/// - `as function` in their place reads the field with that function.
/// - A field that may be unknown is an `Option` in the spec with the default `None`.
/// - Without a default, the value is the field of the same name of the type behind the spec's name.
/// - Without a description of the column, the export writes the field in another way; without `=>` the spec lacks it.
/// - Specs that earlier versions stored lack a new field: give it `#[serde(default)]` above the spec's line.
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
            /// Names of all fields, in the order of the table.
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Returns every field in the order of the table with its default as a submission would write it; JSON null
            /// where the default depends on more than the field.
            pub(crate) fn defaults() -> Vec<(&'static str, serde_json::Value)> {
                vec![$((stringify!($name), fields!(@shown $($Shown $(, $default)?)?)),)+]
            }

            /// Reads every field in the order of the table and notes all problems.
            pub(crate) fn read_all(fields: &mut $crate::field::Fields<'_>) -> Self {
                Self {
                    $($name: fields!(@read fields, stringify!($name), [$($($bounds)+)?] $(as $read)?),)+
                }
            }

            /// Fills in the defaults and returns the spec.
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
                    kind: <$Type as $crate::table::FieldType>::KIND,
                    about: fields!(@about $($($about)?)?),
                    value: |spec| serde_json::to_value::<&$Shown>(&spec.$name).unwrap_or_default(),
                },)?)+
            ];
        }
    };
    (@read $fields:ident, $name:expr, [$($bound:ident = $limit:expr),*]) => {{
        let bounds = $crate::table::Bounds { $($bound: Some($limit as f64),)* ..$crate::table::Bounds::NONE };
        $crate::table::FieldType::read($fields, $name, &bounds)
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
