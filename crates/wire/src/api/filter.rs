//! How the filter of a list operation is declared: one table gives the type, its reading from what
//! was sent, its query string and its description. The rules of reading stand in
//! [`crate::filters`].

/// Declares filters. Each line names a member, its type, the method of
/// [`Filters`](crate::filters::Filters) that reads it, and its name on the wire. Every filter also
/// has a page.
macro_rules! filters {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[doc = $own_doc:literal])+ $member:ident: $type:ty = $method:ident($wire:literal $(, $choices:expr)?),)+
    })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $own_doc])+ pub $member: Option<$type>,)+
            /// Which part of the list.
            pub page: $crate::filters::Page,
        }

        impl $name {
            /// Reads the filter.
            ///
            /// # Errors
            /// All faults at once.
            pub fn read(sent: $crate::filters::Filters) -> Result<Self, Vec<$crate::body::Fault>> {
                let filter = Self {
                    $($member: sent.$method($wire $(, $choices)?),)+
                    page: sent.page(),
                };
                sent.finish(filter)
            }

            /// The filter as query parameters, not yet percent-encoded; an entry of a list has a
            /// pair of its own.
            #[must_use]
            pub fn pairs(&self) -> Vec<(&'static str, String)> {
                let mut pairs = Vec::new();
                $(if let Some(value) = &self.$member {
                    let texts = $crate::filters::Value::texts(value);
                    pairs.extend(texts.into_iter().map(|text| ($wire, text)));
                })+
                pairs.extend(self.page.pairs());
                pairs
            }
        }

        impl utoipa::IntoParams for $name {
            fn into_params(
                place: impl Fn() -> Option<utoipa::openapi::path::ParameterIn>,
            ) -> Vec<utoipa::openapi::path::Parameter> {
                let mut parameters = vec![$($crate::filters::parameter(
                    $wire,
                    concat!($($own_doc),+),
                    false,
                    <$type as $crate::filters::Value>::described(),
                )),+];
                parameters.extend(<$crate::filters::Page as utoipa::IntoParams>::into_params(place));
                parameters
            }
        }
    )+};
}

pub(crate) use filters;
