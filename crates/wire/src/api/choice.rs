//! How members that take one of a few spellings become types: the enumeration, its spellings, its
//! JSON and its schema come from one table. What the spellings mean stands with each table.

/// Declares enumerations that travel as one of a few texts. One with a single variant is a
/// discriminator: a record that holds it cannot be read as, or written for, another state.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$own_doc:meta])* $variant:ident = $text:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$own_doc])* $variant,)+ }

        impl $name {
            /// Every value with its spelling on the wire, in the form that
            /// [`Reader::choice`](crate::body::Reader::choice) takes.
            pub const CHOICES: &'static [(&'static str, Self)] = &[$(($text, Self::$variant)),+];

            /// The spelling on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        $crate::api::choice::codec!($name);
    )+};
}

/// Gives JSON, schema and use in filters to an enumeration that has `CHOICES` and `as_str`.
macro_rules! codec {
    ($name:ty) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::CHOICES
                    .iter()
                    .find(|(own, _)| *own == text)
                    .map(|(_, value)| *value)
                    .ok_or_else(|| serde::de::Error::custom(concat!("not a ", stringify!($name))))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .enum_values(Some(Self::CHOICES.iter().map(|(text, _)| *text)))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {}

        impl $crate::filters::Value for $name {
            fn texts(&self) -> Vec<String> {
                vec![self.to_string()]
            }

            fn described() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                <Self as utoipa::PartialSchema>::schema()
            }
        }
    };
}

pub(crate) use {choices, codec};
